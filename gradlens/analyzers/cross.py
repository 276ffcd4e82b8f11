"""Layers of one network against layers of another, on the same samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.analyzers.correlation import mean_known
from gradlens.analyzers.signals import network, signal_names, signal_stages
from gradlens.analyzers.similarity import similarity
from gradlens.grams import Recording
from gradlens.metrics import half_widths
from gradlens.results import Table

CROSS_VERSIONS = ("energy", "direction")
"""Given the loss is left out: each network has a loss signal of its own."""


def cross_network(first: Recording, second: Recording) -> Table | None:
    """CKA of every signal of ``first`` with every one of ``second`` (METRICS 5), mean over seeds.

    Args:
        first: of some samples.
        second: of the same samples in the same order.

    Returns:
        A row a pair; None where a network has no signals.
    """
    rows, columns = len(first.plan.signals), len(second.plan.signals)
    if not rows or not columns:
        return None
    found: dict[str, list[np.ndarray]] = {version: [] for version in CROSS_VERSIONS}
    for seed in first.seeds:
        a, b = first.of_seed(seed), second.of_seed(seed)
        grams = np.concatenate([a.grams[list(a.plan.signals)], b.grams[list(b.plan.signals)]])
        whole = similarity(grams, None).versions
        for version in CROSS_VERSIONS:
            found[version].append(whole[version][:rows, rows:])
    i, j = (axis.ravel() for axis in np.indices((rows, columns)))
    values = {version: mean_known(np.stack(seeds))[i, j] for version, seeds in found.items()}
    values |= {f"{version}_reach": half_widths(np.stack(seeds))[i, j] for version, seeds in found.items()}
    frame = pd.DataFrame(
        {
            "network_a": network(first),
            "network_b": network(second),
            "stage_a": np.array(signal_stages(first), dtype=object)[i],
            "stage_b": np.array(signal_stages(second), dtype=object)[j],
            "signal_a": np.array(signal_names(first), dtype=object)[i],
            "signal_b": np.array(signal_names(second), dtype=object)[j],
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
            "dividing, then over seeds; reach: half the 95 % t interval over seeds. Both networks learn the same "
            "labels, so some similarity is forced. Dead signals have no similarity and are empty."
        ),
        units=dict.fromkeys(CROSS_VERSIONS, "CKA, about 0 unrelated to 1 equal"),
    )
