"""Each reason that a condition may carry stands in docs/reference/conditions.md, and no other one does.

Reasons are read from the syntax tree, so that a new one fails here before a person meets it in a status.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.core.health import WAITING_REASONS

ROOT = Path(__file__).resolve().parents[3]
OPERATORS = ROOT / "operators"
PAGE = ROOT / "docs" / "reference" / "conditions.md"
KINDS = {"livestream": "LiveStream", "channel": "Channel", "flashsale": "FlashSale"}
WORD = re.compile(r"[A-Z][A-Za-z]+")
REASON_AT = {"Fact": 2, "ApplyRejected": 2, "ProgrammeError": 0}
"""Calls that give a reason, and the place of the reason among their arguments."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(OPERATORS.rglob("*.py")):
        yield path, ast.parse(path.read_text(), str(path))


def texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be: of a choice, both."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REASON_AT:
                yield path, node.func.id, node


def facts() -> set[tuple[str, str, str]]:
    """(kind, condition, reason) of every Fact whose type and reason stand in the code."""
    found = set()
    for path, name, call in calls():
        kind = KINDS.get(path.relative_to(OPERATORS).parts[0])
        if name == "Fact" and kind:
            for condition in texts(call.args[0]):
                found |= {(kind, condition, reason) for reason in texts(call.args[2])}
    return found


def pairs() -> Iterator[str]:
    """First words of (reason, text) tuples in modules that hand reasons on: acceptance, health, usage."""
    for path, tree in trees():
        if path.name not in ("acceptance.py", "health.py", "usage.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple) and len(node.elts) > 1:
                yield from (text for text in texts(node.elts[0]) if WORD.fullmatch(text))
                if isinstance(node.elts[0], ast.BoolOp | ast.IfExp):
                    inner = (item for item in ast.walk(node.elts[0]) if isinstance(item, ast.Constant))
                    yield from (str(item.value) for item in inner if WORD.fullmatch(str(item.value)))


def reasons() -> set[str]:
    """All reasons of the code, of whichever condition."""
    found = {reason for _, name, call in calls() for reason in texts(call.args[REASON_AT[name]])}
    return found | set(pairs()) | set(WAITING_REASONS)


def rows() -> Iterator[tuple[str, list[str]]]:
    """(section, cells) of every row of the page's tables."""
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| condition", "| reason")):
            yield section, [cell.strip() for cell in line.strip("|").split("|")]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([A-Z][A-Za-z]+)`", cell)


def documented() -> set[tuple[str, str, str]]:
    """(kind, condition, reason) of the page."""
    return {
        (section, condition, reason)
        for section, cells in rows()
        if section in KINDS.values()
        for condition in quoted(cells[0])
        for reason in quoted(cells[1])
    }


def words_of_the_page() -> set[str]:
    found = {reason for section, cells in rows() if section not in KINDS.values() for reason in quoted(cells[0])}
    return found | {reason for _, _, reason in documented()}


@pytest.mark.parametrize("fact", sorted(facts()), ids="-".join)
def test_a_fact_stands_in_its_kinds_table(fact: tuple[str, str, str]) -> None:
    assert fact in documented()


@pytest.mark.parametrize("reason", sorted(reasons() - {"Ready"}))
def test_a_reason_stands_on_the_page(reason: str) -> None:
    assert reason in words_of_the_page()


def test_the_page_names_no_reason_that_the_code_does_not_have() -> None:
    literals = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert words_of_the_page() - {"Accepted"} <= literals


def test_the_collection_finds_what_it_is_for() -> None:
    assert ("LiveStream", "CapacityReserved", "PoolExhausted") in facts()
    assert ("Channel", "Provisioned", "Creating") in facts()
    assert {"SlugTaken", "CronInvalid", "ViewersExceeded", "ChildConflict", "Unschedulable"} <= reasons()
    assert {"FailedCreate", "CrashLoopBackOff", "InvalidSpec"} <= reasons()
