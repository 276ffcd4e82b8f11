"""What similarities need of each replicate, computed once: the similarity over some replicates is made of its sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.catalogue.losses import ALL
from gradlens.catalogue.versions import DIRECTION, ENERGY, Version
from gradlens.metrics import direction, hsic_by_replicate
from gradlens.recording import Recording

Array = NDArray[np.float64]
Members = tuple[tuple[int, ...], ...]
"""Gradients, each by the probes whose gradients side by side are that gradient."""


@dataclass(frozen=True)
class Products:
    """HSICs of gradients in each replicate.

    Attributes:
        hsic: of each pair, ``[s, l, l]`` by version; the loss signal, if there is one, comes last.
        given_loss: whether there is a loss signal.
        squares: sum of the squares of each Gram in units of an HSIC, ``[s, l]``.
        known: whether all of a Gram is finite, ``[s, l]``; HSICs of other Grams are 0.
        live: whether any of a Gram is not zero, ``[s, l]``.
    """

    hsic: Mapping[Version, Array]
    given_loss: bool
    squares: Array
    known: NDArray[np.bool_]
    live: NDArray[np.bool_]


def products(grams: Array, loss: Array | None) -> Products:
    """Return the HSICs of gradients in each replicate.

    Args:
        grams: ``[l, s, n, n]``.
        loss: Gram of the loss signal ``[s, n, n]``, or None.
    """
    known, live = (of_elements(grams).swapaxes(0, 1) for of_elements in (_finite, _any))
    if not known.all():
        grams = np.where(known.T[..., None, None], grams, 0.0)
    n = grams.shape[-1]
    squares = np.einsum("lsij,lsij->sl", grams, grams) / (n * (n - 3))
    if loss is not None:
        grams = np.concatenate([grams, loss[None]])
    hsic = {version: hsic_by_replicate(transformed(grams, version)) for version in (ENERGY, DIRECTION)}
    return Products(hsic, loss is not None, squares, known, live)


def transformed(grams: Array, version: Version) -> Array:
    """Return the Grams that a version compares: of unit gradients for direction, unchanged for energy."""
    return direction(grams) if version.direction else grams


def products_of(recording: Recording, members: Members, loss: str = ALL) -> Products:
    """Return the HSICs of gradients of a recording in its own replicates, which are computed once.

    Args:
        recording: not a part of another one.
        members: the gradients.
        loss: name of the loss whose signal is the loss signal; by default the sum of all.
    """
    known = _known(recording)
    if (members, loss) not in known:
        grams = np.stack([recording.grams_of(member).sum(axis=0) for member in members])
        of_loss = recording if loss == ALL else recording.of_loss(loss)
        known[members, loss] = products(grams, of_loss.loss_gram)
    return known[members, loss]


@cached_by_recording
def _known(_: Recording) -> dict[tuple[Members, str], Products]:
    """Return the HSICs that were computed for a recording."""
    return {}


def _finite(grams: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(grams).all(axis=(2, 3)))


def _any(grams: Array) -> NDArray[np.bool_]:
    return np.asarray(grams.any(axis=(2, 3)))
