"""gram: G Gᵀ for any layout, precision and size of the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gradlens.grams.gram import gram
from gradlens.grams.rows import rows


def expected(gradient: Tensor) -> np.ndarray:
    flat = gradient.double().contiguous().reshape(len(gradient), -1)
    return (flat @ flat.T).numpy()


@pytest.mark.parametrize("shape", [(5, 7), (5, 3, 4), (5, 3, 4, 6), (5,), (5, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_gram_is_the_product_of_the_flattened_samples(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    gradient = torch.randn(shape).to(dtype)
    matrix = gram(gradient, 1, 5)
    assert matrix.dtype == torch.float64
    np.testing.assert_allclose(matrix, expected(gradient), rtol=1e-5, atol=1e-5)


def test_samples_may_vary_faster_than_other_rows() -> None:
    gradient = torch.randn(3, 5, 4, dtype=torch.float64)  # [time, n, c]
    np.testing.assert_allclose(gram(gradient, 3, 5), expected(gradient.transpose(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(
        gram(gradient.reshape(15, 4), 3, 5), expected(gradient.transpose(0, 1)), rtol=1e-12
    )


def test_rows_of_one_sample_may_be_folded_into_its_axis() -> None:
    gradient = torch.randn(20, 3, dtype=torch.float64)  # [n * windows, c]
    np.testing.assert_allclose(gram(gradient, 1, 5), expected(gradient.view(5, 12)), rtol=1e-12)


@pytest.mark.parametrize(
    "rearrange",
    [
        lambda g: g.to(memory_format=torch.channels_last),
        lambda g: g.transpose(1, 2),
        lambda g: g.permute(0, 3, 1, 2),
    ],
    ids=["channels_last", "transposed", "permuted"],
)
def test_a_gradient_that_is_dense_in_another_order_is_not_copied(rearrange: Any) -> None:
    gradient = rearrange(torch.randn(5, 3, 4, 6))
    flat = rows(gradient, 1, 5)
    assert flat.shape == (5, 72)
    assert flat.data_ptr() == gradient.data_ptr()
    assert flat.untyped_storage().data_ptr() == gradient.untyped_storage().data_ptr()
    np.testing.assert_allclose(gram(gradient, 1, 5), expected(gradient), rtol=1e-5, atol=1e-5)


def test_a_slice_of_channels_as_cat_passes_it_on_is_right() -> None:
    gradient = torch.randn(5, 8, 4, 4)[:, 2:5]
    np.testing.assert_allclose(gram(gradient, 1, 5), expected(gradient), rtol=1e-5, atol=1e-5)


def test_an_expanded_gradient_is_right() -> None:
    gradient = torch.randn(5, 3, 1, 1).expand(5, 3, 4, 4)
    np.testing.assert_allclose(gram(gradient, 1, 5), expected(gradient), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gram(torch.ones(()).expand(5, 3), 1, 5), np.full((5, 5), 3.0))


@pytest.mark.parametrize("size", [1e-25, 1e-30, 1e25])
def test_small_and_large_gradients_are_taken_again_in_float64(size: float) -> None:
    gradient = torch.randn(5, 30) * size
    np.testing.assert_allclose(
        gram(gradient, 1, 5) / size**2, expected(gradient / size), rtol=1e-4, atol=1e-4
    )


def test_one_tiny_sample_among_ordinary_ones_keeps_its_energy() -> None:
    gradient = torch.randn(5, 30)
    gradient[2] *= 1e-25
    matrix = gram(gradient, 1, 5)
    assert matrix[2, 2] == pytest.approx(float(gradient[2].double().square().sum()), rel=1e-5)
    assert matrix[2, 2] > 0


def test_a_half_precision_gradient_does_not_overflow() -> None:
    gradient = torch.full((4, 1000), 3e4, dtype=torch.float16)
    assert gram(gradient, 1, 4)[0, 1] == pytest.approx(1000 * 9e8, rel=1e-3)


def test_zero_stays_exactly_zero_and_not_finite_stays_not_finite() -> None:
    gradient = torch.zeros(4, 6)
    assert not gram(gradient, 1, 4).any()
    gradient[1, 2] = torch.nan
    assert gram(gradient, 1, 4)[1, 1].isnan()
    gradient[1, 2] = torch.inf
    assert not gram(gradient, 1, 4)[1, 1].isfinite()


def test_order_of_features_does_not_matter_and_order_of_samples_is_kept() -> None:
    gradient = torch.randn(6, 4, 5, dtype=torch.float64)
    matrix = gram(gradient, 1, 6)
    np.testing.assert_allclose(gram(gradient[:, torch.randperm(4)], 1, 6), matrix, rtol=1e-12)
    order = torch.randperm(6)
    np.testing.assert_allclose(gram(gradient[order], 1, 6), matrix[order][:, order], rtol=1e-12)


def test_the_gradient_is_left_unchanged() -> None:
    gradient = torch.randn(4, 6)
    before = gradient.clone()
    gram(gradient, 1, 4)
    assert torch.equal(gradient, before)
