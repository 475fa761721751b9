"""Makes the pictures of README from the real lab: ``python -m docs.screenshots [MODEL]`` (default: smollm2).

Each is a page as Chromium shows it, at a stated place and width. Needs ``make test``'s setup and Debian's chromium.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.lab_pages import lab

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
    with lab(model) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for picture in PICTURES:
            page = browser.new_page(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme="dark" if picture.dark else "light",
            )
            page.goto(url + picture.path)
            take(page, picture)
            page.close()
        browser.close()


def take(page: Page, picture: Picture) -> None:
    """Wait for the figures, scroll, write."""
    page.wait_for_load_state("networkidle", timeout=120_000)
    if picture.at:
        page.locator(picture.at).first.evaluate("it => { it.scrollIntoView(); scrollBy(0, -90); }")
        page.locator(picture.at).first.locator("xpath=self::*[@data-ready]").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"{picture.name}.png")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "smollm2")
