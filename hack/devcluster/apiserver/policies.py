"""ValidatingAdmissionPolicy: CEL expressions that refuse a request, bound to resources by bindings.

Decisions of all bindings are taken before one refuses, as upstream; `Audit` has nowhere to go here and is passed over.
Type checking of expressions against a schema (`status.typeChecking`) is not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hack.devcluster.apiserver import admissioncel
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.attributes import Attributes, Selection, of_write
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.celerrors import EvalError
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.selectors import match_selector

Obj = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
POLICIES, BINDINGS = f"validatingadmissionpolicies.{GROUP}", f"validatingadmissionpolicybindings.{GROUP}"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
Failure = tuple[str, str]


class ParamsMissing(ValueError):
    """The parameters of a binding could not be found."""


class Policies:
    """Hook of `rest`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._store = rest.store
        self._selection = Selection(rest.registry, rest.store)

    async def confirm(self, call: Call, obj: Obj | None, old: Obj | None) -> None:
        """Refuse what a bound policy refuses."""
        policies = self._store.collections.get(POLICIES)
        if policies is None or not len(policies):
            return
        request = of_write(call, obj, old)
        denials: list[tuple[str, str, str]] = []
        for stored in sorted(policies.scan(), key=lambda item: item.name):
            spec = stored.load().get("spec") or {}
            seen = self._match(spec.get("matchConstraints"), request)
            if seen is None:
                continue
            for binding in self._bindings(stored.name, request):
                where = f"ValidatingAdmissionPolicy '{stored.name}' with binding '{binding['metadata']['name']}'"
                actions = binding["spec"].get("validationActions") or ()
                for message, reason in self._failures(spec, binding["spec"], request, seen):
                    if "Deny" in actions:
                        denials.append((where, message, reason))
                    if "Warn" in actions:
                        call.warnings.append(f"Validation failed for {where}: {message}")
        if denials:
            raise _refusal(request, *denials[0])

    def _bindings(self, policy: str, request: Attributes) -> Iterator[Obj]:
        for stored in sorted(self._store.collection(BINDINGS).scan(), key=lambda item: item.name):
            binding = stored.load()
            spec = binding.get("spec") or {}
            match = spec.get("matchResources")
            if spec.get("policyName") == policy and (match is None or self._match(match, request) is not None):
                yield binding

    def _match(self, match: Mapping[str, Any] | None, request: Attributes) -> Resource | None:
        match = match or {}
        every = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*", "*/*"]}]
        seen = self._selection.find(match, match.get("resourceRules") or every, request)
        if seen is None or not match.get("excludeResourceRules"):
            return seen
        return seen if self._selection.find({}, match["excludeResourceRules"], request) is None else None

    def _failures(self, spec: Obj, binding: Obj, request: Attributes, seen: Resource) -> Iterator[Failure]:
        ignore = spec.get("failurePolicy") == "Ignore"
        try:
            params = self._params(spec.get("paramKind"), binding.get("paramRef"), request)
        except ParamsMissing as problem:
            if not ignore:
                yield f"failed to configure binding: {problem}", ""
            return
        space = self._store.collection("namespaces").get("", request.namespace) if request.namespace else None
        shown = space.load() if space is not None and request.resource.store_key != "namespaces" else None
        for param in params:
            data = admissioncel.data_of(request, seen, namespace=shown, params=param)
            yield from _judge(spec, data, ignore=ignore)

    def _params(self, kind: Obj | None, ref: Obj | None, request: Attributes) -> list[Obj | None]:
        if not kind or not ref:
            return [None]
        resource = self._rest.registry.of_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
        if resource is None:
            raise ParamsMissing(
                f"failed to find resource referenced by paramKind: '{kind.get('apiVersion')}, Kind={kind.get('kind')}'"
            )
        namespace = ref.get("namespace") or (request.namespace if resource.namespaced else "")
        found = list(self._store.collection(resource.store_key).scan(namespace))
        chosen = [
            item
            for item in found
            if (item.name == ref["name"] if ref.get("name") else match_selector(ref.get("selector"), item.labels))
        ]
        if not chosen and ref.get("parameterNotFoundAction", "Deny") == "Deny":
            raise ParamsMissing("no params found for policy binding with `Deny` parameterNotFoundAction")
        return [self._rest.view(resource, item) for item in chosen]


def _judge(spec: Obj, data: Obj, *, ignore: bool) -> Iterator[Failure]:
    """(message, reason) of every validation that fails for one set of parameters."""
    problems: list[str] = []
    for item in spec.get("matchConditions") or ():
        try:
            if admissioncel.run(item["expression"], data) is False:
                return
        except EvalError as problem:
            problems.append(f"expression '{item['expression']}' resulted in error: {problem}")
    if problems:
        if not ignore:
            yield problems[0], ""
        return
    variables = {item["name"]: item["expression"] for item in spec.get("variables") or ()}
    for item in spec.get("validations") or ():
        text = item["expression"]
        try:
            _compose(text, variables, data)
            passed = admissioncel.run(text, data)
        except EvalError as problem:
            if not ignore:
                yield f"expression '{text}' resulted in error: {problem}", ""
            continue
        if passed is not True:
            yield _message(item, variables, data), item.get("reason") or "Invalid"


def _compose(text: str, variables: Mapping[str, str], data: Obj) -> None:
    """Evaluate the variables that an expression reads, and those that these read."""
    for name in sorted(admissioncel.used_variables(text)):
        if name in variables and name not in data["variables"]:
            try:
                _compose(variables[name], variables, data)
                data["variables"][name] = admissioncel.run(variables[name], data)
            except EvalError as problem:
                raise EvalError(f'composited variable "{name}" fails to evaluate: {problem}') from problem


def _message(item: Obj, variables: Mapping[str, str], data: Obj) -> str:
    text = item.get("messageExpression")
    if text:
        try:
            _compose(text, variables, data)
            made = admissioncel.run(text, data)
        except EvalError:
            made = None
        if isinstance(made, str) and made.strip() and "\n" not in made.strip():
            return made.strip()
    return str(item.get("message") or "").strip() or f"failed expression: {item['expression'].strip()}"


def _refusal(request: Attributes, where: str, message: str, reason: str) -> err.ApiError:
    text = f"{where} denied request: {message}"
    resource = request.resource
    problem = err.forbidden(resource.plural, resource.group, request.name, text)
    problem.reason = reason or "Invalid"
    problem.code = _CODES.get(problem.reason, 422)
    problem.details = {**(problem.details or {}), "causes": [{"message": text}]}
    return problem
