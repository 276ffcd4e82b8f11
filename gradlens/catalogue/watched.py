"""The quantities of a watched training: one entry each, with what a row of it means and how a stage sums them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Summary = Literal["", "smallest", "largest", "sum", "geometric mean"]
"""How the numbers of the places of a stage become one number of the stage."""


@dataclass(frozen=True)
class WatchedQuantity:
    """A number that is written in each measured step of a training.

    Attributes:
        name: in the rows, in tags of logs, and of the column of ``stages_along``.
        place: what has such a number: a layer, a branch, a fork, a stage, an operation or the network.
        meaning: what the number is.
        unit: or range.
        title: of its panel in figures by stage; empty if it has none.
        summary: of the numbers of a stage; empty if the number is one of a stage, or no stage has one.
        logarithmic: drawn on a logarithmic axis.
    """

    name: str
    place: str
    meaning: str
    unit: str
    title: str = ""
    summary: Summary = ""
    logarithmic: bool = False


AXES = ("step", "backward", "stage", "alarms")
"""Columns of ``stages_along`` beside the quantities."""
STAGES, BRANCHES = "stages_along", "branches_along"
"""Names of the tables of stages and of branches."""
STAGES_OF = "stages_of"
"""Key of the names of all stages of a training in the attributes of its frames."""
SHARE, COHERENCE, FINITE = "share", "coherence", "finite"
"""Names of the share of a branch, of the coherence of a fork, and of the last row of each backward pass."""

# fmt: off
WATCHED: tuple[WatchedQuantity, ...] = (
    WatchedQuantity("duplication", "stage", "D_m of the signals of a stage, of one batch", "0 unrelated to 1 copies",
                    title="duplication D_m"),
    WatchedQuantity("duplication_given_loss", "stage", "the same after partialling out the loss signal",
                    "0 unrelated to 1 copies", title="D_m given the loss"),
    WatchedQuantity("mean_similarity", "stage", "mean CKA of two signals of a stage", "about 0 to 1",
                    title="mean similarity"),
    WatchedQuantity("energy", "layer", "squared norm of the gradient at a layer, added up over the samples",
                    "of the summed loss"),
    WatchedQuantity("rms", "layer", "root mean square of a sample's elements of that gradient, mean over the samples",
                    "of the summed loss", title="RMS gradient", summary="geometric mean", logarithmic=True),
    WatchedQuantity("largest", "layer", "largest absolute element of that gradient", "of the summed loss",
                    summary="largest"),
    WatchedQuantity("dead", "layer", "1 if that gradient is exactly zero for all samples, else 0",
                    "layers", title="dead layers", summary="sum"),
    WatchedQuantity(SHARE, "branch of a fork", "share in the energy of the contributions", "0 to 1",
                    title="smallest share", summary="smallest"),
    WatchedQuantity("part", "part of a partial split", "share in the energy of the gradient", "0 to 1"),
    WatchedQuantity(COHERENCE, "fork", "energy of the sum of the contributions divided by the sum of their energies",
                    "1: neither add up nor cancel", summary="smallest"),
    WatchedQuantity("gain_per_step", "recurrent layer", "factor by which the gradient grows per time step, going back",
                    "factor"),
    WatchedQuantity("gain_over_steps", "recurrent layer", "the same over all time steps", "factor"),
    WatchedQuantity("unreached", "layer", "1 for a layer that ran, is trained, and that no gradient reaches", "layers",
                    summary="sum"),
    WatchedQuantity("frozen", "module", "1 for a module whose parameters are not trained, although a gradient passes "
                    "through it", "modules", summary="sum"),
    WatchedQuantity("not_finite", "operation", "share of the samples whose gradient is NaN or infinite, at the "
                    "operation that passed back the first one", "0 to 1", summary="largest"),
    WatchedQuantity("scale", "network", "factor by which the loop has scaled the loss (GradScaler)", "factor"),
    WatchedQuantity(FINITE, "network", "0 if a gradient is NaN or infinite, and nothing else is measured; else 1",
                    "0 or 1"),
)
# fmt: on
_BY_NAME = {entry.name: entry for entry in WATCHED}


def watched(name: str) -> WatchedQuantity | None:
    """Return the entry of a quantity; None if it is a number that the loop has logged, such as its loss.

    >>> watched("share").summary, watched("loss")
    ('smallest', None)
    """
    return _BY_NAME.get(name)
