"""What goes wrong in a training, found in its rows. No torch.

A rule is a function of the rows of one backward pass and of the history that returns findings; ``RULES`` names them.
"""

from __future__ import annotations

import math
import operator
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from gradlens.analyzers.signals import WHOLE
from gradlens.recording.births import Birth
from gradlens.watching.rows import Row, Series

LAST = 64
"""Numbers of each place that are kept."""
PATIENCE = 3
"""Measured steps in a row after which a state that may pass is an alarm."""
SMALL_SHARE = 0.01
CANCELLED = 0.1
FACTOR = 1e3
"""Change of the size of a gradient, relative to its median so far, from which it explodes or vanishes."""
LOST = 2.0**-23
"""Size of a gradient relative to another one from which float32 loses it in their sum."""
SMALL_GAIN = 0.25
"""Gain per time step below which a gradient vanishes: half of what the recurrent layers of PyTorch begin with."""
RISE = 0.2
"""Rise of the duplication of a stage above that of the first measured step."""


class Finding(NamedTuple):
    """What a rule has found.

    Attributes:
        row: the number that is wrong.
        text: what is wrong, without the place.
        threshold: the limit that the number has crossed.
    """

    row: Row
    text: str
    threshold: float


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong in a training.

    Attributes:
        rule: name of the rule.
        step: of the training.
        stage: stage of the place.
        place: name of a layer or a fork; empty for a stage or the whole network.
        branch: label of a branch; empty elsewhere.
        value: the number that is wrong.
        threshold: the limit that it has crossed.
        text: what is wrong, without the place.
        birth: where the first value that is NaN or infinite was born; None for other rules, and if it is not known.
    """

    rule: str
    step: int
    stage: str
    place: str
    branch: str
    value: float
    threshold: float
    text: str
    birth: Birth | None = None

    def __str__(self) -> str:
        stage = "" if self.stage == WHOLE else f"stage {self.stage}"
        where = ", ".join(filter(None, [self.place, stage])) or "the network"
        where = f"branch {self.branch} at {where}" if self.branch else where
        return f"step {self.step}: {where}: {self.text}"


class History:
    """The numbers of earlier measured steps by place: the first, and some of the last."""

    def __init__(self) -> None:
        self._first: dict[Series, float] = {}
        self._last: dict[Series, deque[float]] = defaultdict(lambda: deque(maxlen=LAST))
        self._found: dict[str, set[Series]] = defaultdict(set)

    def add(self, rows: Iterable[Row]) -> None:
        """Append the rows of a backward pass."""
        for row in rows:
            self._first.setdefault(row.series, row.value)
            self._last[row.series].append(row.value)

    def of(self, row: Row) -> list[float]:
        """Return the last numbers at the place of a row, the row's last."""
        return list(self._last[row.series])

    def first(self, row: Row) -> float:
        """Return the first number at the place of a row."""
        return self._first[row.series]

    def note(self, rule: str, places: set[Series], seen: set[Series]) -> set[Series]:
        """Remember where a rule found something, and return those of the places where it had before.

        Args:
            rule: its name, and the number of the backward pass.
            places: where it found something now.
            seen: where it could; what it found elsewhere before lasts.
        """
        before = self._found[rule]
        self._found[rule] = places | {place for place in before - seen if place.quantity != "not_finite"}
        return places & before


Rule = Callable[[Sequence[Row], History], Iterable[Finding]]


def alarms_in(
    rows: Sequence[Row], history: History, rules: Mapping[str, Rule], birth: Birth | None = None
) -> list[Alarm]:
    """Return the alarms of one backward pass; a finding that was there in the pass before is not repeated.

    Args:
        rows: of the pass; they are in the history already.
        history: all rows so far.
        rules: by name.
        birth: of a value that is not finite, if it is known.
    """
    alarms = []
    seen = {row.series for row in rows}
    for name, rule in rules.items():
        found = list(rule(rows, history))
        key = f"{name} {rows[0].backward}" if rows else name
        lasting = history.note(key, {_state(row) for row, _, _ in found}, seen)
        alarms += [
            _alarm(name, finding, birth if finding.row.quantity == "not_finite" else None)
            for finding in found
            if _state(finding.row) not in lasting
        ]
    return alarms


def _state(row: Row) -> Series:
    """Return the series of a row; a training that is broken is so everywhere soon, which is one state."""
    broken = row.quantity == "not_finite"
    return row.series._replace(stage="", place="") if broken else row.series


def _alarm(rule: str, finding: Finding, birth: Birth | None) -> Alarm:
    row, text, threshold = finding
    text = text if birth is None else birth.text
    return Alarm(rule, row.step, row.stage, row.place, row.branch, row.value, threshold, text, birth)


def not_finite(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a gradient that is NaN or infinite; of a scaled loss in the last few measured steps.

    A single one is how a ``GradScaler`` finds the largest factor.
    """
    scaled = any(True for _ in _of(rows, "scale"))
    lasting = all(_wrong(history.of(row), lambda value: value == 0.0) for row in _of(rows, "finite"))
    for row in _of(rows, "not_finite"):
        if lasting or not scaled:
            text = f"the first gradient that is NaN or infinite, in {row.value:.0%} of the samples, comes from here"
            yield Finding(row, text, 0.0)


def dead(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a layer whose gradient is exactly zero for all samples, in the last few measured steps."""
    for row in _of(rows, "dead"):
        if _wrong(history.of(row), lambda value: value == 1.0):
            yield Finding(row, f"the gradient is exactly zero in {PATIENCE} measured steps", 1.0)


def small_share(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a branch with less than 1 % of the gradient's energy, in the last few measured steps."""
    for row in _of(rows, "share"):
        if _wrong(history.of(row), lambda value: value < SMALL_SHARE):
            text = f"carries {row.value:.2%} of the gradient's energy, less than {SMALL_SHARE:.0%}"
            yield Finding(row, text, SMALL_SHARE)


def cancelling(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find contributions that cancel: a coherence near 0, in the last few measured steps."""
    for row in _of(rows, "coherence"):
        if _wrong(history.of(row), lambda value: value < CANCELLED):
            yield Finding(
                row, f"contributions cancel: coherence {row.value:.2g}, below {CANCELLED:g}", CANCELLED
            )


def exploding(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a gradient that has grown a thousandfold against its median so far, or over the time steps of a layer."""
    yield from _changed(rows, history, lambda ratio: ratio > FACTOR, "grown", FACTOR)
    for row in _of(rows, "gain_over_steps"):
        if row.value > FACTOR:
            text = f"its gradient grows {row.value:.2g} times from the last time step back to the first"
            yield Finding(row, text, FACTOR)


def vanishing(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a gradient that has shrunk to a thousandth of its median so far, or that vanishes over the time steps.

    The gradient of a weight is the sum over the time steps: what is below ``LOST`` at the first one is lost in it.
    """
    yield from _changed(rows, history, lambda ratio: 0 < ratio < 1 / FACTOR, "shrunk", 1 / FACTOR)
    over = {(row.stage, row.place): row.value for row in _of(rows, "gain_over_steps")}
    for row in _of(rows, "gain_per_step"):
        if row.value < SMALL_GAIN and over[row.stage, row.place] < LOST:
            text = f"its gradient shrinks to {row.value:.2g} per time step back, and is lost before the first"
            yield Finding(row, text, SMALL_GAIN)


def duplicating(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a stage whose duplication has risen, in the last few measured steps."""
    for row in _of(rows, "duplication"):
        first = history.first(row)
        if _wrong(history.of(row), partial(operator.lt, first + RISE)):
            yield Finding(row, f"duplication has risen from {first:.2f} to {row.value:.2f}", first + RISE)


def unreached(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find layers that ran and are trained, but that no gradient reaches: behind ``detach`` or ``no_grad``."""
    yield from _first(rows, "unreached", "no gradient reaches it: what it returns is detached, or not read")


def frozen(rows: Sequence[Row], history: History) -> Iterator[Finding]:
    """Find a small part of the network that is not trained, although a gradient passes through it."""
    yield from _first(rows, "frozen", "it is frozen: requires_grad is False for all its parameters")


RULES: dict[str, Rule] = {
    "not finite": not_finite,
    "unreached": unreached,
    "frozen": frozen,
    "dead": dead,
    "small share": small_share,
    "cancelling": cancelling,
    "exploding": exploding,
    "vanishing": vanishing,
    "duplicating": duplicating,
}
"""The rules by name."""


def _of(rows: Iterable[Row], quantity: str) -> Iterator[Row]:
    return (row for row in rows if row.quantity == quantity)


def _first(rows: Iterable[Row], quantity: str, text: str) -> Iterator[Finding]:
    """Yield one finding for all places of a quantity."""
    first, *more = (*_of(rows, quantity), None)
    if first is not None:
        others = len(more) - 1
        yield Finding(first, f"{text} (and {others} more)" if others else text, 1.0)


def _wrong(values: Sequence[float], wrong: Callable[[float], bool]) -> bool:
    """Return whether the last few values are wrong."""
    last = values[-PATIENCE:]
    return len(last) == PATIENCE and all(map(wrong, last))


def _changed(
    rows: Sequence[Row], history: History, wrong: Callable[[float], bool], verb: str, limit: float
) -> Iterator[Finding]:
    for row in _of(rows, "rms"):
        earlier = sorted(value for value in history.of(row)[:-1] if value > 0)  # those that exploded are few
        median = earlier[len(earlier) // 2] if len(earlier) >= PATIENCE else math.nan
        if wrong(row.value / median):
            yield Finding(
                row, f"its gradient has {verb} from a median of {median:.2g} to {row.value:.2g}", limit
            )
