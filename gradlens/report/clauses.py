"""Captions put together from one clause per network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from gradlens.plots import order

Caption = Callable[[pd.DataFrame], str]
"""The rows of a table, at least one, to a sentence."""


def per_network(clause: Callable[[str, pd.DataFrame], str]) -> Caption:
    """A caption with one clause per network.

    Args:
        clause: the name of a network and its rows to a clause.
    """

    def caption(frame: pd.DataFrame) -> str:
        return sentence(clause(name, order.of_network(frame, name)) for name in order.networks(frame))

    return caption


def sentence(clauses: Iterable[str]) -> str:
    """The clauses that are not empty, as one sentence.

    >>> sentence(["a: 1", "", "b: 2"])
    'a: 1; b: 2.'
    """
    text = "; ".join(clause for clause in clauses if clause)
    return text + "." if text else ""


def stage_name(stage: object) -> str:
    """A stage as a sentence names it.

    >>> stage_name(8), stage_name("head")
    ('stride 8', 'head')
    """
    return f"stride {stage}" if str(stage).isdigit() else str(stage)
