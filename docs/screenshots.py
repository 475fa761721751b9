"""Makes the pictures of README from the real lab: ``python docs/screenshots.py [MODEL]`` (default: smollm2).

Each is a page as Chromium shows it, at a stated place and width. Needs ``make test``'s setup and Debian's chromium.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Picture:
    """A page, how wide and high the window is, dark or light, and what is scrolled to the top (a CSS selector)."""

    name: str
    path: str
    width: int
    height: int
    dark: bool = False
    at: str = ""


PICTURES = (
    Picture("life", "en/life", 1280, 860, at="[data-figure=life]"),
    Picture("attention", "en/chapters/04-attention/", 1280, 860, at="[data-figure=attention]"),
    Picture("handy", "de/chapters/07-sampling/", 390, 860, dark=True, at="[data-figure=next-token]"),
)


def main(model: str) -> None:
    """Start the lab, visit each page, write its picture."""
    port = 8123
    command = [sys.executable, "-m", "glaswerk", "lab", model, "--no-open", "--port", str(port)]
    server = subprocess.Popen(command)
    try:
        wait(f"http://127.0.0.1:{port}/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for picture in PICTURES:
                page = browser.new_page(
                    viewport={"width": picture.width, "height": picture.height},
                    color_scheme="dark" if picture.dark else "light",
                )
                page.goto(f"http://127.0.0.1:{port}/{picture.path}")
                take(page, picture)
                page.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()


def take(page: Page, picture: Picture) -> None:
    """Wait for the figures, scroll, write."""
    page.wait_for_load_state("networkidle", timeout=120_000)
    if picture.at:
        page.locator(picture.at).first.evaluate("it => { it.scrollIntoView(); scrollBy(0, -90); }")
        page.locator(picture.at).first.locator("xpath=self::*[@data-ready]").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"{picture.name}.png")


def wait(url: str, seconds: float = 60) -> None:
    """Until the lab has its model."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url) as answer:
                if b'"ready"' in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.3)
    raise SystemExit(f"the lab was not ready after {seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "smollm2")
