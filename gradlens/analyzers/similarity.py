"""Similarity of a set of gradients in its four versions; NaN for gradients that have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.catalogue.versions import VERSIONS, Version
from gradlens.metrics import cka, direction, hsic_matrix, is_constant, partial_hsic
from gradlens.recording import Recording

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """CKA between gradients of one seed.

    Attributes:
        versions: ``[l, l]`` by version; NaN for gradients without a similarity.
        dead: exactly zero in every replicate, ``[l]``.
        unusable: dead, constant over samples, or without a sample axis, ``[l]``.
    """

    versions: Mapping[Version, Array]
    dead: NDArray[np.bool_]
    unusable: NDArray[np.bool_]

    def usable(self, version: Version, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return those of ``indices`` that have a similarity in this version."""
        return indices[np.isfinite(np.diagonal(self.versions[version])[indices])]

    def between(self, version: Version, indices: NDArray[np.intp]) -> Array:
        """Return the CKA matrix of these gradients."""
        return self.versions[version][indices][:, indices]

    def columns(self) -> dict[str, Array]:
        """Return the matrices by the name of the version's column."""
        return {version.column: matrix for version, matrix in self.versions.items()}


def similarity(grams: Array, loss: Array | None) -> Similarity:
    """Return the four versions of CKA between gradients.

    Args:
        grams: ``[l, s, n, n]`` of one seed.
        loss: Gram of the loss signal ``[s, n, n]``; without it the versions given the loss are NaN.
    """
    signals = len(grams)
    flat = grams.reshape(signals, -1)
    known = np.asarray(np.isfinite(flat).all(axis=1))
    dead = known & ~np.asarray(flat.any(axis=1))
    unusable = ~known
    unusable[known] = is_constant(grams[known])
    alive = np.flatnonzero(~unusable)
    versions = {}
    for base in VERSIONS:
        if not base.given_loss:
            full, partial = _cka(grams[alive], loss, base)
            versions[base] = _spread(full, alive, signals)
            versions[Version(base.direction, given_loss=True)] = _spread(partial, alive, signals)
    return Similarity({version: versions[version] for version in VERSIONS}, dead, unusable)


def transformed(grams: Array, version: Version) -> Array:
    """Return the Grams that a version compares: of unit gradients for direction, unchanged for energy."""
    return direction(grams) if version.direction else grams


def signal_similarity(recording: Recording) -> Similarity:
    """Return the similarity between the signals of a recording of one seed."""
    return similarity(recording.signal_grams, recording.loss_gram)


@cached_by_recording
def seed_similarities(recording: Recording) -> dict[int, Similarity]:
    """Return the similarity between the signals in each seed."""
    return {seed: signal_similarity(recording.of_seed(seed)) for seed in recording.seeds}


def _cka(grams: Array, loss: Array | None, version: Version) -> tuple[Array, Array]:
    """Return the CKA between live gradients ``[l, l]``, and the same given the loss."""
    count = len(grams)
    partial = np.full((count, count), np.nan)
    stacked = [transformed(grams, version)]
    if loss is not None:
        stacked.append(transformed(loss, version)[None])
    hsic = hsic_matrix(np.concatenate(stacked)) if count else np.zeros((0, 0))
    if loss is not None and count:
        partial = cka(partial_hsic(hsic, count))[:count, :count]
    return cka(hsic)[:count, :count], partial


def _spread(matrix: Array, indices: NDArray[np.intp], size: int) -> Array:
    """Return a ``[size, size]`` matrix that holds ``matrix`` at ``indices``, and NaN elsewhere."""
    whole = np.full((size, size), np.nan)
    whole[np.ix_(indices, indices)] = matrix
    return whole
