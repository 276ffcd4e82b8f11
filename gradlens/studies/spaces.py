"""One result of both spaces: the gradients at layers' outputs, and those of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradlens.catalogue import SUFFIX, about
from gradlens.errors import GradlensError
from gradlens.results import Result

BOTH = "both"


def require_one(space: str) -> None:
    """Raises GradlensError for ``both``, where one space is measured."""
    if space == BOTH:
        raise GradlensError("space='both' is for compare and inspect; give activations or weights here")


def in_both(measure: Callable[..., Result], options: dict[str, Any]) -> Result:
    """Measure in either space, on the same seeds and samples.

    Args:
        measure: takes options and gives a result.
        options: of a study; ``space`` is replaced, and speed is measured once.
    """
    first = measure(**{**options, "space": "activations"})
    second = measure(**{**options, "space": "weights", "throughput": False})
    return joined(first, second)


def joined(activations: Result, weights: Result) -> Result:
    """The tables of the first; those of the second that are of weights, under names that say so.

    Args:
        activations: of the gradients at layers' outputs.
        weights: of the same networks and samples in weight space.
    """
    tables = dict(activations.tables)
    for name, table in weights.tables.items():
        own = f"{name}{SUFFIX}" if about(name).each_space else name
        if own not in tables:
            tables[own] = replace(table, name=own, caption=f"{table.caption} Of the gradients of weights.")
    study = {**activations.meta.get("study", {}), "space": BOTH}
    return Result(
        tables=tables,
        meta={**activations.meta, "space": "activations", "study": study},
        finding=f"{activations.finding} Of the gradients of weights: {weights.finding}",
        warnings=tuple(dict.fromkeys([*activations.warnings, *weights.warnings])),
    )
