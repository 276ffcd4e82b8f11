"""Signals with known relations: random signals, and Grams that are exactly orthogonal under HSIC₁."""

import numpy as np
import pytest

from gradlens.metrics import u_center


def grams_of(features):
    """Return the Grams ``[..., n, n]`` of features ``[..., n, d]``."""
    return np.einsum("...if,...jf->...ij", features, features)


@pytest.fixture
def grams():
    return grams_of


@pytest.fixture
def independent():
    """Factory of Grams ``[l, s, n, n]`` of independent Gaussian signals, of full or of a lower rank."""

    def make(signals, replicates, n, seed=0, features=300, rank=None):
        rng = np.random.default_rng(seed)
        return grams_of(rng.standard_normal((signals, replicates, n, rank or features)))

    return make


@pytest.fixture
def orthogonal():
    """Factory of symmetric matrices ``[l, 1, n, n]`` whose U-centred versions are exactly orthonormal."""

    def make(signals, n, seed=0):
        raw = np.random.default_rng(seed).standard_normal((signals, n, n))
        centred = u_center(raw + raw.transpose(0, 2, 1)).reshape(signals, -1)
        basis, _ = np.linalg.qr(centred.T)
        return basis.T.reshape(signals, 1, n, n)

    return make
