"""The subresources that are no object of their own: scale, binding, eviction, token, finalize."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import options, patching, printing, scaling
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.auth import Authenticator
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.conform import format_time
from hack.devcluster.apiserver.handlers import Handlers
from hack.devcluster.apiserver.http import answer, decode_json, decode_yaml, read_body
from hack.devcluster.apiserver.patches import json_patch, merge_patch
from hack.devcluster.apiserver.rest import Obj, Rest
from hack.devcluster.apiserver.selectors import match_selector
from hack.devcluster.apiserver.store import Stored

_TOKEN_SECONDS = (600, 3600, 86400 * 365)


class Subresources:
    """Handlers, registered by name."""

    def __init__(self, handlers: Handlers, authenticator: Authenticator) -> None:
        self._rest: Rest = handlers.rest
        self._authenticator = authenticator
        handlers.subresources.update(
            {
                "scale": self.scale,
                "binding": self.binding,
                "eviction": self.eviction,
                "token": self.token,
                "finalize": self.finalize,
            }
        )

    async def scale(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """GET, PUT, PATCH of autoscaling/v1 Scale."""
        stored = self._rest.find(call.resource, call.namespace, call.name)
        if request.method == "GET":
            return self._scale_answer(call, stored, form)
        entries: list[Obj] | None = None
        if request.method == "PUT":
            options.check_write(call.query, "UpdateOptions")
            obj = self._scaled(call, stored, await read_body(request))
        elif request.method == "PATCH":
            options.check_write(call.query, "PatchOptions")
            raw, media = await request.read(), request.content_type
            body = decode_yaml(raw) if media.endswith("yaml") else decode_json(raw)
            stored = self._rest.find(call.resource, call.namespace, call.name)
            if media == patching.APPLY:
                obj, entries = scaling.apply(self._rest, call, stored, body)
            elif media in (patching.JSON_PATCH, patching.MERGE, patching.STRATEGIC):
                old = scaling.view(call, self._rest.view(call.resource, stored))
                wanted = json_patch(old, body) if media == patching.JSON_PATCH else merge_patch(old, body)
                obj = self._scaled(call, stored, wanted)
            else:
                raise err.unsupported_media()
        else:
            raise err.method_not_allowed()
        fitted = self._rest.fit(call, obj)
        done = await self._rest.replace(call, stored, fitted, entries=entries, partial=True)
        return self._scale_answer(call, done, form)

    def _scaled(self, call: Call, stored: Stored, wanted: Any) -> Obj:
        replicas = scaling.check(call, wanted, stored)
        obj = self._rest.view(call.resource, stored)
        scaling.put_replicas(call, obj, replicas)
        return obj

    def _scale_answer(self, call: Call, stored: Stored, form: Form) -> web.Response:
        obj = self._rest.view(call.resource, stored)
        body = scaling.view(call, obj)
        if form.shape == "Table":
            now = self._rest.now()
            body = printing.table(call.resource, [obj], version=form.version, include="", now=now)
        return answer(msgspec.json.encode(body), form)

    async def binding(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Give a pod its node, once."""
        body = await read_body(request)
        target = (body.get("target") or {}).get("name", "") if isinstance(body, dict) else ""
        if not target:
            raise err.invalid("Binding", "", call.name, [err.required("target.name")])
        stored = self._rest.find(call.resource, call.namespace, call.name)
        obj = stored.load()
        spec = obj.setdefault("spec", {})
        if obj["metadata"].get("deletionTimestamp"):
            raise err.conflict(
                "pods/binding", "", call.name, f"pod {call.name} is being deleted, cannot be assigned to a host"
            )
        if spec.get("nodeName"):
            why = f'pod {call.name} is already assigned to node "{spec["nodeName"]}"'
            raise err.conflict("pods/binding", "", call.name, why)
        spec["nodeName"] = target
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [item for item in conditions if item.get("type") != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": self._rest.stamp()}
        )
        if not call.dry_run:
            self._rest.store.put(call.resource.store_key, obj)
        return _success(form, 201)

    async def eviction(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Delete a pod if its disruption budgets allow; 429 otherwise."""
        body = await read_body(request) or {}
        stored = self._rest.find(call.resource, call.namespace, call.name)
        pod = stored.load()
        chosen = dict(body.get("deleteOptions") or {})
        done = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending") or pod["metadata"].get(
            "deletionTimestamp"
        )
        budgets = [] if done else self._budgets(stored)
        if len(budgets) > 1:
            message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise err.ApiError(500, "InternalError", message)
        if budgets and self._ready(pod):
            self._spend(call, budgets[0], dry_run=call.dry_run or bool(chosen.get("dryRun")))
        await self._rest.delete(call, stored, chosen)
        return _success(form, 201)

    def _budgets(self, pod: Stored) -> list[Stored]:
        found = self._rest.store.collection("poddisruptionbudgets.policy").scan(pod.namespace)
        return [item for item in found if match_selector((item.load().get("spec") or {}).get("selector"), pod.labels)]

    @staticmethod
    def _ready(pod: Obj) -> bool:
        conditions = (pod.get("status") or {}).get("conditions") or ()
        return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)

    def _spend(self, call: Call, budget: Stored, *, dry_run: bool) -> None:
        obj = budget.load()
        status = obj.setdefault("status", {})
        if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 1):
            cause = err.Cause(
                "", f"The disruption budget {budget.name} is still being processed by the server.", "DisruptionBudget"
            )
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise err.too_many_requests(message, causes=[cause], retry_after=10)
        if status.get("disruptionsAllowed", 0) <= 0:
            need, have = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
            cause = err.Cause(
                "",
                f"The disruption budget {budget.name} needs {need} healthy pods and has {have} currently",
                "DisruptionBudget",
            )
            raise err.too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget.", causes=[cause]
            )
        if dry_run:
            return
        status["disruptionsAllowed"] -= 1
        status.setdefault("disruptedPods", {})[call.name] = self._rest.stamp()
        self._rest.store.put("poddisruptionbudgets.policy", obj)

    async def token(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """TokenRequest."""
        body = await read_body(request) or {}
        stored = self._rest.find(call.resource, call.namespace, call.name)
        spec = body.get("spec") or {}
        shortest, usual, longest = _TOKEN_SECONDS
        seconds = spec.get("expirationSeconds") or usual
        if seconds < shortest:
            cause = err.invalid_value(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
            )
            raise err.invalid("TokenRequest", "authentication.k8s.io", "", [cause])
        seconds = min(seconds, longest)
        pod = self._bound_pod(call, spec.get("boundObjectRef"))
        now = self._rest.now()
        token = self._authenticator.issue(
            namespace=call.namespace,
            name=call.name,
            uid=stored.uid,
            now=int(now.timestamp()),
            seconds=seconds,
            audiences=list(spec.get("audiences") or ()),
            pod=pod,
        )
        expiry = format_time(now.fromtimestamp(now.timestamp() + seconds, tz=now.tzinfo))
        result = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": call.name, "namespace": call.namespace, "creationTimestamp": self._rest.stamp()},
            "spec": {
                **spec,
                "expirationSeconds": seconds,
                "audiences": spec.get("audiences") or ["https://kubernetes.default.svc.cluster.local"],
            },
            "status": {"token": token, "expirationTimestamp": expiry},
        }
        return answer(msgspec.json.encode(result), Form(yaml=form.yaml), status=201)

    def _bound_pod(self, call: Call, ref: Any) -> dict[str, str] | None:
        if not ref:
            return None
        if ref.get("kind") != "Pod":
            raise err.not_implemented(f"tokens bound to a {ref.get('kind')}")
        pod = self._rest.store.collection("pods").get(call.namespace, ref.get("name", ""))
        if pod is None:
            raise err.not_found("pods", "", ref.get("name", ""))
        if ref.get("uid") and ref["uid"] != pod.uid:
            why = f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record"
            raise err.conflict("pods", "", pod.name, why)
        return {"name": pod.name, "uid": pod.uid}

    async def finalize(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Replace a namespace's spec.finalizers."""
        obj = self._rest.fit(call, await read_body(request))
        stored = self._rest.find(call.resource, call.namespace, call.name)
        result = await self._rest.replace(call, stored, obj)
        return answer(result.raw, Form(yaml=form.yaml))


def _success(form: Form, code: int) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    return answer(msgspec.json.encode(body), Form(yaml=form.yaml), status=code)
