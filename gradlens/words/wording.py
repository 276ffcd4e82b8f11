"""The common wording of numbers and differences in findings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import CLEAR, CORRECTED, COUNTERPARTS, size_column


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
        a, b, difference, low, high = (
            row[f"{metric}_{part}"] for part in ("a", "b", "difference", "low", "high")
        )
        return cls(a, b, difference, low, high, row.get(f"{metric}{CORRECTED}", math.nan))

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

    @property
    def change(self) -> str:
        """Size and direction of a clear difference."""
        digits = 3 if round(abs(self.difference), 2) == 0 else self.digits
        return f"{abs(self.difference):.{digits}f} {'less' if self.difference < 0 else 'more'}"

    def values(self, over: str = "") -> str:
        """Return both values, the interval and p; ``over`` is appended to "difference"."""
        if math.isnan(self.reference) or math.isnan(self.value):
            return "not defined, because too few signals vary beyond the loss"
        values = f"{unsigned(self.value, self.digits)} against {unsigned(self.reference, self.digits)}"
        if self.outcome is Outcome.EQUAL:
            return values
        if not self.has_interval:
            return f"{values}, one seed, no interval"
        return f"{values}, {self.interval(over, self.digits)}"

    def interval(self, over: str = "", digits: int = 2) -> str:
        """Return the interval of the difference, with the corrected p if there is one."""
        low, high = signed(self.low, digits), signed(self.high, digits)
        return f"95 % interval of the difference{over} {low} to {high}{self.corrected()}"

    def corrected(self) -> str:
        """Return the corrected p after a comma; empty if there is none."""
        return "" if math.isnan(self.p) else f", Holm p = {self.p:.2g}"


@dataclass(frozen=True)
class Verdict:
    """A rarefied duplication compared with a reference network, and the mean similarity of the same signals.

    The two answer differently if networks differ in the structure of their similarities, so a difference is reported
    only where both agree in sign, each with an interval that excludes 0 after correction.

    Attributes:
        duplication: comparison of D_m.
        similarity: comparison of the mean similarity.
        m: number of signals of D_m.
    """

    duplication: Contrast
    similarity: Contrast
    m: float

    @property
    def clear(self) -> bool:
        """Whether both differ, in the same direction."""
        same = self.duplication.difference * self.similarity.difference > 0
        return same and self.duplication.clear and self.similarity.clear

    @property
    def depends(self) -> bool:
        """Whether the answer depends on how layers are counted: one differs, and the other does not or oppositely."""
        return not self.clear and (self.duplication.clear or self.similarity.clear)

    def reversed(self) -> Verdict:
        """Return the same comparison with the roles exchanged."""
        return Verdict(self.duplication.reversed(), self.similarity.reversed(), self.m)

    @property
    def label(self) -> str:
        """Symbol of the rarefied duplication with its number of signals."""
        return "D" if math.isnan(self.m) else f"D_{int(self.m)}"

    @property
    def answer(self) -> str:
        """The answer in one word: ``less``, ``more``, ``depends``, ``undefined``, or ``none`` for no difference."""
        if self.clear:
            return "less" if self.duplication.difference < 0 else "more"
        if self.depends:
            return "depends"
        undefined = Outcome.UNDEFINED in (self.duplication.outcome, self.similarity.outcome)
        return "undefined" if undefined else "none"

    def clause(self, noise: str = "seeds", over: str = "") -> str:
        """Report the comparison without its subjects, with its numbers."""
        if self.depends:
            return f"it depends on how layers are counted ({self.details(over)})"
        return (
            f"{self.duplication.change if self.clear else self._weaker.clause(noise)} ({self.details(over)})"
        )

    def details(self, over: str = "") -> str:
        """Return the numbers of both."""
        return f"{self.label} {self.duplication.values(over)}; mean similarity {self.similarity.values(over)}"

    @property
    def _weaker(self) -> Contrast:
        """The one of the two whose outcome says less: a value of noise before one that only the correction rejects."""
        rejected = self.duplication.outcome is Outcome.UNCORRECTED
        return self.similarity if rejected else self.duplication


def verdict_of(row: Mapping[str, float], metric: str) -> Verdict:
    """Read a rarefied duplication and its mean similarity in a row of the table ``comparison``."""
    duplication, similarity = (Contrast.of_metric(row, name) for name in (metric, COUNTERPARTS[metric]))
    return Verdict(duplication, similarity, row.get(size_column(metric), math.nan))


def verdicts_of(frame: pd.DataFrame, metric: str) -> dict[tuple[str, str], Verdict]:
    """Return the comparisons of a rarefied duplication of the whole network by (a, b), b against a.

    Args:
        frame: of the table ``contrasts``, ``differences`` or ``effects``.
        metric: the name of a rarefied duplication.
    """
    if frame.empty:  # a single network: it has no columns either
        return {}
    whole = frame[frame["stage"] == WHOLE]
    duplication, similarity = (_contrasts(whole, name) for name in (metric, COUNTERPARTS[metric]))
    sizes = whole[whole["metric"] == metric].set_index(["a", "b"])["m"].to_dict() if "m" in whole else {}
    return {
        pair: Verdict(contrast, similarity[pair], float(sizes.get(pair, math.nan)))
        for pair, contrast in duplication.items()
        if pair in similarity
    }


def _contrasts(whole: pd.DataFrame, metric: str) -> dict[tuple[str, str], Contrast]:
    rows = whole[whole["metric"] == metric]
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
