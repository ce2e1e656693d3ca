"""Admission webhooks: which are asked, in which order, and what their answers do.

Mutating webhooks are asked one after the other in the order of their configurations' names, validating ones all at
once. After a mutation the server's own admission runs again and webhooks with `reinvocationPolicy: IfNeeded` once more.
Writes of the server's own controllers (garbage collection, namespaces' content) ask no webhook. CONNECT is not served.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver import admissioncel
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.attributes import Attributes, Selection, of_write
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.celerrors import EvalError
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.patches import json_patch
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.store import Event
from hack.devcluster.apiserver.webhookcall import Caller, CallFailed, denied, patch_of, review_of

Obj = dict[str, Any]
log = logging.getLogger(__name__)
GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = f"mutatingwebhookconfigurations.{GROUP}", f"validatingwebhookconfigurations.{GROUP}"


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration."""

    key: str
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec.get("name", ""))

    @property
    def ignores(self) -> bool:
        """Whether a failing call lets the request pass."""
        return self.spec.get("failurePolicy") == "Ignore"


class Webhooks:
    """The two dispatchers. `mutate` and `confirm` are hooks of `rest`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._store = rest.store
        self._caller = Caller(rest.store)
        self._selection = Selection(rest.registry, rest.store)
        self._hooks: dict[str, tuple[Hook, ...] | None] = {MUTATING: None, VALIDATING: None}
        self._store.observers.append(self._observe)

    def _observe(self, collection: str, event: Event) -> None:
        if collection in self._hooks:
            self._hooks[collection] = None

    async def close(self) -> None:
        """Close the connections to webhooks."""
        await self._caller.close()

    def _of(self, collection: str) -> tuple[Hook, ...]:
        hooks = self._hooks[collection]
        if hooks is None:
            stored = sorted(self._store.collection(collection).scan(), key=lambda item: item.name)
            hooks = tuple(
                Hook(f"{item.name}/{at}/{hook.get('name')}", hook)
                for item in stored
                for at, hook in enumerate(item.load().get("webhooks") or ())
            )
            self._hooks[collection] = hooks
        return hooks

    async def mutate(self, call: Call, obj: Obj | None, old: Obj | None) -> Obj | None:
        """The object after all mutating webhooks."""
        hooks = self._of(MUTATING)
        if not hooks:
            return obj
        again: list[Hook] = []
        start = obj
        for hook in hooks:
            obj, changed, asked = await self._mutated(hook, call, obj, old)
            if changed:
                again += [item for item in again_candidates(hooks, hook) if item not in again]
            if asked and obj is not None and changed:
                obj = (
                    self._rest.readmit(call, obj, old) if not call.subresource or call.subresource == "status" else obj
                )
        if again and obj is not start:
            for hook in again:
                obj, changed, _ = await self._mutated(hook, call, obj, old)
                if changed and obj is not None:
                    obj = self._rest.readmit(call, obj, old)
        return obj

    async def _mutated(self, hook: Hook, call: Call, obj: Obj | None, old: Obj | None) -> tuple[Obj | None, bool, bool]:
        """(object, whether it changed, whether the webhook was asked)."""
        request = of_write(call, obj, old)
        seen = self._wanted(hook, request)
        if seen is None:
            return obj, False, False
        try:
            response = await self._ask(hook, request, seen, mutating=True)
            patch = patch_of(hook.name, response)
        except CallFailed as problem:
            self._failed(hook, problem)
            return obj, False, True
        if not patch:
            return obj, False, True
        if obj is None:
            why = f'admission webhook "{hook.name}" attempted to modify the object, '
            why += "which is not supported for this operation"
            raise internal(why)
        try:
            new = json_patch(obj if seen is request.resource else {**obj, "apiVersion": seen.api_version}, patch)
        except err.ApiError as problem:
            raise internal(problem.message) from problem
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise internal(f'admission webhook "{hook.name}" left no object')
        new["apiVersion"] = obj.get("apiVersion")
        return new, new != obj, True

    async def confirm(self, call: Call, obj: Obj | None, old: Obj | None) -> None:
        """Ask all validating webhooks; the first refusal in their order wins."""
        hooks = self._of(VALIDATING)
        if not hooks:
            return
        request = of_write(call, obj, old)
        wanted = [(hook, seen) for hook in hooks if (seen := self._wanted(hook, request)) is not None]
        if not wanted:
            return
        work = [self._ask(hook, request, seen, mutating=False) for hook, seen in wanted]
        answers = await asyncio.gather(*work, return_exceptions=True)
        for (hook, _), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, CallFailed):
                self._failed(hook, answer)
            elif isinstance(answer, BaseException):
                raise answer

    def _wanted(self, hook: Hook, request: Attributes) -> Resource | None:
        """The resource as which the webhook wants the request; None when it does not."""
        seen = self._selection.find(hook.spec, hook.spec.get("rules"), request)
        conditions = hook.spec.get("matchConditions") or ()
        if seen is None or not conditions:
            return seen
        data = admissioncel.data_of(request, seen)
        problems: list[str] = []
        for item in conditions:
            try:
                if admissioncel.run(item["expression"], data) is False:
                    return None
            except EvalError as problem:
                problems.append(f"expression '{item['expression']}' resulted in error: {problem}")
        if problems and hook.ignores:
            return None
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            resource = request.resource
            raise err.forbidden(resource.plural, resource.group, request.name, text)
        return seen

    async def _ask(self, hook: Hook, request: Attributes, seen: Resource, *, mutating: bool) -> Obj:
        if request.dry_run and hook.spec.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise err.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        obj = copy.deepcopy(request.obj) if mutating else request.obj
        uid, review = review_of(request, seen, obj, request.old)
        response = await self._caller.ask(hook.spec, uid, review, mutating=mutating)
        request.call.warnings += [str(text) for text in response.get("warnings") or ()]
        if not response.get("allowed"):
            raise denied(hook.name, response.get("status"))
        return response

    @staticmethod
    def _failed(hook: Hook, problem: CallFailed) -> None:
        if not hook.ignores:
            raise internal(str(problem))
        log.warning("webhook %s failed and its policy lets the request pass: %s", hook.name, problem)


def again_candidates(hooks: tuple[Hook, ...], changer: Hook) -> list[Hook]:
    """Webhooks asked before `changer` that want to be asked again when the object changed after them."""
    before = hooks[: hooks.index(changer)]
    return [hook for hook in before if hook.spec.get("reinvocationPolicy") == "IfNeeded"]


def internal(why: str) -> err.ApiError:
    """500 as upstream wraps an internal error."""
    details = {"causes": [{"message": why}]}
    return err.ApiError(500, "InternalError", f"Internal error occurred: {why}", details=details)
