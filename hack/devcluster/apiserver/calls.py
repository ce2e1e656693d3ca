"""One request, parsed: who asks, for which resource, with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hack.devcluster.apiserver.kinds import Resource

MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated (or anonymous) user."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def master(self) -> bool:
        """Member of `system:masters`: RBAC is not asked."""
        return MASTERS in self.groups

    def as_info(self) -> dict[str, Any]:
        """The `userInfo` of reviews and admission."""
        info: dict[str, Any] = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = dict(self.extra)
        return info


SYSTEM = User("system:apiserver", groups=(MASTERS, "system:authenticated"))


@dataclass(slots=True)
class Call:
    """What a handler needs to know.

    `warnings` are sent as `Warning` headers, `duplicates` are the paths that a JSON body named twice.
    """

    user: User
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    agent: str = "unknown"
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    @property
    def manager(self) -> str:
        """The field manager: asked for, or the client's program name."""
        return self.query.get("fieldManager", "") or self.agent.split("/")[0] or "unknown"

    @property
    def dry_run(self) -> bool:
        """True when nothing may be stored."""
        return self.query.get("dryRun", "") == "All"

    @property
    def validation(self) -> str:
        """How unknown fields are treated."""
        return self.query.get("fieldValidation", "") or "Warn"

    @property
    def target(self) -> str:
        """The subresource as managedFields names it."""
        return self.subresource if self.subresource in ("status", "scale") else ""
