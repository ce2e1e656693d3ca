"""Figures as JSON lines, and the table at the end.

{"figure", "value", "unit", "better", "bar", "reference", "reference_value", "ratio", "load"}: `bar` is what we set out
to reach, `reference` what else was measured (or the bar again), `load` the machine's load average at that moment.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    figure: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    bar: float
    reference: str
    reference_value: float
    ratio: float
    load: float

    @property
    def reached(self) -> bool:
        """Whether the bar is met."""
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


def figure(
    name: str,
    value: float,
    unit: str,
    *,
    bar: float,
    better: Literal["lower", "higher"] = "lower",
    reference: str = "bar",
    reference_value: float | None = None,
) -> Figure:
    """Make a figure and print its line."""
    other = bar if reference_value is None else reference_value
    made = Figure(
        figure=name,
        value=round(value, 3),
        unit=unit,
        better=better,
        bar=bar,
        reference=reference,
        reference_value=round(other, 3),
        ratio=round(value / other, 3) if other else 0.0,
        load=round(os.getloadavg()[0], 2),
    )
    print(json.dumps(asdict(made)), flush=True)
    return made


def table(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = ["| figure | measured | bar | reached |", "|---|---|---|---|"]
    for item in figures:
        sign = "<=" if item.better == "lower" else ">="
        reached = "yes" if item.reached else "**no**"
        rows.append(f"| {item.figure} | {item.value:g} {item.unit} | {sign} {item.bar:g} {item.unit} | {reached} |")
    return "\n".join(rows)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def note(text: str) -> None:
    """Progress on stderr, so that stdout stays JSON lines and the table."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
