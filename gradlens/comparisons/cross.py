"""Layers of one network against layers of another, on the same samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.products import products
from gradlens.analyzers.replicates import HALF_WIDTHS, over_replicates
from gradlens.analyzers.similarity import similarity
from gradlens.catalogue.versions import DIRECTION, ENERGY
from gradlens.recording import Recording
from gradlens.results import Table

CROSS_VERSIONS = (ENERGY, DIRECTION)
"""Not given the loss: each network has a different loss signal."""
HOW = (
    "Unbiased linear CKA of per-sample Grams on the same samples, averaged over a seed's batches before dividing, then "
    f"over seeds. {HALF_WIDTHS} The same labels cause some similarity. Dead "
    "signals have no similarity and are empty."
)


def cross_network(first: Recording, second: Recording) -> Table | None:
    """Return the CKA of every signal of ``first`` with every signal of ``second``, mean over seeds.

    Args:
        first: recording of the network of the rows.
        second: recording of the network of the columns, of the same samples in the same order.

    Returns:
        One row per pair; None if a network has no signals, or the batches are not the same.
    """
    rows, columns = len(first.signals), len(second.signals)
    if not rows or not columns or first.replicates != second.replicates or first.n != second.n:
        return None
    i, j = (axis.ravel() for axis in np.indices((rows, columns)))

    both = products(np.concatenate([first.signal_grams, second.signal_grams]), None)

    def measure(a: Recording, _: Recording) -> dict[str, np.ndarray]:
        versions = similarity(
            both, [first.replicates.index(replicate) for replicate in a.replicates]
        ).versions
        return {version.column: versions[version][:rows, rows:][i, j] for version in CROSS_VERSIONS}

    values = over_replicates(measure, first, second)
    frame = pd.DataFrame(
        {
            "network_a": first.name,
            "network_b": second.name,
            "stage_a": _stages(first)[i],
            "stage_b": _stages(second)[j],
            "signal_a": _names(first)[i],
            "signal_b": _names(second)[j],
            "order_a": i,
            "order_b": j,
            **values.means,
            **{f"{column}_reach": widths for column, widths in values.half_widths.items()},
        }
    )
    return Table(
        "cross",
        frame,
        "Similarity of the gradients of every layer of one network with every layer of the other.",
        how=HOW,
        units={version.column: "CKA, about 0 unrelated to 1 equal" for version in CROSS_VERSIONS},
    )


def _names(recording: Recording) -> NDArray[np.object_]:
    """Return the names of the signals, ``[l]``."""
    return np.array([signal.name for signal in recording.signals], dtype=object)


def _stages(recording: Recording) -> NDArray[np.object_]:
    """Return the stages of the signals, ``[l]``."""
    return np.array([signal.stage for signal in recording.signals], dtype=object)
