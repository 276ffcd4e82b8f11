"""Pages in a real browser: opened from disk without network; errors and requests are collected."""

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
    """Start Chromium; skip the test if it is not installed. CI installs it and does not allow the skip."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("GRADLENS_BROWSER") == "required":
            pytest.fail("no Chromium is installed")
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def opened(chromium: Any, path: Path, *, width: int = 1100, theme: str = "light") -> Iterator[Any]:
    """Open a page from disk; at the end, check that it made no requests and wrote nothing to the console."""
    context = chromium.new_context(
        offline=True, color_scheme=theme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    )
    messages: list[str] = []
    try:
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (messages.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:", "about:"))
                else messages.append(f"request: {request.url}")
            ),
        )
        page.goto(path.as_uri())
        yield page
        page.wait_for_timeout(100)
        assert messages == []
    finally:
        context.close()


def drawn(page: Any, name: str) -> Any:
    """Scroll to the interactive figure of a table, wait until it is drawn, and return it."""
    figure = page.locator(f"[data-chart={name}]")
    figure.scroll_into_view_if_needed()
    page.wait_for_function(f"document.querySelector('[data-chart={name}]').dataset.ready === 'yes'")
    return figure
