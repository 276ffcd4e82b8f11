"""What stands in the docs runs."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_worked_examples_of_the_metrics_run() -> None:
    found = doctest.testfile(str(DOCS / "metrics.md"), module_relative=False)
    assert found.attempted > 30
    assert found.failed == 0
