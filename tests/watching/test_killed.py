"""A watched training that is killed at random moments leaves every step that its logs had written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from oracles.extras import needs

from benchmarks.killed import LOGS, is_complete
from gradlens.watching.rows import Row

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.extra
def test_what_a_killed_training_has_logged_is_complete() -> None:
    needs("pyarrow")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "benchmarks.killed", "--kills", "10"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    assert (result["kills"], result["complete"]) == (10, 10)
    assert result["unacknowledged"].keys() == set(LOGS)
    fewest, most = result["steps"]
    assert 1 <= fewest < most


@pytest.mark.parametrize(
    ("kept", "acknowledged", "complete"),
    [
        ([0, 1, 2], 3, True),
        ([0, 1, 2, 3], 3, True),
        ([0, 1], 3, False),
        ([0, 2, 3], 3, False),
        ([0, 1, 2, 3, 4], 3, False),
    ],
)
def test_a_missing_step_is_noticed(kept: list[int], acknowledged: int, complete: bool) -> None:
    rows = [Row(step, 0, "4", "layer", "", name, 1.0) for step in range(5) for name in ("rms", "dead")]
    left = [row for row in rows if row.step in kept]
    assert is_complete(left, rows, acknowledged) == complete
    assert not is_complete(left[:-1], rows, acknowledged)
