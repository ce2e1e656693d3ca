"""Rewriting of mount paths, the stand-in for a mount namespace.

A process without a mount namespace of its own cannot see /etc/app/config where the pod asks for it; the agent puts
the volume in a private folder and rewrites the path wherever env values, command and args name it. Trap avoided:
rewriting what only looks like the path (`/etc/app2`, the path part of a URL); a match must start and end at a path
border.
"""

import re
from collections.abc import Mapping


class PathRewriter:
    """Replaces mount paths by private folders; the longest mount path wins, and results are not rewritten again."""

    def __init__(self, mounts: Mapping[str, str]) -> None:
        self._mounts = {path.rstrip("/"): target for path, target in mounts.items() if path.rstrip("/")}
        ordered = sorted(self._mounts, key=len, reverse=True)
        choices = "|".join(re.escape(path) for path in ordered)
        # Before: no path or host character, unless a URL's empty authority (file:///path). After: no name character.
        self._pattern = (
            re.compile(rf"(?:(?<![\w.\-/$@])|(?<=:///)|(?<=:\/\/))({choices})(?![\w\-]|\.\w)") if ordered else None
        )

    def text(self, value: str) -> str:
        if self._pattern is None:
            return value
        return self._pattern.sub(lambda match: self._mounts[match.group(1)], value)

    def path(self, value: str) -> str:
        """Rewrite one whole path, for instance a working directory."""
        return self.text(value)
