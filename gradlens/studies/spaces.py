"""Measure in both spaces: gradients at the outputs of layers, and gradients of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gradlens.catalogue import SUFFIX, about
from gradlens.errors import GradlensError
from gradlens.results import Result
from gradlens.studies.options import BOTH
from gradlens.studies.partial import interrupted


def require_one(options: Mapping[str, object]) -> None:
    """Check that the options request a single space.

    Raises:
        GradlensError: ``space`` is ``both``.
    """
    if options.get("space") == BOTH:
        raise GradlensError(
            "space='both' works only in compare and inspect; use space='activations' or space='weights' here"
        )


def in_both(measure: Callable[..., Result], options: Mapping[str, object]) -> Result:
    """Measure once per space, on the same seeds and samples.

    Args:
        measure: function of the options that returns a result.
        options: options of a study; ``space`` is replaced, and speed is measured once.
    """
    first = measure(**{**options, "space": "activations"})
    if first.provenance.partial:
        return first
    try:
        second = measure(**{**options, "space": "weights", "throughput": False})
    except KeyboardInterrupt:
        return interrupted(first, "gradients at the outputs only")
    return joined(first, second)


def joined(activations: Result, weights: Result) -> Result:
    """Join the results of both spaces: tables of the gradients of weights get a suffix in their name.

    Args:
        activations: result for the gradients at the outputs of layers.
        weights: result for the gradients of weights, of the same networks and samples.
    """
    tables = dict(activations.tables)
    for table_name, table in weights.tables.items():
        name = f"{table_name}{SUFFIX}" if about(table_name).each_space else table_name
        if name not in tables:
            tables[name] = replace(table, name=name, caption=f"{table.caption} Of the gradients of weights.")
    study = {**activations.provenance.study, "space": BOTH}
    return Result(
        tables=tables,
        meta={**activations.meta, "space": "activations", "study": study},
        finding=_both(activations, weights),
        warnings=tuple(dict.fromkeys([*activations.warnings, *weights.warnings])),
    )


def _both(activations: Result, weights: Result) -> str:
    """Return both findings: first their first sentences as one, then their numbers."""
    texts = [
        f"{activations.headline.removesuffix('.')}; of the gradients of weights: {weights.headline}",
        activations.details,
        f"Of the gradients of weights: {weights.details}" if weights.details else "",
    ]
    return " ".join(filter(None, texts))
