"""Warnings in brief, for a screen: the page and the saved result have the whole text too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PARAMETER = re.compile(r"""(?<![\w.,@=/\[-])(\w+)=('[^']*'|"[^"]*"|[^\s'",;:()]*)""")
"""``name=value``, not within a name of a network such as ``resnet50@csp,gamma=0.25``."""
NUMBER = re.compile(r"(?<![\w.,@=/\[-])\d+(?:\.\d+)?(?!\w|\.\d)")
"""A number that stands alone: not a part of a name, nor a value to set."""


def in_brief(text: str) -> str:
    """Return what a warning says first and what to do.

    >>> in_brief("net: D of 21 signals is biased, because batches have 32 samples; use batch_size=64. It falls slowly.")
    'net: D of 21 signals is biased; use batch_size=64'
    """
    first, *others = re.split(r"; |\. |, because ", text.removesuffix("."))
    first = re.sub(r" \([^()]*\)", "", first)
    remedies = (clause for clause in others if clause.startswith("use ") or PARAMETER.search(clause))
    return "; ".join([first, *([] if PARAMETER.search(first) else [*remedies][:1])])


def all_in_brief(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return warnings in brief, each with the whole texts that it is for: one for those that differ only by network.

    Their numbers are given from the least to the greatest.

    >>> list(all_in_brief(["a: 54 of 60 signals are dead", "b: 56 of 60 signals are dead", "one seed: no interval"]))
    ['a, b: 54–56 of 60 signals are dead', 'one seed: no interval']
    """
    alike: dict[str, list[tuple[str, str]]] = {}
    for text in texts:
        brief = in_brief(text)
        subject, _, clause = brief.partition(": ")
        about_one = clause and " and " not in subject
        alike.setdefault(NUMBER.sub("#", clause) if about_one else brief, []).append((brief, text))
    return {_joined([brief for brief, _ in group]): [text for _, text in group] for group in alike.values()}


def _joined(briefs: Sequence[str]) -> str:
    """Return one warning for those that are equal but for the subject and the numbers."""
    if len(set(briefs)) == 1:
        return briefs[0]
    subjects, _, clauses = zip(*(brief.partition(": ") for brief in briefs), strict=True)
    columns = zip(*(NUMBER.findall(clause) for clause in clauses), strict=True)
    ranges = iter([_range(column) for column in columns])
    names = dict.fromkeys(subjects)
    between = "; " if any("," in name for name in names) else ", "
    return f"{between.join(names)}: {NUMBER.sub(lambda _: next(ranges), clauses[0])}"


def _range(numbers: Sequence[str]) -> str:
    least, greatest = min(numbers, key=float), max(numbers, key=float)
    return least if float(least) == float(greatest) else f"{least}–{greatest}"
