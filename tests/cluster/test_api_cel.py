"""Rules of CRDs: which definitions are refused, what a failing rule says, transitions, and ratcheting."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .conftest import Api, Raw, Reply, until

Obj = dict[str, Any]
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
SPEC: Obj = {
    "type": "object",
    "required": ["size"],
    "x-kubernetes-validations": [
        {"rule": "self.size == oldSelf.size", "message": "size is immutable"},
        {"rule": "!has(self.n) || self.n < 10", "messageExpression": "'too big: ' + self.size", "fieldPath": ".n"},
        {"rule": "!has(self.fixed) || self.fixed == oldSelf.?fixed.orValue(self.fixed)"},
        {
            "rule": "!has(self.born) || oldSelf.hasValue() || self.born == 'now'",
            "optionalOldSelf": True,
            "reason": "FieldValueForbidden",
            "message": "born now",
        },
    ],
    "properties": {
        "size": {"type": "string", "maxLength": 10, "enum": ["big", "small"]},
        "n": {"type": "integer"},
        "fixed": {"type": "string", "maxLength": 5},
        "born": {"type": "string", "maxLength": 5},
        "note": {"type": "string", "maxLength": 5},
        "amount": {
            "type": "string",
            "maxLength": 10,
            "x-kubernetes-validations": [
                {"rule": "isQuantity(self) && quantity(self).isLessThan(quantity('10'))", "message": "less than 10"}
            ],
        },
        "address": {
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": [
                {"rule": "isIP(self) && ip(self).family() == 4", "message": "an IPv4 address"}
            ],
        },
        "range": {
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": [{"rule": "isCIDR(self) && cidr(self).containsIP('10.1.2.3')"}],
        },
        "home": {
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": [{"rule": "isURL(self) && url(self).getScheme() == 'https'"}],
        },
        "version": {
            "type": "string",
            "maxLength": 20,
            "x-kubernetes-validations": [{"rule": "isSemver(self) && semver(self).major() == 1"}],
        },
        "code": {
            "type": "string",
            "maxLength": 20,
            "x-kubernetes-validations": [{"rule": "self.find('[0-9]+') == '42'"}],
        },
        "numbers": {
            "type": "array",
            "maxItems": 5,
            "items": {"type": "integer"},
            "x-kubernetes-validations": [{"rule": "self.isSorted() && self.sum() < 100"}],
        },
        "limits": {
            "type": "object",
            "maxProperties": 5,
            "additionalProperties": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0"}]},
        },
        "items": {
            "type": "array",
            "maxItems": 5,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["sku"],
            "items": {
                "type": "object",
                "required": ["sku"],
                "x-kubernetes-validations": [
                    {"rule": "self.price >= oldSelf.price", "message": "never cheaper", "fieldPath": ".price"}
                ],
                "properties": {"sku": {"type": "string", "maxLength": 5}, "price": {"type": "integer", "default": 5}},
            },
        },
    },
}


def definition(group: str, spec: Obj, **version: Any) -> Obj:
    schema = {"type": "object", "properties": {"spec": spec}}
    first = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
    names = {"plural": "gadgets", "kind": "Gadget"}
    body = {"group": group, "scope": "Namespaced", "names": names, "versions": [first]}
    return {"metadata": {"name": f"gadgets.{group}"}, "spec": body}


class Gadgets:
    """The CRD's objects in the test's namespace."""

    def __init__(self, raw: Raw, namespace: str, group: str) -> None:
        self.raw, self.group = raw, group
        self.path = f"/apis/{group}/v1/namespaces/{namespace}/gadgets"

    async def post(self, name: str = "one", **spec: Any) -> Reply:
        head = {"apiVersion": f"{self.group}/v1", "kind": "Gadget", "metadata": {"name": name}}
        return await self.raw("POST", self.path, {**head, "spec": {"size": "small", **spec}})

    async def patch(self, **spec: Any) -> Reply:
        return await self.raw("PATCH", f"{self.path}/one", {"spec": spec}, media=MERGE)


@pytest.fixture
async def gadgets(api: Api, raw: Raw) -> AsyncIterator[Gadgets]:
    group = f"g{uuid.uuid4().hex[:8]}.example.dev"
    reply = await raw("POST", PATH, definition(group, SPEC))
    assert reply.status == 201, reply.body
    found = Gadgets(raw, api.namespace, group)

    async def served() -> bool:
        return (await raw("GET", found.path)).status == 200 and (await found.post("probe", n=99)).status == 422

    await until(served, 20)
    yield found
    await raw("DELETE", f"{PATH}/gadgets.{group}")


@pytest.mark.parametrize(
    ("spec", "field", "reason", "message"),
    [
        pytest.param(
            {"n": 10}, "spec.n", "FieldValueInvalid", "Invalid value: too big: small", id="message expression"
        ),
        pytest.param(
            {"born": "then"}, "spec", "FieldValueForbidden", "Forbidden: born now", id="optional old value and reason"
        ),
        pytest.param(
            {"amount": "11"}, "spec.amount", "FieldValueInvalid", 'Invalid value: "11": less than 10', id="quantity"
        ),
        pytest.param(
            {"address": "::1"}, "spec.address", "FieldValueInvalid", 'Invalid value: "::1": an IPv4 address', id="ip"
        ),
        pytest.param(
            {"range": "192.168.0.0/16"},
            "spec.range",
            "FieldValueInvalid",
            "Invalid value: \"192.168.0.0/16\": failed rule: isCIDR(self) && cidr(self).containsIP('10.1.2.3')",
            id="cidr",
        ),
        pytest.param(
            {"home": "http://x.example"},
            "spec.home",
            "FieldValueInvalid",
            "Invalid value: \"http://x.example\": failed rule: isURL(self) && url(self).getScheme() == 'https'",
            id="url",
        ),
        pytest.param(
            {"version": "2.0.0"},
            "spec.version",
            "FieldValueInvalid",
            'Invalid value: "2.0.0": failed rule: isSemver(self) && semver(self).major() == 1',
            id="semver",
        ),
        pytest.param(
            {"code": "a1"},
            "spec.code",
            "FieldValueInvalid",
            "Invalid value: \"a1\": failed rule: self.find('[0-9]+') == '42'",
            id="regex",
        ),
        pytest.param(
            {"numbers": [3, 1]},
            "spec.numbers",
            "FieldValueInvalid",
            "Invalid value: failed rule: self.isSorted() && self.sum() < 100",
            id="list",
        ),
        pytest.param(
            {"limits": {"a": 0}},
            "spec.limits[a]",
            "FieldValueInvalid",
            "Invalid value: 0: failed rule: self > 0",
            id="map",
        ),
    ],
)
async def test_rules_say_what_failed(gadgets: Gadgets, spec: Obj, field: str, reason: str, message: str) -> None:
    reply = await gadgets.post(**spec)
    assert (reply.status, reply.causes) == (422, [(field, reason, message)])


async def test_what_the_rules_allow(gadgets: Gadgets) -> None:
    good: Obj = {"n": 9, "born": "now", "amount": "9500m", "address": "10.0.0.1", "range": "10.0.0.0/8"}
    good |= {"home": "https://x.example/a", "version": "1.2.3", "code": "a42", "numbers": [1, 2], "limits": {"a": 1}}
    reply = await gadgets.post(**good)
    assert reply.status == 201, reply.body


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        pytest.param({"size": "big"}, "spec", "Invalid value: size is immutable", id="scalar"),
        pytest.param(
            {"items": [{"sku": "b", "price": 9}, {"sku": "a", "price": 1}]},
            "spec.items[1].price",
            "Invalid value: never cheaper",
            id="item of a map list",
        ),
    ],
)
async def test_transition_rules(gadgets: Gadgets, change: Obj, field: str, message: str) -> None:
    assert (await gadgets.post(items=[{"sku": "a", "price": 7}])).status == 201
    reply = await gadgets.patch(**change)
    assert reply.status == 422
    assert (field, "FieldValueInvalid", message) in reply.causes
    assert (await gadgets.patch(items=[{"sku": "b", "price": 1}])).status == 200


async def test_rules_wait_for_a_valid_object(gadgets: Gadgets) -> None:
    reply = await gadgets.post(n="ten")
    why = "some validation rules were not checked because the object was invalid; correct the existing errors"
    assert ("<nil>", "FieldValueInvalid", f"Invalid value: null: {why} to complete validation") in reply.causes


async def test_what_was_wrong_before_may_stay(gadgets: Gadgets) -> None:
    assert (await gadgets.post(note="abc", n=5)).status == 201
    path = f"{PATH}/gadgets.{gadgets.group}"
    crd = (await gadgets.raw("GET", path)).body
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["note"]["maxLength"] = 2
    spec["x-kubernetes-validations"][1]["rule"] = "!has(self.n) || self.n < 3"
    assert (await gadgets.raw("PUT", path, crd)).status == 200

    async def stricter() -> bool:
        return (await gadgets.post("probe", n=5)).status == 422

    await until(stricter, 20)
    labelled = await gadgets.raw("PATCH", f"{gadgets.path}/one", {"metadata": {"labels": {"a": "b"}}}, media=MERGE)
    assert labelled.status == 200, labelled.body
    assert (await gadgets.patch(note="abd")).status == 422


def one(**schema: Any) -> Obj:
    return {"type": "object", "properties": {"a": schema}}


A = "spec.validation.openAPIV3Schema.properties[spec].properties[a]"


@pytest.mark.parametrize(
    ("spec", "field", "part"),
    [
        pytest.param(one(), f"{A}.type", "must not be empty for specified object fields", id="no type"),
        pytest.param(one(type="odd"), f"{A}.type", 'Unsupported value: "odd"', id="odd type"),
        pytest.param(one(type="array"), f"{A}.items", "must be specified", id="no items"),
        pytest.param(one(type="string", default=3), f"{A}.default", "must be of type string", id="default"),
        pytest.param(
            one(type="array", items={"type": "string"}, uniqueItems=True),
            f"{A}.uniqueItems",
            "quadratic",
            id="uniqueItems",
        ),
        pytest.param(
            one(type="object", properties={"b": {"type": "string"}}, additionalProperties={"type": "string"}),
            f"{A}.additionalProperties",
            "mutual exclusive",
            id="both properties",
        ),
        pytest.param(
            one(type="string", **{"x-kubernetes-validations": [{"rule": "self.("}]}),
            f"{A}.x-kubernetes-validations[0].rule",
            "compilation failed: ERROR: <input>:1:6: Syntax error",
            id="syntax",
        ),
        pytest.param(
            one(type="string", **{"x-kubernetes-validations": [{"rule": "self.nope()"}]}),
            f"{A}.x-kubernetes-validations[0].rule",
            "undeclared reference to 'nope'",
            id="unknown function",
        ),
        pytest.param(
            one(
                type="object",
                properties={"b": {"type": "string"}},
                **{"x-kubernetes-validations": [{"rule": "self.c == 'x'"}]},
            ),
            f"{A}.x-kubernetes-validations[0].rule",
            "undefined field 'c'",
            id="unknown field",
        ),
        pytest.param(
            one(type="string", maxLength=5, **{"x-kubernetes-validations": [{"rule": "self == 'a'", "reason": "Odd"}]}),
            f"{A}.x-kubernetes-validations[0].reason",
            'Unsupported value: "Odd"',
            id="reason",
        ),
        pytest.param(
            one(
                type="string",
                maxLength=5,
                **{"x-kubernetes-validations": [{"rule": "self == 'a'", "optionalOldSelf": True}]},
            ),
            f"{A}.x-kubernetes-validations[0].optionalOldSelf",
            "may not be set if oldSelf is not used in rule",
            id="optionalOldSelf",
        ),
        pytest.param(
            one(
                type="array",
                maxItems=3,
                items={"type": "string", "maxLength": 5, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
            ),
            f"{A}.items.x-kubernetes-validations[0].rule",
            "oldSelf cannot be used on the uncorrelatable portion of the schema",
            id="uncorrelatable",
        ),
    ],
)
async def test_definitions_that_are_refused(raw: Raw, spec: Obj, field: str, part: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.dev"
    reply = await raw("POST", PATH, definition(group, spec))
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    texts = [text for name, _, text in reply.causes if name == field]
    assert any(part in text for text in texts), reply.causes
