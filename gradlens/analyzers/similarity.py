"""Similarity of a set of gradients in its four versions; NaN for gradients that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradlens.analyzers.products import Members, Products, products_of
from gradlens.analyzers.remembering import cached_by_recording
from gradlens.catalogue.losses import ALL
from gradlens.catalogue.versions import ENERGY, VERSIONS, Version
from gradlens.metrics import cka, is_rounding, partial_hsic
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


def similarity(products: Products, replicates: Sequence[int]) -> Similarity:
    """Return the four versions of CKA between gradients over some replicates.

    Args:
        products: of the gradients.
        replicates: indices of the replicates.
    """
    rows = list(replicates)
    hsic = {version: by_replicate[rows].mean(axis=0) for version, by_replicate in products.hsic.items()}
    known = products.known[rows].all(axis=0)
    dead = np.asarray(known & ~products.live[rows].any(axis=0))
    varied = np.diagonal(hsic[ENERGY])[: known.size]
    unusable = np.asarray(~known | is_rounding(varied, products.squares[rows].mean(axis=0)))
    alive = np.flatnonzero(~unusable)
    versions = {}
    for base, matrix in hsic.items():
        full, partial = _cka(matrix, alive, products.given_loss)
        versions[base] = _spread(full, alive, known.size)
        versions[Version(base.direction, given_loss=True)] = _spread(partial, alive, known.size)
    return Similarity({version: versions[version] for version in VERSIONS}, dead, unusable)


def similarity_of(recording: Recording, members: Members, loss: str = ALL) -> Similarity:
    """Return the similarity between gradients of a recording of one seed.

    Args:
        recording: of one seed.
        members: the gradients, each by the probes whose gradients side by side are that gradient.
        loss: name of the loss whose signal is the loss signal; by default the sum of all.
    """
    whole, replicates = recording.origin
    return similarity(products_of(whole, members, loss), replicates)


def signal_similarity(recording: Recording, loss: str = ALL) -> Similarity:
    """Return the similarity between the signals of a recording of one seed."""
    return similarity_of(recording, tuple((number,) for number in recording.plan.signals), loss)


@cached_by_recording
def seed_similarities(recording: Recording) -> dict[int, Similarity]:
    """Return the similarity between the signals in each seed."""
    return {seed: signal_similarity(recording.of_seed(seed)) for seed in recording.seeds}


def _cka(hsic: Array, alive: NDArray[np.intp], given_loss: bool) -> tuple[Array, Array]:
    """Return the CKA between live gradients ``[l, l]``, and the same given the loss signal, the last of ``hsic``."""
    count = len(alive)
    full = hsic[np.ix_(alive, alive)]
    if not given_loss or not count:
        return cka(full), np.full((count, count), np.nan)
    indices = np.append(alive, len(hsic) - 1)
    return cka(full), cka(partial_hsic(hsic[np.ix_(indices, indices)], count))[:count, :count]


def _spread(matrix: Array, indices: NDArray[np.intp], size: int) -> Array:
    """Return a ``[size, size]`` matrix that holds ``matrix`` at ``indices``, and NaN elsewhere."""
    whole = np.full((size, size), np.nan)
    whole[np.ix_(indices, indices)] = matrix
    return whole
