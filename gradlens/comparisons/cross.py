"""Layers of one network against layers of another, on the same samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import REACH, over_replicates
from gradlens.analyzers.similarity import similarity
from gradlens.recording import Recording
from gradlens.results import Table

CROSS_VERSIONS = ("energy", "direction")
"""Given the loss is left out: each network has a loss signal of its own."""


def cross_network(first: Recording, second: Recording) -> Table | None:
    """CKA of every signal of ``first`` with every one of ``second``, mean over seeds.

    Args:
        first: of some samples.
        second: of the same samples in the same order.

    Returns:
        A row a pair; None where a network has no signals, or the batches are not the same.
    """
    rows, columns = len(first.plan.signals), len(second.plan.signals)
    if not rows or not columns or first.replicates != second.replicates or first.n != second.n:
        return None
    i, j = (axis.ravel() for axis in np.indices((rows, columns)))

    def measure(a: Recording, b: Recording) -> dict[str, np.ndarray]:
        grams = np.concatenate([a.signal_grams, b.signal_grams])
        whole = similarity(grams, None).versions
        return {version: whole[version][:rows, rows:][i, j] for version in CROSS_VERSIONS}

    values, reach = over_replicates(measure, first, second)
    values |= {f"{version}_reach": reached for version, reached in reach.items()}
    frame = pd.DataFrame(
        {
            "network_a": first.name,
            "network_b": second.name,
            "stage_a": np.array([signal.stage for signal in first.signals], dtype=object)[i],
            "stage_b": np.array([signal.stage for signal in second.signals], dtype=object)[j],
            "signal_a": np.array([signal.name for signal in first.signals], dtype=object)[i],
            "signal_b": np.array([signal.name for signal in second.signals], dtype=object)[j],
            "order_a": i,
            "order_b": j,
            **values,
        }
    )
    return Table(
        "cross",
        frame,
        "Similarity of the gradients of every layer of one network with every layer of the other.",
        how=(
            "Unbiased linear CKA of per-sample Grams on the same samples, averaged over a seed's batches before "
            f"dividing, then over seeds. {REACH} Both networks learn the same "
            "labels, so some similarity is forced. Dead signals have no similarity and are empty."
        ),
        units=dict.fromkeys(CROSS_VERSIONS, "CKA, about 0 unrelated to 1 equal"),
    )
