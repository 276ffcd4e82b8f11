"""Progress as lines: few lines, with times that follow the clock."""

from __future__ import annotations

import pytest

from gradlens_cli.progress import PlainProgress, times


def test_estimates_follow_the_clock() -> None:
    now, lines = [0.0], list[str]()
    progress = PlainProgress(lines.append, clock=lambda: now[0])
    for done, step in enumerate(["a", "a", "b", "b"], start=1):
        now[0] += 4
        progress(step, done, 4)
    assert lines == [
        "a  1/4  elapsed 0:04, about 0:12 left",
        "b  3/4  elapsed 0:12, about 0:04 left",
        "b  4/4  elapsed 0:16",
    ]


def test_a_long_step_prints_a_line_every_ten_seconds() -> None:
    now, lines = [0.0], list[str]()
    progress = PlainProgress(lines.append, clock=lambda: now[0])
    for done in range(1, 31):
        now[0] += 1
        progress("a", done, 100)
    assert len(lines) == 3


def test_a_new_count_starts_a_new_estimate() -> None:
    now, lines = [0.0], list[str]()
    progress = PlainProgress(lines.append, clock=lambda: now[0])
    progress("a", 2, 2)
    now[0] = 100
    progress("b", 0, 2)
    now[0] = 105
    progress("b", 1, 2)
    progress("b", 2, 2)
    assert lines[-1] == "b  2/2  elapsed 0:05"


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [(59.6, "elapsed 1:00, about 1:00 left"), (3700, "elapsed 1:01:40, about 1:01:40 left")],
)
def test_seconds_carry_over_to_minutes_and_hours(elapsed: float, text: str) -> None:
    assert times(elapsed, 1, 2) == text
