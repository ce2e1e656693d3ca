"""Small executables that images bring along, written into the state folder at start."""

import sys
from pathlib import Path


def write_shims(folder: Path) -> None:
    """Create `redis-cli` (and its Valkey name) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("redis_cli.py")
    for name in ("redis-cli", "valkey-cli"):
        target = folder / name
        target.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" "$@"\n')
        target.chmod(0o755)
