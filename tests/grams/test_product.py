"""One pass over a gradient: panels, blocks, chunks and the rest behind them, against products in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradlens.grams.gram import gram
from gradlens.grams.product import CACHE, PANEL, grams_of_parts, product, projected, square
from gradlens.grams.projection import Projection, totals
from gradlens.grams.rows import WIDTH, Chunks, chunks

SAMPLES = [1, PANEL, PANEL + 1, 2 * PANEL, 2 * PANEL + 3]
FEATURES = [1, WIDTH, WIDTH + 1, 2003, 7 * WIDTH, CACHE // 16]
"""One chunk, equal chunks, a prime number, and more than one block in cache."""


@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("features", FEATURES)
def test_panels_of_a_gram_are_those_of_the_whole_product(n: int, features: int) -> None:
    gradient = torch.randn(n, features, generator=torch.Generator().manual_seed(features + n))
    expected = gradient.double() @ gradient.double().T
    scale = expected.diagonal().max().item()
    np.testing.assert_allclose(gram(gradient, 1, n), expected, atol=1e-6 * scale)
    np.testing.assert_allclose(gram(gradient, 1, n, double=True), expected, atol=1e-12 * scale)
    panels = [panel.numpy() for panel in product(chunks(gradient, 1, n)).panels]
    np.testing.assert_array_equal(square(panels, np.empty((n, n))), gram(gradient, 1, n))


@pytest.mark.parametrize("features", FEATURES)
def test_products_with_signs_are_the_same_with_and_without_a_gram(features: int) -> None:
    n = 2 * PANEL
    gradient = torch.randn(n, features, generator=torch.Generator().manual_seed(features))
    cut = chunks(gradient, 1, n)
    signs = Projection(features).functional(cut, gradient.shape)
    row = torch.cat([signs.equal.reshape(-1), *([] if signs.rest is None else [signs.rest.reshape(-1)])])
    assert row.abs().eq(1).all()
    beside, alone = totals(product(cut, [signs]).projected[0]), totals(projected(cut, signs))
    expected = gradient.double() @ row.double()
    np.testing.assert_allclose(beside, expected, atol=1e-5 * features**0.5)
    np.testing.assert_array_equal(beside, alone)


@pytest.mark.parametrize("n", [2, PANEL, 2 * PANEL + 3])
@pytest.mark.parametrize("scale", [1.0, 1e-25], ids=["usual", "lost in float32"])
def test_grams_of_parts_are_those_of_their_features(n: int, scale: float) -> None:
    gradient = torch.randn(n, 12, 40, generator=torch.Generator().manual_seed(n)) * scale
    parts = [slice(None), slice(0, 3), slice(3, 12), slice(2, 7)]
    grams = grams_of_parts(Chunks(gradient.transpose(0, 1)), parts)
    for part, matrix in zip(parts, grams, strict=True):
        rows = gradient[:, part].reshape(n, -1).double()
        expected = rows @ rows.T
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-6 * expected.diagonal().max().item())


def test_a_part_without_a_gradient_is_zero_and_leaves_the_others_as_they_are() -> None:
    gradient = torch.ones(4, 3, 10)
    gradient[:, 0] = 0.0
    grams = grams_of_parts(Chunks(gradient.transpose(0, 1)), [slice(0, 1), slice(1, 3)])
    assert grams[0].eq(0).all()
    assert grams[1].eq(20).all()
