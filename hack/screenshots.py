"""docs/images from a running platform: `python -m hack.screenshots` (needs Chromium and the development packages).

The pages are the real ones; the terminal pictures are what kubectl printed, set in a page of the same browser.
"""

import html
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from hack.cli.paths import ENDPOINTS, ROOT

IMAGES = ROOT / "docs" / "images"
AUTOPLAY = "--autoplay-policy=no-user-gesture-required"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
]
SETTLE_SECONDS = 7.0
COMMANDS = (
    ("kubectl-get", ["get", "livestreams,channels,flashsales", "-A"]),
    ("kubectl-pods", ["get", "pods", "-A"]),
)
TERMINAL = """<body style="margin:0;background:#14121f;color:#e8e3d6;display:inline-block">
<pre style="font:15px/1.5 monospace;padding:20px 24px;margin:0">{text}</pre></body>"""


def main() -> int:
    """Take all pictures; 1 when nothing runs or Chromium is missing."""
    executable = shutil.which("chromium")
    if not ENDPOINTS.exists() or executable is None:
        sys.stderr.write("start the platform with `make up` and install chromium first\n")
        return 1
    endpoints = json.loads(ENDPOINTS.read_text())
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page_picture(browser, endpoints["viewer"], "viewer-phone", PHONE)
        page_picture(browser, endpoints["viewer"], "viewer-desktop", DESKTOP)
        page_picture(browser, endpoints["viewer"], "viewer-phone-bn", PHONE, locale="bn-BD", color_scheme="dark")
        page_picture(browser, endpoints["studio"], "studio", DESKTOP)
        for name, arguments in COMMANDS:
            terminal_picture(browser, name, arguments, endpoints["kubeconfig"])
        browser.close()
    return 0


def page_picture(browser: Browser, url: str, name: str, viewport: dict[str, int], **options: str) -> None:
    """One page, after its video has started."""
    context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    time.sleep(SETTLE_SECONDS)
    page.screenshot(path=str(IMAGES / f"{name}.png"))
    context.close()


def terminal_picture(browser: Browser, name: str, arguments: list[str], kubeconfig: str) -> None:
    """A command and what it printed."""
    result = subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, *arguments], capture_output=True, text=True, timeout=30, check=True
    )
    text = f"$ kubectl {' '.join(arguments)}\n{result.stdout.rstrip()}"
    page = browser.new_context(viewport={"width": 1200, "height": 400}).new_page()
    page.set_content(TERMINAL.format(text=html.escape(text)))
    page.locator("body").screenshot(path=str(Path(IMAGES) / f"{name}.png"))
    page.context.close()


if __name__ == "__main__":
    sys.exit(main())
