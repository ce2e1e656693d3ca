"""`python -m hack.images.locks [--check]`: each image's share of hack/requirements/runtime.lock, hashes and all.

What an image needs follows from what its packages import, so that the operators' image carries no Ray and the models'
no video tools. Trap avoided: a list kept by hand is wrong on the day after somebody adds an import.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hack.cli.paths import ROOT

FOLDER = ROOT / "hack" / "images"
LOCK = ROOT / "hack" / "requirements" / "runtime.lock"
IMAGES = {
    "operators": ("operators", "workloads/common"),
    "workloads": ("workloads", "hack/testsource"),
    "ml-serving": ("ml_serving", "workloads/common"),
}
_OURS = {"operators", "workloads", "ml_serving", "hack", "tests", "benchmarks"}


class LockError(Exception):
    """An import that the lock file does not provide."""


def imported(folder: Path) -> set[str]:
    """Top-level modules of others that the Python files below a folder import."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        if "node_modules" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - _OURS


@cache
def declared() -> dict[str, frozenset[str]]:
    """Distribution -> extras that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["models"]]
    wanted = [Requirement(line) for line in lines]
    return {canonicalize_name(item.name): frozenset(item.extras) for item in wanted}


def closure(roots: Iterable[str]) -> set[str]:
    """The distributions and all that they require on Linux."""
    waiting = [(name, declared().get(name, frozenset())) for name in roots]
    seen: dict[str, frozenset[str]] = {}
    while waiting:
        name, extras = waiting.pop()
        if name in seen and extras <= seen[name]:
            continue
        seen[name] = seen.get(name, frozenset()) | extras
        waiting.extend(_requirements(name, seen[name]))
    return set(seen)


def _requirements(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        lines = requires(name) or ()
    except PackageNotFoundError as error:
        raise LockError(f"{name} is not installed in this environment; run `make setup-dev`.") from error
    for line in lines:
        item = Requirement(line)
        if item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(item.name), frozenset(item.extras)


@cache
def blocks() -> dict[str, str]:
    """Distribution -> its lines of the lock file."""
    parts = re.split(r"^(?=[A-Za-z0-9])", LOCK.read_text(), flags=re.MULTILINE)
    return {canonicalize_name(re.split(r"[=\[ ;]", part)[0]): part for part in parts if part.strip()}


def content(image: str) -> str:
    """The image's lock file. LockError names an import that runtime.lock does not provide."""
    modules = {module for folder in IMAGES[image] for module in imported(ROOT / folder)}
    providers = packages_distributions()
    roots: set[str] = set()
    for module in sorted(modules):
        names = {canonicalize_name(name) for name in providers.get(module, ())} & set(blocks())
        if not names:
            raise LockError(
                f"{image} imports {module}, which {LOCK.name} does not provide; declare it, run `make lock`."
            )
        roots |= names & set(declared()) or names
    return "".join(text for name, text in blocks().items() if name in closure(roots))


def main(arguments: list[str]) -> int:
    """Write the files, or with --check say which differ; 1 when one does."""
    try:
        wanted = {FOLDER / f"{image}.lock": content(image) for image in IMAGES}
    except LockError as error:
        sys.stderr.write(f"haat: {error}\n")
        return 1
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        if stale:
            names = ", ".join(path.name for path in stale)
            sys.stderr.write(f"hack/images: {names} differ; run python -m hack.images.locks\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
