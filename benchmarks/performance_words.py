"""Tables and sentences of the page about speed and memory."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 120
"""Characters of a line of prose."""
QUIET = 0.05
"""Share of the machine that other processes may use before the page says so."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def paragraph(text: str) -> list[str]:
    """Return the lines of a paragraph."""
    return textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def cell(value: Mapping[str, float]) -> str:
    """Return a median with its interval."""
    return f"{number(value['median'])} [{number(value['low'])}, {number(value['high'])}]"


def number(value: float) -> str:
    """Return a ratio with two decimals, or one if it is 10 or more."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def busy(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence about other processes if they used more than a little of the machine."""
    most = max((row.get("others", 0.0) for row in rows), default=0.0)
    if most <= QUIET:
        return [f"Other processes used at most {most:.0%} of the machine."]
    return paragraph(
        f"**Other processes used up to {most:.0%} of the machine during these measurements**, so wall-clock times mean "
        "little, and processor times are longer than on an idle machine."
    )


def environment_line(environment: Mapping[str, Any]) -> str:
    """Return what the numbers of a section depend on."""
    return (
        f"gradlens {environment['gradlens']}, PyTorch {environment['torch']}, Python {environment['python']}, "
        f"{environment['cpu']}, {environment['cpus']} cores."
    )
