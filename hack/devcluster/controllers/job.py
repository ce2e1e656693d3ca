"""Job: carries out the plan on pods, and counts each finished pod once.

Trap avoided: a pod that is deleted after its end would be forgotten and run again; its finalizer holds it until the
count is in the Job's status, see job_tally.
"""

from collections.abc import Sequence

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.controllers import job_pods
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.job_plan import JobPlan, last_failed, plan
from hack.devcluster.controllers.job_status import expiry_left, final_status, finished, job_status
from hack.devcluster.controllers.job_tally import fold, read_tally, take_in
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.objects import (
    Obj,
    condition_true,
    controller_of,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    random_suffix,
    spec_of,
    uid_of,
)
from hack.devcluster.resources import JOBS, PODS

_INDEX_FIELD = {"fieldRef": {"fieldPath": f"metadata.labels['{job_pods.INDEX}']"}}


class JobController(Controller):
    kind = JOBS

    def subscribe(self) -> None:
        self.caches.of(PODS).on_change(self.enqueue_owner)
        self.caches.of(PODS).on_change(self._on_pod)
        self.objects.on_change(self._on_job)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        """A tracked pod whose Job is gone would never go itself."""
        del old
        if new is None or not job_pods.tracked(new) or not is_deleting(new):
            return
        reference = controller_of(new)
        owner = self.objects.get((namespace_of(new), str(reference["name"]))) if reference else None
        if owner is None or uid_of(owner) != (reference or {}).get("uid"):
            self.queue.add((namespace_of(new), f"pod/{name_of(new)}"))

    def _on_job(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            for pod in self.children(old, PODS):
                if job_pods.tracked(pod):
                    self.queue.add((namespace_of(pod), f"pod/{name_of(pod)}"))

    async def _process(self, key: tuple[str, str]) -> None:
        """Keys `pod/NAME` are pods without a Job (a slash is in no Job's name)."""
        marker, slash, name = key[1].partition("/")
        if not slash or marker != "pod":
            await super()._process(key)
            return
        pod = self.caches.of(PODS).get((key[0], name))
        try:
            if pod is not None and job_pods.tracked(pod):
                await self._release(pod)
        except ApiError:
            self.queue.retry(key)
        else:
            self.queue.succeeded(key)

    async def reconcile(self, obj: Obj) -> float | None:
        pods = self.children(obj, PODS)
        if is_deleting(obj):
            for pod in pods:
                await self._release(pod)
            return None
        now = self.clock()
        if finished(obj):
            return await self._expire(obj, pods, now)
        return await self._advance(obj, pods, now)

    async def _expire(self, job: Obj, pods: Sequence[Obj], now: float) -> float | None:
        for pod in pods:
            await self._release(pod)
        left = expiry_left(job, now)
        if left is not None and left <= 0:
            await self.delete(JOBS, job, policy="Foreground")
            return None
        return left

    async def _advance(self, job: Obj, pods: Sequence[Obj], now: float) -> float | None:
        tally = take_in(job, read_tally(job), pods)
        step = plan(job, pods, tally, now)
        if step.outcome == "FailureTarget":
            tally = take_in(job, tally, pods, ending=True)
        for pod in step.delete:
            await self.delete(PODS, pod)
            self.events.normal(job, JOBS, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        await self._create(job, pods, step)
        status = job_status(job, self.children(job, PODS), tally, step, now)
        self._tell_suspension(job, status)
        await self.write_status(job, status)
        for pod in tally.settled:
            await self._release(pod)
        fresh = self.objects.get(key_of(job)) or job
        tally = fold(tally, {uid_of(pod) for pod in self.children(job, PODS) if job_pods.tracked(pod)})
        if step.outcome and step.ended:
            await self.write_status(fresh, final_status(fresh, status, step, tally, now))
            self._tell_end(job, step)
        else:
            await self.write_status(fresh, job_status(fresh, self.children(job, PODS), tally, step, now))
        return None if step.again is None else step.again + 0.05

    def _tell_suspension(self, job: Obj, status: Obj) -> None:
        suspended = any(
            entry["type"] == "Suspended" and entry["status"] == "True" for entry in status.get("conditions") or []
        )
        if suspended != condition_true(job, "Suspended"):
            word = "Suspended" if suspended else "Resumed"
            self.events.normal(job, JOBS, word, f"Job {word.lower()}")

    def _tell_end(self, job: Obj, step: JobPlan) -> None:
        if step.outcome == "FailureTarget":
            self.events.warning(job, JOBS, step.reason, step.message)
        else:
            self.events.normal(job, JOBS, "Completed", "Job completed")

    async def _release(self, pod: Obj) -> None:
        """Take the finalizer off."""
        if not job_pods.tracked(pod):
            return
        left = [name for name in meta(pod).get("finalizers") or [] if name != job_pods.FINALIZER]
        body: Obj = {"metadata": {"finalizers": left or None, "uid": uid_of(pod)}}
        cache = self.caches.of(PODS)
        try:
            answer = await self.client.patch(PODS, key_of(pod), body)
        except (NotFound, Conflict):
            cache.forget(pod)
            return
        if is_deleting(answer) and not left and not meta(answer).get("deletionGracePeriodSeconds"):
            # Its last finalizer held it: the answer is what it was, the watch may have told its end already.
            cache.forget(answer)
        else:
            cache.observe(answer)

    async def _create(self, job: Obj, pods: Sequence[Obj], step: JobPlan) -> None:
        for index in step.create:
            created = await self.create(PODS, build_pod(job, pods, index))
            self.events.normal(job, JOBS, "SuccessfulCreate", f"Created pod: {name_of(created)}")


def build_pod(job: Obj, pods: Sequence[Obj], index: int | None) -> Obj:
    """A pod of a Job; with `index` its label, annotation, environment, name and host name."""
    labels = {
        "batch.kubernetes.io/job-name": name_of(job),
        "job-name": name_of(job),
        "batch.kubernetes.io/controller-uid": uid_of(job),
        "controller-uid": uid_of(job),
    }
    name = ""
    if index is not None:
        labels[job_pods.INDEX] = str(index)
        name = f"{name_of(job)[: 57 - len(str(index))]}-{index}-{random_suffix()}"
    pod = pod_from_template(job, JOBS, spec_of(job).get("template") or {}, labels=labels, name=name)
    pod["metadata"]["finalizers"] = [*(pod["metadata"].get("finalizers") or []), job_pods.FINALIZER]
    if index is not None:
        _give_index(job, pods, pod, index)
    return pod


def _give_index(job: Obj, pods: Sequence[Obj], pod: Obj, index: int) -> None:
    notes = pod["metadata"].setdefault("annotations", {})
    notes[job_pods.INDEX] = str(index)
    if spec_of(job).get("backoffLimitPerIndex") is not None:
        last = last_failed(job, pods, index)
        counts = last is not None and job_pods.judge(job, last).action != "Ignore"
        notes[job_pods.FAILURES] = str((job_pods.failures_noted(last) if last else 0) + counts)
    pod["spec"].setdefault("hostname", f"{name_of(job)}-{index}"[:63])
    for container in [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]:
        env = container.get("env") or []
        if not any(entry.get("name") == "JOB_COMPLETION_INDEX" for entry in env):
            container["env"] = [*env, {"name": "JOB_COMPLETION_INDEX", "valueFrom": _INDEX_FIELD}]
