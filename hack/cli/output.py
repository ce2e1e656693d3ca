"""How results look: tables, JSON, YAML, names; colours and spinners for people only.

Colour and movement go to a terminal alone, and never when NO_COLOR is set (https://no-color.org).
"""

import itertools
import json
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TextIO

import click
import yaml

Obj = dict[str, Any]
FORMATS = ("text", "wide", "json", "yaml", "name")
_GOOD = {"Live", "Standby", "OnAir", "Active", "Armed", "True", "Running", "ok", "Completed"}
_BAD = {"Failed", "Interrupted", "Suspended", "False", "CrashLoopBackOff", "missing", "Warning"}
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def coloured(stream: TextIO | None = None) -> bool:
    """Whether colours are welcome there."""
    target = stream or sys.stdout
    return target.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *, colours: bool) -> str:
    """A phase or status in its colour."""
    word = text.strip()
    if not colours or not word:
        return text
    colour = "green" if word in _GOOD else "red" if word in _BAD else None
    return click.style(text, fg=colour) if colour else text


def columns(rows: Sequence[Sequence[str]], *, colours: bool = False) -> str:
    """Aligned columns; the first row is the head."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        painted = cells if number == 0 else [paint(cell, colours=colours) for cell in cells]
        lines.append("   ".join(painted).rstrip())
    return "\n".join(lines)


def name_of(obj: Obj) -> str:
    """`livestream.haat.dev/launch`, as kubectl writes it."""
    group = str(obj.get("apiVersion", "")).partition("/")[0] if "/" in str(obj.get("apiVersion", "")) else ""
    kind = str(obj.get("kind", "")).lower()
    return f"{kind}.{group}/{obj['metadata']['name']}" if group else f"{kind}/{obj['metadata']['name']}"


def document(obj: Any, output: str) -> str:
    """JSON, YAML or the name of an object, or of each item of a list."""
    if output == "json":
        return json.dumps(obj, indent=2, ensure_ascii=False)
    if output == "yaml":
        return yaml.safe_dump(obj, sort_keys=False, allow_unicode=True).rstrip()
    listed = obj.get("items") if isinstance(obj, dict) else None
    return "\n".join(name_of(item) for item in (listed if listed is not None else [obj]))


def without_noise(obj: Obj) -> Obj:
    """The object without managedFields, which nobody reads."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


class Progress:
    """One line that changes, on a terminal; elsewhere a line for each change."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._frames = itertools.cycle(_FRAMES)
        self._shown = ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving and self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def show(self, text: str) -> None:
        """What is waited for now; call it again to turn the spinner."""
        if self._moving:
            self._stream.write(f"\r\033[K{next(self._frames)} {text}")
        elif text != self._shown:
            self._stream.write(f"{text}\n")
        self._stream.flush()
        self._shown = text
