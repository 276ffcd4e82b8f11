"""Similarity of a set of gradients in its four versions, with a defined answer where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics import cka, direction, hsic_matrix, is_constant, partial_hsic
from gradlens.recording import Recording

Array = NDArray[np.float64]

VERSIONS = ("energy", "direction", "energy given loss", "direction given loss")


@dataclass(frozen=True)
class Similarity:
    """CKA between gradients of one seed.

    Attributes:
        versions: by version, ``[l, l]``; NaN for gradients that have none.
        dead: exactly zero in every replicate, ``[l]``.
        unusable: dead, constant over samples, or without a sample axis, ``[l]``.
    """

    versions: dict[str, Array]
    dead: NDArray[np.bool_]
    unusable: NDArray[np.bool_]

    def usable(self, version: str, among: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of ``among`` that have a similarity in this version."""
        own = np.diagonal(self.versions[version])[among]
        return among[np.isfinite(own)]


def similarity(grams: Array, loss: Array | None) -> Similarity:
    """The four versions of CKA between gradients.

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
    for name, form in (("energy", _as_it_is), ("direction", direction)):
        kept = [form(grams[alive])]
        if loss is not None:
            kept.append(form(loss)[None])
        hsic = hsic_matrix(np.concatenate(kept)) if len(alive) else np.zeros((0, 0))
        versions[name] = _spread(cka(hsic)[: len(alive), : len(alive)], alive, signals)
        partial = np.full((len(alive), len(alive)), np.nan)
        if loss is not None and len(alive):
            partial = cka(partial_hsic(hsic, len(alive)))[: len(alive), : len(alive)]
        versions[f"{name} given loss"] = _spread(partial, alive, signals)
    return Similarity(versions, dead, unusable)


def signal_similarity(recording: Recording, seed: int) -> Similarity:
    """Similarity between the signals of one seed's replicates."""
    own = recording.of_seed(seed)
    return similarity(own.signal_grams, own.loss_gram)


def _as_it_is(grams: Array) -> Array:
    return grams


def _spread(small: Array, places: NDArray[np.intp], size: int) -> Array:
    whole = np.full((size, size), np.nan)
    whole[np.ix_(places, places)] = small
    return whole
