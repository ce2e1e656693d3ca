"""`python -m benchmarks [plane …]`: run the benchmarks of these planes, or of all."""

import importlib
import sys

from benchmarks.report import note, table

PLANES = ("cluster", "operators", "devcluster", "sales", "media", "ingest", "edge", "transcode", "commerce")


def main(arguments: list[str]) -> int:
    """Run; 2 when the name is unknown."""
    chosen = [name for name in arguments if name] or list(PLANES)
    if unknown := set(chosen) - set(PLANES):
        note(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PLANES)}")
        return 2
    figures = [item for name in chosen for item in importlib.import_module(f"benchmarks.{name}").run()]
    print()
    print(table(figures))
    return 0


sys.exit(main(sys.argv[1:]))
