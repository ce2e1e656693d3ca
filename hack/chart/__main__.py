"""`python -m hack.chart [--check]`: write values.schema.json and the README's table, or say which differs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hack.chart.schema import SERVICES, values_schema
from hack.cli.paths import CHARTS

CHART = CHARTS / "haat"
BEGIN, END = "<!-- values: python -m hack.chart -->", "<!-- end of values -->"
_PARTS = ("ladders", "pools", "models", "cdnProviders", "sizes")


def rows(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, default, description) of each value; services share one block of pod settings."""
    for name, part in schema.get("properties", {}).items():
        here, value = f"{path}{name}", values[name]
        if not path and name in _PARTS:
            shown = ", ".join(value) if name != "sizes" else "see values.yaml"
            yield here, shown or "{}", part["description"]
        elif part.get("properties") and name != "resources":
            yield from rows(part, value, f"{here}.")
        else:
            yield here, json.dumps(value), part.get("description", "")


def table() -> str:
    """The Markdown table."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, description in rows(values_schema(), values):
        head = path.split(".")[0]
        text = f"{SERVICES[head]}: {description}" if head in SERVICES and path.count(".") == 1 else description
        cells = (f"`{path}`", f"`{default}`", text.replace("|", "\\|").replace("<", "&lt;"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def files() -> dict[Path, str]:
    """Path -> content."""
    readme = (CHART / "README.md").read_text()
    head, rest = readme.split(BEGIN)
    tail = rest.split(END)[1]
    return {
        CHART / "values.schema.json": json.dumps(values_schema(), indent=1) + "\n",
        CHART / "README.md": f"{head}{BEGIN}\n{table()}\n{END}{tail}",
    }


def main(arguments: list[str]) -> int:
    """Write, or with --check compare; 1 when a file differs."""
    wanted = files()
    if "--check" in arguments:
        stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        if stale:
            sys.stderr.write(f"{', '.join(stale)} of charts/haat is stale; run python -m hack.chart\n")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
