"""Tables written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from gradlens.results import Table


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def table() -> Callable[..., Table]:
    """A table of columns: ``table(x=[1, 2], units={"x": "pixels"})``."""

    def made(name: str = "things", units: dict[str, str] | None = None, **columns: Any) -> Table:
        return Table(name, pd.DataFrame(columns), "A row a thing.", "Counted.", units or {})

    return made
