"""Correlation of branches by stage: the mean over the forks and partial splits of a stage."""

from __future__ import annotations

import numpy as np

from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE
from gradlens.analyzers.similarity import similarity_of
from gradlens.catalogue.versions import ENERGY
from gradlens.recording import Recording


def branch_correlation(recording: Recording) -> dict[str, float]:
    """Return the mean CKA (energy) between the branches of forks and the parts of splits, by stage.

    Merges are left out because similarity at a merge can follow from its construction.
    """
    by_stage: dict[str, list[float]] = {}
    for group in recording.plan.network_groups.values():
        if group.where != "merge":
            matrix = similarity_of(recording, group.members).versions[ENERGY]
            pairs = matrix[np.triu_indices(len(matrix), k=1)]
            by_stage.setdefault(group.stage, []).extend(pairs[np.isfinite(pairs)].tolist())
    by_stage[WHOLE] = [value for values in by_stage.values() for value in values]
    return {stage: float(np.mean(values)) if values else np.nan for stage, values in by_stage.items()}


def split_correlation(recording: Recording) -> dict[str, float]:
    """Return the mean CKA (energy) of bypass and dense branch where the input of a stage is cut, by stage."""
    return _between_parts(recording, "split")


def merge_correlation(recording: Recording) -> dict[str, float]:
    """Return the mean CKA (energy) of bypass and dense branch where they are concatenated, by stage."""
    return _between_parts(recording, "merge")


def _between_parts(recording: Recording, where: str) -> dict[str, float]:
    by_stage: dict[str, list[float]] = {}
    for group in recording.plan.network_groups.values():
        parts = [index for index, label in enumerate(group.labels) if label in ("bypass", "dense")]
        if group.where == where and len(parts) == 2:
            matrix = similarity_of(recording, group.members).versions[ENERGY]
            by_stage.setdefault(group.stage, []).append(float(matrix[parts[0], parts[1]]))
    if by_stage:
        by_stage[WHOLE] = [value for values in by_stage.values() for value in values]
    return {stage: float(mean_known(np.array(values))) for stage, values in by_stage.items()}
