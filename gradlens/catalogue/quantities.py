"""The quantities that are summarised, compared and printed: one entry each, in the order of the page.

A new quantity is one entry in ``QUANTITIES`` and the function that it names as ``measure``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradlens.catalogue.entries import Column, Quantity
from gradlens.catalogue.versions import DIRECTION, ENERGY, ENERGY_GIVEN_LOSS

OF_PAIR = ("_a", "_b", "_difference", "_low", "_high")
"""Endings of the columns of a quantity of two networks: both values, their difference and its interval."""
SIZES = ("m", "m_given_loss")
"""Columns with the number of signals of the rarefied duplication, unchanged and given the loss."""
CLEAR = 0.05
"""Corrected p below which a difference is reported and marked."""
CORRECTED = "_p_holm"
"""Ending of the column with the corrected p-value of the difference of two networks."""
PARTS = (*OF_PAIR, "_reach")
"""Endings of the columns that belong to a quantity: of two networks, their difference, an interval."""


_PAIR = ("summary", "comparison")
_SEVERAL = ("strategies", "networks")
_ALL = (*_PAIR, *_SEVERAL)
_TRAINED = (*_SEVERAL, "trajectory")
_EVERY = (*_PAIR, *_TRAINED)
_COMPARE = tuple((Column("compare", block),) for block in range(5))
_STRATEGIES = (Column("strategies"),)
_PATHS = (Column("paths", 3),)
_COSTS = (Column("strategies", 2),)
_BRIEF = ("inspect", "compare", "strategies")

# fmt: off
QUANTITIES: tuple[Quantity, ...] = (
    Quantity("rarefied_duplication", "Duplication D_m, energy", "duplication", "D_m, 0 to 1",
             "D_m, 0 unrelated to 1 copies",
             tables=_EVERY, screens=(*_COMPARE[1], *_STRATEGIES), figure="duplication D_m", version=ENERGY,
             brief=_BRIEF, tested=True, with_interval=True, by_stage=True, main=True),
    Quantity("mean_similarity", "Mean similarity, energy", "similarity", "mean CKA of two signals",
             "mean CKA of two signals, about 0 to 1",
             tables=_EVERY, screens=(*_COMPARE[1], *_STRATEGIES), figure="mean similarity", version=ENERGY, mean=True,
             brief=("inspect", "compare"), tested=True, with_interval=True, by_stage=True, main=True),
    Quantity("rarefied_duplication_given_loss", "Duplication D_m, given the loss", "given loss", "D_m, 0 to 1",
             "D_m, 0 unrelated to 1 copies", tables=_EVERY, screens=(*_COMPARE[1], *_STRATEGIES),
             figure="D_m given the loss", version=ENERGY_GIVEN_LOSS,
             brief=_BRIEF, tested=True, with_interval=True, by_stage=True, main=True),
    Quantity("mean_similarity_given_loss", "Mean similarity, given the loss", "similarity given loss",
             "mean CKA of two signals", "mean CKA of two signals, about 0 to 1",
             tables=_EVERY, screens=(*_COMPARE[2], *_STRATEGIES), version=ENERGY_GIVEN_LOSS, mean=True,
             tested=True, with_interval=True, by_stage=True),
    Quantity("rarefied_duplication_direction", "Duplication D_m, direction", "direction", "D_m, 0 to 1",
             "D_m, 0 unrelated to 1 copies", tables=_EVERY, screens=(*_COMPARE[2], *_STRATEGIES), version=DIRECTION,
             tested=True, with_interval=True, by_stage=True),
    Quantity("structural_duplication", "Duplication by structure (graph alone)", "structural",
             "0 to 1, from the graph alone", tables=(*_ALL, "structure"), fixed=True, by_stage=True, brief=("paths",),
             measure="structure.structural_duplication",
             screens=(Column("compare", 4, last=True), *_STRATEGIES,
                      Column("paths", 2, head="structural duplication"))),
    Quantity("n_eff", "Distinct signals N_eff, of all", "N_eff", "signals", "distinct signals, of all",
             tables=("summary",), screens=_COMPARE[3], with_interval=True),
    Quantity("branch_correlation", "Correlation of branches", "branch corr.",
             "mean CKA (energy) between the branches of forks and the parts of splits", "CKA, about 0 to 1",
             tables=_PAIR, screens=_COMPARE[2], measure="between_branches.branch_correlation",
             with_interval=True, main=True),
    Quantity("split_correlation", "Bypass and dense branch, at the split", "at split",
             "CKA (energy) of bypass and dense branch", "CKA, about 0 to 1",
             tables=_TRAINED, screens=_STRATEGIES, measure="between_branches.split_correlation",
             tested=True, by_stage=True, main=True),
    Quantity("merge_correlation", "Bypass and dense branch, at the merge", "at merge",
             "CKA (energy) of bypass and dense branch", "CKA, about 0 to 1",
             tables=_TRAINED, screens=_STRATEGIES, measure="between_branches.merge_correlation",
             figure="correlation at the merge",
             tested=True, by_stage=True, main=True),
    Quantity("flow_slope", "Flow slope (decades per layer)", "flow slope", "decades per layer", format="slope",
             tables=_EVERY, screens=_COMPARE[3], measure="flow.flow_slopes", tested=True, by_stage=True),
    Quantity("signals", "Signals", "signals", "count", "per network", format="count",
             tables=("summary", *_SEVERAL), screens=_COMPARE[4]),
    Quantity("dead_signals", "Dead signals", "dead", "signals that are exactly zero", "per network", format="count",
             tables=_EVERY, screens=_COMPARE[4]),
    Quantity("flops", "FLOPs per image", "FLOPs", "FLOPs per image, multiply-add = 2", "per image, multiply-add = 2",
             format="amount", tables=(*_ALL, "cost"), screens=(*_COMPARE[4], *_COSTS),
             brief=_BRIEF, fixed=True, cost=True, by_stage=True, relative=True, main=True),
    Quantity("parameters", "Parameters", "parameters", "elements",
             format="amount", tables=(*_ALL, "cost"), screens=(*_COMPARE[4], *_COSTS),
             fixed=True, cost=True, by_stage=True, relative=True, main=True),
    Quantity("traffic_elements", "Feature-map traffic per image (elements)", "traffic", "elements per image",
             format="amount", tables=(*_SEVERAL, "cost"), screens=_COSTS,
             fixed=True, cost=True, by_stage=True, relative=True),
    Quantity("traffic_bytes", "Feature-map traffic per image (bytes)", "traffic, bytes", "bytes per image",
             format="bytes", tables=("cost",), fixed=True, cost=True),
    Quantity("saved_bytes", "Saved for backward per image", "saved", "bytes per image",
             format="bytes", tables=("cost",), fixed=True, cost=True),
    Quantity("peak_bytes", "Peak memory per image", "peak", "bytes per image, at the batch size used",
             format="bytes", tables=("cost",), fixed=True, cost=True),
    Quantity("bottleneck", "Largest layer / mean", "bottleneck", "FLOPs of the largest layer / mean",
             "largest layer / mean", tables=(*_SEVERAL, "cost"), screens=_COSTS, fixed=True, cost=True),
    Quantity("images_per_second", "Images per second, forward and backward", "images/s",
             "images / s, forward + backward; wall-clock", "", format="speed", tables=_SEVERAL, screens=_COSTS),
    Quantity("accuracy", "Held-out accuracy", "accuracy", "share of held-out samples",
             tables=_TRAINED, screens=_STRATEGIES, figure="held-out accuracy", main=True, trained=True),
    Quantity("average_precision", "Held-out mean average precision", "mAP", "mean average precision, held-out, 0 to 1",
             tables=_TRAINED, screens=_STRATEGIES, figure="held-out mAP", main=True, trained=True),
    Quantity("loss", "Held-out loss", "loss", "cross entropy, or the sum of a detector's losses, held-out",
             tables=_TRAINED, screens=_STRATEGIES, figure="held-out loss", trained=True),
    Quantity("train_loss", "Training loss", "training loss",
             "cross entropy, or the sum of a detector's losses, training batches",
             tables=_TRAINED, screens=_STRATEGIES, figure="training loss", trained=True),
    Quantity("layers", "Weighted layers", "layers", "weighted layers", "per network", format="count",
             tables=("structure", "cost"), screens=(Column("paths"),), fixed=True, brief=("paths",)),
    Quantity("timestamp_combinations", "Combinations of timestamps", "combinations", "count", "", format="count",
             tables=("structure",), screens=_PATHS, fixed=True),
    Quantity("mean_sources", "Sources of a layer, mean", "mean sources", "layers", "",
             tables=("structure",), screens=_PATHS, fixed=True, brief=("paths",)),
    Quantity("max_reuse", "Readers of a layer, maximum", "max reuse", "layers", "", format="count",
             tables=("structure",), screens=_PATHS, fixed=True),
    Quantity("longest_shortest", "Longest of the shortest paths", "longest shortest path",
             "weighted layers, the longest of the layers' shortest paths", "", format="count",
             tables=("structure",), screens=_PATHS, fixed=True),
    Quantity("longest", "Longest path", "longest path", "weighted layers", "", format="count",
             tables=("structure",), screens=_PATHS, fixed=True, brief=("paths",)),
    Quantity("cross_terms", "Cross terms", "cross terms", "relative to the branches' energy", "",
             tables=("structure",), screens=_PATHS),
)
# fmt: on
QUALITIES = {"accuracy": "accuracy", "average_precision": "mean average precision"}
"""How well a trained network does on held-out samples, in words: a classifier, a detector."""
COUNTERPARTS = {
    entry.name: next(other.name for other in QUANTITIES if other.mean and other.version == entry.version)
    for entry in QUANTITIES
    if entry.version in (ENERGY, ENERGY_GIVEN_LOSS) and not entry.mean
}
"""The rarefied duplication, unchanged and given the loss, each with the mean similarity that must agree with it."""
HEADLINES = tuple(entry.name for entry in QUANTITIES if entry.version and entry.figure)
"""The quantities of similarity that figures of several networks show."""


def quality_in(columns: Iterable[str]) -> str:
    """Return the quality of trained networks that a table has; empty if it has none.

    >>> quality_in(["step", "average_precision"]), quality_in(["step"])
    ('average_precision', '')
    """
    names = set(columns)
    return next((name for name in QUALITIES if name in names), "")


def size_column(name: str) -> str:
    """Return the column with the number of signals of a rarefied duplication; empty for other quantities.

    >>> size_column("rarefied_duplication"), size_column("rarefied_duplication_given_loss"), size_column("flops")
    ('m', 'm_given_loss', '')
    """
    entry = quantity(name)
    if entry is None or entry.version is None or entry.mean:
        return ""
    return SIZES[entry.version.given_loss]


def quantities_with(table: str = "", screen: str = "", **flags: bool) -> tuple[Quantity, ...]:
    """Return the selected quantities, in the order of the page, or of the screen if one is named.

    Args:
        table: that has them as columns.
        screen: that prints them.
        **flags: fields of ``Quantity`` that must be true or false.

    >>> [quantity.name for quantity in quantities_with("comparison", cost=True)]
    ['flops', 'parameters']
    """
    chosen = [
        entry
        for entry in QUANTITIES
        if (not table or table in entry.tables)
        and (not screen or entry.column(screen) is not None)
        and all(bool(getattr(entry, flag)) is value for flag, value in flags.items())
    ]
    if screen:
        chosen.sort(key=lambda entry: _position(entry, screen))
    return tuple(chosen)


def names(table: str = "", screen: str = "", **flags: bool) -> tuple[str, ...]:
    """Return the names of ``quantities_with``.

    >>> names(relative=True)
    ('flops', 'parameters', 'traffic_elements')
    """
    return tuple(entry.name for entry in quantities_with(table, screen, **flags))


def units(table: str) -> dict[str, str]:
    """Return the unit of each quantity that is a column of ``table``."""
    return {entry.name: entry.unit for entry in quantities_with(table)}


def quantity(name: str) -> Quantity | None:
    """Return the quantity that a column holds, also if it holds a difference or an interval; else None.

    >>> quantity("flops_difference").head, quantity("rms")
    ('FLOPs', None)
    """
    base = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
    return _BY_NAME.get(name) or _BY_NAME.get(base)


def _position(entry: Quantity, screen: str) -> tuple[int, bool]:
    column = entry.column(screen)
    return (0, False) if column is None else (column.block, column.last)


_BY_NAME = {entry.name: entry for entry in QUANTITIES}
