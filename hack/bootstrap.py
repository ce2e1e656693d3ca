"""From a bare Python to a virtual environment with everything in it. Standard library only: nothing is installed yet.

    python3 hack/bootstrap.py runtime|dev|doctor

The environment is rebuilt only when its lock file changes. Every failure is one sentence that names the fix.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_S3 = ROOT / ".venv-s3"
LOCKS = {name: ROOT / f"hack/requirements/{name}.lock" for name in ("runtime", "dev", "s3")}
NEEDED_GIB = 4.0


class SetupError(Exception):
    """What is wrong with this machine, and the fix, in one sentence."""


def main(arguments: list[str]) -> int:
    """Install a profile or look at the machine; 0 when all is well."""
    profile = arguments[0] if arguments else "runtime"
    if profile not in ("runtime", "dev", "doctor"):
        print("usage: bootstrap.py runtime|dev|doctor", file=sys.stderr)
        return 2
    try:
        check_python(sys.version_info[:2])
        if profile == "doctor":
            return doctor()
        install(profile)
        if profile == "dev":
            install_s3()
    except SetupError as error:
        print(f"haat: {error}", file=sys.stderr)
        return 1
    return 0


def check_python(version: tuple[int, ...]) -> None:
    """Python 3.11 or later, with venv and pip."""
    if version < (3, 11):
        found = ".".join(str(part) for part in version)
        raise SetupError(
            f"Python 3.11 or later is needed, this is {found}; install one, then run `make PYTHON=python3.11 up`."
        )
    if importlib.util.find_spec("ensurepip") is None and not VENV.exists():
        raise SetupError("this Python has no ensurepip; install the package python3-venv and run the command again.")


def check_disk(folder: Path, needed_gib: float) -> None:
    """Enough room for what is about to be installed."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < needed_gib:
        raise SetupError(
            f"{folder} has {free:.1f} GiB free and {needed_gib:.0f} GiB are needed; free some space and run again."
        )


def install(profile: str) -> None:
    """Make the virtual environment hold just what the profile's lock file says, if it does not yet."""
    if is_installed(profile):
        return
    with (ROOT / "hack/requirements" / "runtime.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(profile):
            return
        check_disk(ROOT, NEEDED_GIB)
        if not (VENV / "bin" / "python").exists():
            print(f"==> virtual environment in {VENV.name}", flush=True)
            run_quietly([sys.executable, "-m", "venv", str(VENV)], "the virtual environment could not be made")
        pip_install(profile)
        stamp(profile).write_text("installed\n")


def install_s3() -> None:
    """The S3 server of the tests in an environment of its own, because its packages do not go with the platform's."""
    if stamp("s3").exists():
        return
    with LOCKS["s3"].open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp("s3").exists():
            return
        print(f"==> S3 server for tests in {VENV_S3.name}", flush=True)
        failure = "the S3 server for tests could not be installed"
        run_quietly([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV_S3)], failure)
        command = [str(VENV / "bin/uv"), "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKS["s3"])]
        run_quietly([*command, "--python", str(VENV_S3 / "bin/python")], failure)
        stamp("s3").write_text("installed\n")


def is_installed(profile: str) -> bool:
    """Whether the environment was made from the lock file as it is now (dev contains runtime)."""
    return stamp(profile).exists() or (profile == "runtime" and stamp("dev").exists())


def stamp(profile: str) -> Path:
    """Marker file whose name carries the lock's hash and the interpreter's version."""
    digest = hashlib.sha256(LOCKS[profile].read_bytes()).hexdigest()[:12]
    folder = VENV_S3 if profile == "s3" else VENV
    return folder / f".haat-{profile}-{platform.python_version()}-{digest}"


def pip_install(profile: str) -> None:
    """pip with hashes, shown as a counter."""
    lock = LOCKS[profile]
    total = len(re.findall(r"^[A-Za-z0-9].*==", lock.read_text(), flags=re.MULTILINE))
    command = [str(VENV / "bin/python"), "-m", "pip", "install", "--require-hashes", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--no-input", "-r", str(lock)]
    started, seen = time.monotonic(), 0
    tail: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            tail = [*tail[-15:], line.rstrip()]
            if line.startswith(("Collecting ", "Requirement already")):
                seen += 1
                show(f"==> Python packages {seen}/{total}")
            elif line.startswith("Installing collected"):
                show(f"==> Python packages {total}/{total}, unpacking")
    print(flush=True)
    if process.returncode:
        raise SetupError("pip could not install the packages; its last words:\n  " + "\n  ".join(tail))
    print(f"==> Python packages installed in {time.monotonic() - started:.0f} s", flush=True)


def show(text: str) -> None:
    """A line that overwrites itself on a terminal; elsewhere only every tenth, so that a log stays readable."""
    if sys.stdout.isatty():
        print(f"\r{text}\033[K", end="", flush=True)
    elif re.search(r"(0/|unpacking)", text):
        print(text, flush=True)


def run_quietly(command: list[str], failure: str) -> None:
    """Run, and show its output only when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SetupError(f"{failure}: {(result.stderr or result.stdout).strip()[-400:]}")


def doctor() -> int:
    """Look at this machine and say what is missing; 1 when `make up` cannot work."""
    findings: list[tuple[str, str, str]] = [("ok", "python", f"{platform.python_version()} ({sys.executable})")]
    for tool, needed in (("git", True), ("make", True), ("kubectl", False), ("chromium", False), ("ffmpeg", False)):
        found = shutil.which(tool)
        fix = "install it with the distribution's package manager"
        note = found or (fix if needed else f"optional: {WHAT_FOR[tool]}")
        findings.append(("ok" if found else "missing" if needed else "-", tool, note))
    findings.append(disk_finding())
    findings.append(memory_finding())
    findings.append(
        (
            "ok" if is_installed("runtime") else "-",
            "packages",
            "installed" if is_installed("runtime") else "`make up` installs them",
        )
    )
    for state, name, note in findings:
        print(f"{state:8} {name:10} {note}")
    return 1 if any(state == "missing" for state, _, _ in findings) else 0


WHAT_FOR = {
    "kubectl": "talks to the embedded cluster; without it use `.venv/bin/haat get`",
    "chromium": "browser tests",
    "ffmpeg": "the wheel brings one",
}


def disk_finding() -> tuple[str, str, str]:
    """Free space where the checkout lies."""
    free = shutil.disk_usage(ROOT).free / 2**30
    enough = free >= NEEDED_GIB or is_installed("runtime")
    return (
        "ok" if enough else "missing",
        "disk",
        f"{free:.1f} GiB free" + ("" if enough else f", {NEEDED_GIB:.0f} GiB needed"),
    )


def memory_finding() -> tuple[str, str, str]:
    """Physical memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "ok" if total >= 3 else "missing", "memory", f"{total:.1f} GiB" + ("" if total >= 3 else ", 3 GiB needed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
