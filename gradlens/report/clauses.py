"""Captions composed of one clause per network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from gradlens.plots import order

Caption = Callable[[pd.DataFrame], str]
"""Returns a sentence about the rows of a table, of which there is at least one."""


def per_network(clause: Callable[[str, pd.DataFrame], str]) -> Caption:
    """Return a caption with one clause per network.

    Args:
        clause: returns a clause from the name of a network and its rows.
    """

    def caption(frame: pd.DataFrame) -> str:
        return sentence(clause(name, order.of_network(frame, name)) for name in order.networks(frame))

    return caption


def sentence(clauses: Iterable[str]) -> str:
    """Join the clauses that are not empty to one sentence.

    >>> sentence(["a: 1", "", "b: 2"])
    'a: 1; b: 2.'
    """
    text = "; ".join(clause for clause in clauses if clause)
    return text + "." if text else ""


def stage_name(stage: object) -> str:
    """Return the name of a stage for a sentence.

    >>> stage_name(8), stage_name("head")
    ('stride 8', 'head')
    """
    return f"stride {stage}" if str(stage).isdigit() else str(stage)
