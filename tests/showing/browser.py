"""A page in a real browser: opened from disk with the network off, its errors and requests collected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, or a skipped test where it is not installed; CI installs it and lets nothing be skipped."""
    sync = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("GRADLENS_BROWSER") == "required":
            pytest.fail("no Chromium is installed")
        pytest.skip("no Chromium is installed")
    with sync.sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Any, path: Path, *, width: int = 1100, theme: str = "light") -> Iterator[Any]:
    """A page from disk; on leaving, nothing may have been asked of the network or told on the console."""
    context = started.new_context(
        offline=True, color_scheme=theme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    )
    told: list[str] = []
    try:
        page = context.new_page()
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:", "about:"))
                else told.append(f"request: {request.url}")
            ),
        )
        page.goto(path.as_uri())
        yield page
        page.wait_for_timeout(100)
        assert told == []
    finally:
        context.close()


def drawn(page: Any, name: str) -> Any:
    """The interactive figure of a table, once it is there."""
    figure = page.locator(f"[data-chart={name}]")
    figure.scroll_into_view_if_needed()
    page.wait_for_function(f"document.querySelector('[data-chart={name}]').dataset.ready === 'yes'")
    return figure
