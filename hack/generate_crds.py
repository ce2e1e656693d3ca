"""Write crds/*.yaml, their copies in charts/haat-crds, and their reference page; `--check` fails on a difference."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from hack.reference import markdown
from operators.api import KINDS
from operators.api.crd import crd

ROOT = Path(__file__).resolve().parents[1]
HEADER = "# Generated from operators/api by hack/generate-crds: edit the models, not this file.\n"
FOLDERS = (ROOT / "crds", ROOT / "charts" / "haat-crds" / "templates")


def documents() -> dict[str, str]:
    """File name -> content of every CRD."""
    return {f"haat.dev_{kind.plural}.yaml": HEADER + _yaml(crd(kind)) for kind in KINDS}


def _yaml(document: dict[str, Any]) -> str:
    """YAML without anchors: shared sub-objects are written out."""
    return yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False, width=120, allow_unicode=True)


def main(arguments: list[str]) -> int:
    """Write or check the files; 1 when a check finds a difference."""
    check, stale = "--check" in arguments, []
    wanted = {folder / name: content for folder in FOLDERS for name, content in documents().items()}
    wanted[ROOT / "docs" / "reference" / "resources.md"] = markdown()
    for path, content in wanted.items():
        if path.exists() and path.read_text() == content:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    if stale:
        sys.stderr.write(f"{'out of date' if check else 'written'}: {', '.join(stale)}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
