"""Warnings in brief, for a screen: the page and the saved result have the whole text too."""

from __future__ import annotations

import re

PARAMETER = re.compile(r"""(?<![\w.,@=/\[-])(\w+)=('[^']*'|"[^"]*"|[^\s'",;:()]*)""")
"""``name=value``, not within a name of a network such as ``resnet50@csp,gamma=0.25``."""


def in_brief(text: str) -> str:
    """Return what a warning says first and what to do.

    >>> in_brief("net: D of 21 signals is biased, because batches have 32 samples; use batch_size=64. It falls slowly.")
    'net: D of 21 signals is biased; use batch_size=64'
    """
    first, *others = re.split(r"; |\. |, because ", text.removesuffix("."))
    first = re.sub(r" \([^()]*\)", "", first)
    remedies = (clause for clause in others if clause.startswith("use ") or PARAMETER.search(clause))
    return "; ".join([first, *([] if PARAMETER.search(first) else [*remedies][:1])])
