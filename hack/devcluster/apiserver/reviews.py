"""Reviews: objects that are questions. Tokens, own identity, access."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.auth import ISSUER, Authenticator
from hack.devcluster.apiserver.calls import Call, User
from hack.devcluster.apiserver.handlers import Handlers
from hack.devcluster.apiserver.http import answer, read_body
from hack.devcluster.apiserver.rbac import Attributes, Rbac

Obj = dict[str, Any]
_WORKLESS = {"incomplete": False}


class Reviews:
    """Handlers by plural name."""

    def __init__(self, handlers: Handlers, authenticator: Authenticator, rbac: Rbac) -> None:
        self._authenticator = authenticator
        self._rbac = rbac
        self._rest = handlers.rest
        handlers.reviews.update(
            {
                "tokenreviews": self._answering(self.token),
                "selfsubjectreviews": self._answering(self.myself),
                "selfsubjectaccessreviews": self._answering(self.own_access),
                "subjectaccessreviews": self._answering(self.access),
                "localsubjectaccessreviews": self._answering(self.access),
                "selfsubjectrulesreviews": self._answering(self.own_rules),
            }
        )

    def _answering(self, ask: Any) -> Any:
        async def handle(request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
            body = self._rest.fit(call, await read_body(request))
            result = {"kind": body["kind"], "apiVersion": body["apiVersion"], "metadata": {}}
            result["spec"] = body.get("spec") or {}
            result["status"] = ask(call, result["spec"])
            if call.resource.plural == "selfsubjectreviews":
                del result["spec"]
                result["metadata"] = {"creationTimestamp": self._rest.stamp()}
            elif call.resource.plural == "selfsubjectrulesreviews":
                result["spec"] = {}
            return answer(msgspec.json.encode(result), Form(yaml=form.yaml), status=201, warnings=call.warnings)

        return handle

    def token(self, call: Call, spec: Obj) -> Obj:
        """TokenReview."""
        try:
            user = self._authenticator.user_of_token(str(spec.get("token") or ""))
        except err.ApiError:
            return {"error": "invalid bearer token", "user": {}}
        return {"authenticated": True, "user": user.as_info(), "audiences": spec.get("audiences") or [ISSUER]}

    def myself(self, call: Call, spec: Obj) -> Obj:
        """SelfSubjectReview."""
        return {"userInfo": call.user.as_info()}

    def own_access(self, call: Call, spec: Obj) -> Obj:
        """SelfSubjectAccessReview."""
        return self._decide(call.user, spec)

    def access(self, call: Call, spec: Obj) -> Obj:
        """SubjectAccessReview."""
        if not spec.get("user") and not spec.get("groups"):
            cause = err.invalid_value(
                "spec.user", spec.get("user", ""), "at least one of user or group must be specified"
            )
            raise err.invalid("", call.resource.group, "", [cause])
        user = User(spec.get("user") or "", groups=tuple(spec.get("groups") or ()))
        return self._decide(user, spec)

    def _decide(self, user: User, spec: Obj) -> Obj:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(resource) == bool(path):
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            cause = err.invalid_value("spec.resourceAttributes", resource, why)
            raise err.invalid("", "authorization.k8s.io", "", [cause])
        if resource is None or path:
            path = path or {}
            allowed = self._rbac.permits_path(user, path.get("verb", ""), path.get("path", ""))
            return {"allowed": allowed}
        ask = Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
        )
        why = self._rbac.reason(user, ask)
        return {"allowed": True, "reason": why} if why else {"allowed": self._rbac.permits(user, ask)}

    def own_rules(self, call: Call, spec: Obj) -> Obj:
        """SelfSubjectRulesReview."""
        if not spec.get("namespace"):
            raise err.bad_request("no namespace on request")
        everything = [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
        rules = everything if call.user.master else list(self._rbac.rules(call.user, spec["namespace"]))
        return {
            "resourceRules": [rule for rule in rules if rule.get("resources")],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
            **_WORKLESS,
        }
