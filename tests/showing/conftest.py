"""Tables built by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from gradlens.results import Table


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def table() -> Callable[..., Table]:
    """Factory of tables: ``table(x=[1, 2], units={"x": "pixels"})``."""

    def make(name: str = "things", units: dict[str, str] | None = None, **columns: Any) -> Table:
        return Table(name, pd.DataFrame(columns), "One row per thing.", "Counted.", units or {})

    return make
