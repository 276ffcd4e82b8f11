"""The common wording of numbers and differences in findings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import pandas as pd

from gradlens.analyzers.signals import WHOLE

CLEAR = 0.05
"""Corrected p below which a difference is reported."""


class Outcome(Enum):
    """Outcome of a comparison; the value is its wording."""

    UNDEFINED = "the difference is not defined"
    EQUAL = "no difference at all"
    WITHIN_NOISE = "no difference beyond the noise between {noise}"
    UNCORRECTED = "no difference that holds after Holm's correction"
    ROUNDED = "no difference to two digits"
    LESS = "{size} less"
    MORE = "{size} more"


@dataclass(frozen=True)
class Contrast:
    """A metric of a network compared with a reference network.

    Attributes:
        reference: mean of the reference.
        value: mean of the other network.
        difference: mean of ``value - reference`` over the common replicates.
        low: lower end of its interval; NaN if there is none.
        high: upper end of its interval.
        p: p-value, corrected for all comparisons; NaN if there is none.
    """

    reference: float
    value: float
    difference: float
    low: float
    high: float
    p: float = math.nan

    @classmethod
    def of_metric(cls, row: Mapping[str, float], metric: str) -> Contrast:
        """Read the columns of one metric in a row of the table ``comparison``."""
        return cls(*(row[f"{metric}_{part}"] for part in ("a", "b", "difference", "low", "high")))

    def reversed(self) -> Contrast:
        """Return the same comparison with the roles exchanged."""
        return Contrast(self.value, self.reference, -self.difference, -self.high, -self.low, self.p)

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval: without one, a difference may be noise."""
        return not math.isnan(self.low)

    @property
    def outcome(self) -> Outcome:
        """Outcome of the comparison."""
        if math.isnan(self.difference):
            return Outcome.UNDEFINED
        if self.difference == self.low == self.high == 0:  # in every replicate, as of a network and itself
            return Outcome.EQUAL
        if self.low <= 0 <= self.high:
            return Outcome.WITHIN_NOISE
        if self.p >= CLEAR:
            return Outcome.UNCORRECTED
        if round(abs(self.difference), 2) == 0:
            return Outcome.ROUNDED
        return Outcome.LESS if self.difference < 0 else Outcome.MORE

    @property
    def clear(self) -> bool:
        """Whether there is a difference by the interval and the corrected p."""
        return self.has_interval and self.outcome in (Outcome.ROUNDED, Outcome.LESS, Outcome.MORE)

    @property
    def digits(self) -> int:
        """Digits of the numbers: two, or three if rounded values would contradict the rounded difference."""
        rounded = round(self.value, 2) - round(self.reference, 2)
        return 2 if abs(rounded - round(self.difference, 2)) < 1e-9 else 3

    def clause(self, noise: str = "seeds", digits: int | None = None) -> str:
        """Word the outcome without its subject: ``0.11 less``.

        Args:
            noise: what the interval is over.
            digits: digits of the difference; None takes the digits of the values.
        """
        size = f"{abs(self.difference):.{self.digits if digits is None else digits}f}"
        return self.outcome.value.format(size=size, noise=noise)

    def sentence(self, name: str, reference: str, metric: str, noise: str = "seeds") -> str:
        """Word the outcome with its subject: ``b has 0.11 less duplication than a``."""
        clause = self.clause(noise)
        if self.outcome in (Outcome.LESS, Outcome.MORE):
            return f"{name} has {clause} {metric} than {reference}"
        if self.outcome is Outcome.UNDEFINED:
            return f"Between {name} and {reference} {clause} for {metric}"
        return f"{name} and {reference} show {clause} in {metric}"

    def numbers(self, over: str = "") -> str:
        """Return both values, the interval and p in parentheses; ``over`` is appended to "difference"."""
        if math.isnan(self.reference) or math.isnan(self.value):
            return "(too few signals vary beyond the loss)"
        values = f"{unsigned(self.value, self.digits)} against {unsigned(self.reference, self.digits)}"
        if self.outcome is Outcome.EQUAL:
            return f"({values})"
        if not self.has_interval:
            return f"({values}; one seed, no interval)"
        return f"({values}; {self.interval(over, self.digits)})"

    def interval(self, over: str = "", digits: int = 2) -> str:
        """Return the interval of the difference, with the corrected p if there is one."""
        low, high = signed(self.low, digits), signed(self.high, digits)
        return f"95 % interval of the difference{over} {low} to {high}{self.corrected()}"

    def corrected(self) -> str:
        """Return the corrected p after a comma; empty if there is none."""
        return "" if math.isnan(self.p) else f", Holm p = {self.p:.2g}"


def contrasts_of(frame: pd.DataFrame, metric: str) -> dict[tuple[str, str], Contrast]:
    """Return the comparisons of a metric of the whole network by (a, b), b against a.

    Args:
        frame: of the table ``contrasts`` or ``differences``.
        metric: the value of its column ``metric``.
    """
    rows = frame[(frame["stage"] == WHOLE) & (frame["metric"] == metric)]
    columns = ["mean_a", "mean_b", "difference", "low", "high", "p_holm"]
    values = rows[columns].astype(float).itertuples(index=False)
    return {(str(a), str(b)): Contrast(*row) for a, b, row in zip(rows["a"], rows["b"], values, strict=True)}


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign; zero has none.

    >>> signed(0.123), signed(-0.001), signed(0.0)
    ('+0.12', '0.00', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def unsigned(value: float, digits: int = 2) -> str:
    """Return a number with a sign only if it is negative.

    >>> unsigned(0.123), unsigned(-0.001)
    ('0.12', '0.00')
    """
    return signed(value, digits).removeprefix("+")
