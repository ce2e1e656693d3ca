"""Tools that only the distribution has: Chromium for browser tests, kubectl for cluster tests.

They are installed where root or sudo allows it; otherwise the tests that need them are skipped, with one loud line.
"""

import os
import shutil
import subprocess

from hack.cli.console import Console

TOOLS = {"chromium": "chromium", "kubectl": "kubernetes-client"}


def ensure(console: Console) -> list[str]:
    """Install what is missing; the names of tools that could not be had."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not missing:
        return []
    if not _apt_get(["update", "-qq"]):
        return _give_up(console, missing)
    for tool in missing:
        console.step(f"installing {TOOLS[tool]} from the distribution")
        _apt_get(["install", "-y", "-qq", "--no-install-recommends", TOOLS[tool]])
    left = [tool for tool in missing if shutil.which(tool) is None]
    return _give_up(console, left) if left else []


def _give_up(console: Console, tools: list[str]) -> list[str]:
    packages = " ".join(TOOLS[tool] for tool in tools)
    console.warn(
        f"NOT TESTED HERE: {', '.join(tools)} is missing and cannot be installed; install {packages} yourself."
    )
    return tools


def _apt_get(arguments: list[str]) -> bool:
    apt, sudo = shutil.which("apt-get"), shutil.which("sudo")
    if apt is None or (os.geteuid() != 0 and sudo is None):
        return False
    prefix = [] if os.geteuid() == 0 else [str(sudo), "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run([*prefix, apt, *arguments], env=environment, capture_output=True, timeout=600, check=False)
    return result.returncode == 0
