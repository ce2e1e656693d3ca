"""CustomResourceDefinitions out of the Pydantic models.

Kubernetes wants a *structural* schema: no `$ref`, no `title`, no `anyOf` with null. Pydantic writes all three, so this
module inlines, drops and merges them. Defaults that contain null are pruned, because newer API servers refuse them.
"""

from typing import Any

from operators.api.base import GROUP, VERSION, Resource, rules

_DROPPED = frozenset({"title", "examples", "$defs", "discriminator"})


def crd(kind: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    singular = kind.kind_name.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "haat"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind_name,
                "listKind": f"{kind.kind_name}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": list(kind.short_names),
                "categories": ["all", "live"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema(kind)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.manifest() for column in kind.columns],
                }
            ],
        },
    }


def schema(kind: type[Resource]) -> dict[str, Any]:
    """The structural OpenAPI schema of one kind's whole object."""
    document = kind.model_json_schema(by_alias=True)
    definitions = document.get("$defs", {})
    properties = {part: structural(document["properties"][part], definitions) for part in ("spec", "status")}
    properties["spec"].pop("default", None)
    properties["status"].pop("default", None)
    root: dict[str, Any] = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **properties,
        },
    }
    return root | (rules(*kind.root_rules) if kind.root_rules else {})


def structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """`node` without references and nulls, recursively."""
    node = _resolved(node, definitions)
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if "properties" in result:
        result["properties"] = {name: structural(part, definitions) for name, part in result["properties"].items()}
        _default_objects(result)
    if isinstance(result.get("items"), dict):
        result["items"] = structural(result["items"], definitions)
    if isinstance(result.get("additionalProperties"), dict):
        result["additionalProperties"] = structural(result["additionalProperties"], definitions)
    if "default" in result and _has_null(result["default"]):
        result["default"] = _without_null(result["default"])
        if result["default"] is None:
            del result["default"]
    if result.get("additionalProperties") is True:
        del result["additionalProperties"]
    if isinstance(result.get("description"), str):
        result["description"] = " ".join(result["description"].split())
    return result


def _default_objects(node: dict[str, Any]) -> None:
    """Give optional objects without required members their whole default.

    `{}` would not do: an API server tries the rules of the object on its default before it fills the members in.
    """
    for name, part in node["properties"].items():
        optional = name not in node.get("required", []) and part.pop("x-nullable", None) is None
        if optional and part.get("type") == "object" and "properties" in part and not part.get("required"):
            members = {key: value["default"] for key, value in part["properties"].items() if "default" in value}
            part["default"] = members | part.get("default", {})


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """`node` with `$ref` inlined and `anyOf [X, null]` reduced to X; what stands beside them wins."""
    for combiner in ("anyOf", "allOf"):
        if combiner in node:
            choices = [choice for choice in node[combiner] if choice.get("type") != "null"]
            if len(choices) != 1:
                raise ValueError(f"a structural schema cannot say {combiner} of {len(choices)} types: {node}")
            nullable = {"x-nullable": True} if len(choices) < len(node[combiner]) else {}
            node = choices[0] | nullable | {key: value for key, value in node.items() if key != combiner}
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return _resolved(target | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    return node


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null(item) for item in value.values())
    return value is None


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value
