"""The pictures of the page in README and docs, made anew: ``python -m docs.screenshots`` or ``nox -s screenshots``.

It needs Chromium and Playwright (``.[test]``). ``python -m docs.screenshots RUN`` shows a saved run.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
RUN = ROOT / "build" / "screenshots"
COMMAND = ["compare", "resnet50", "cspresnet50", "--seeds", "5"]
SIZE = {"width": 1400, "height": 900}
TALL = 640
"""Height of the picture of the map in pixels: the map and the beginning of its panel."""
COLOURS = 256
"""Colours of a picture, chosen to cover rare ones: enough for letters and the scale of a map, in half of the bytes."""


def measured() -> Path:
    """Return the run that the pictures show, measured once."""
    if not (RUN / "report.html").exists():
        subprocess.run([sys.executable, "-m", "gradlens", *COMMAND, "--out", str(RUN)], check=True)
    return RUN


def saved(picture: bytes, name: str) -> None:
    """Write a picture with few colours."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            IMAGES / f"{name}.png", optimize=True
        )


def first_screen(page: Any) -> None:
    """Take what a reader sees first."""
    page.wait_for_selector("[data-ready=yes]")
    saved(page.screenshot(), "page-first-screen")


def map_of_a_place(page: Any) -> None:
    """Take the map after a click on the first place to look at."""
    page.locator(".looking a").first.click()
    page.wait_for_timeout(500)
    box = page.locator("#map").bounding_box()
    saved(page.screenshot(clip={**box, "height": min(box["height"], TALL)}), "page-map")


def difference(page: Any) -> None:
    """Take the map of the difference of the two networks by stage, without its panel."""
    page.get_by_label("Networks or their difference").select_option(index=1)
    page.locator("#map").get_by_role("button", name="Stages", exact=True).click()
    page.wait_for_timeout(500)
    page.locator("#network-map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    end = page.locator("#map .detail").bounding_box()["y"]
    saved(page.screenshot(clip={**box, "height": end - box["y"]}), "page-difference")


def correlation(page: Any) -> None:
    """Take the correlation of the signals with the pointer on a pair."""
    holder = page.locator("[data-chart=correlation]")
    holder.scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=correlation][data-ready=yes]")
    holder.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
    box = holder.locator("canvas").bounding_box()
    for step in (0, 2):
        page.mouse.move(box["x"] + 0.875 * box["width"] + step, box["y"] + 0.69 * box["height"])
    page.wait_for_selector("#vg-tooltip-element.visible")
    page.wait_for_timeout(300)
    saved(page.screenshot(clip=holder.bounding_box()), "page-correlation")


def main(run: Path) -> None:
    """Take all pictures of a run."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=switches)
        page = browser.new_context(offline=True, viewport=SIZE, reduced_motion="reduce").new_page()
        page.goto((run / "report.html").resolve().as_uri())
        for picture in (first_screen, map_of_a_place, difference, correlation):
            picture(page)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else measured())
