"""Squared norms of rows, at every size and precision."""

from __future__ import annotations

import pytest
import torch

from gradlens.grams.norms import BLOCK, squared_norms


@pytest.mark.parametrize("features", [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e-12], ids=str)
def test_squared_norms_are_those_in_double_precision(features: int, scale: float) -> None:
    rows = torch.randn(2, 3, features, generator=torch.Generator().manual_seed(features)) * scale
    expected = rows.double().square().sum(-1)
    torch.testing.assert_close(squared_norms(rows), expected, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(squared_norms(rows.double()), expected, rtol=1e-14, atol=0.0)


def test_a_row_of_zero_has_a_norm_of_zero() -> None:
    assert squared_norms(torch.zeros(2, 5)).tolist() == [0.0, 0.0]
