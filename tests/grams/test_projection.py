"""Projection: the same linear map for every layout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gradlens.grams.product import projected
from gradlens.grams.projection import (
    BUCKETS,
    Projection,
    chunks_of_sketch,
    exact,
    parts_of_sketch,
    sketched,
    totals,
)
from gradlens.grams.rows import chunks


def functional(projection: Projection, gradient: Tensor, outer: int, n: int) -> Tensor:
    cut = chunks(gradient, outer, n)
    return totals(projected(cut, projection.functional(cut, gradient.shape)))


def part(
    projection: Projection, gradient: Tensor, n: int, channels: tuple[int, int, int], axis: int, whole: int
) -> Tensor:
    cut, after = chunks(gradient, 1, n), math.prod(gradient.shape[axis + 1 :])
    before = gradient.numel() // max(n * gradient.shape[axis] * after, 1)
    signs = projection.part(cut, gradient.shape, channels, (before, whole, after))
    return totals(projected(cut, signs))


def sketch(projection: Projection, gradient: Tensor, n: int) -> Tensor:
    features = gradient.numel() // n
    cut = chunks(gradient, 1, n, (), chunks_of_sketch(features))
    return sketched(projected(cut, projection.sketch(cut)), parts_of_sketch(features))[0]


@pytest.mark.parametrize("shape", [(6, 10), (6, 3, 4, 5), (6, 8, 16, 16)])
def test_total_is_linear_and_independent_of_memory_order(shape: tuple[int, ...]) -> None:
    projection = Projection(5000)
    a, b = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    total = functional(projection, a, 1, 6)
    assert total.shape == (6,)
    torch.testing.assert_close(
        functional(projection, 3 * a - b, 1, 6), 3 * total - functional(projection, b, 1, 6)
    )
    if len(shape) == 4:
        last = a.to(memory_format=torch.channels_last)
        torch.testing.assert_close(functional(projection, last, 1, 6), total)
    assert total.abs().min() > 0


def test_total_depends_on_every_element() -> None:
    projection = Projection(100)
    for position in range(40):
        basis = torch.zeros(2, 40)
        basis[1, position] = 1.0
        assert functional(projection, basis, 1, 2).abs().tolist() == [0.0, 1.0]


def test_total_of_time_first_rows_equals_that_of_batch_first_rows() -> None:
    projection = Projection(100)
    gradient = torch.randn(4, 6, 5, dtype=torch.float64)  # [n, time, c]
    torch.testing.assert_close(
        functional(projection, gradient.transpose(0, 1), 6, 4), functional(projection, gradient, 1, 4)
    )


def test_parts_of_a_tensor_add_up_to_it() -> None:
    projection = Projection(2000)
    whole = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    total = functional(projection, whole, 1, 4)
    for cuts in ([(0, 4, 1), (4, 8, 1)], [(0, 3, 1), (3, 8, 1)], [(0, 8, 2), (1, 8, 2)]):
        parts = [part(projection, whole[:, slice(*cut)], 4, cut, 1, 8) for cut in cuts]
        torch.testing.assert_close(sum(parts), total)


def test_parts_on_the_last_axis_add_up() -> None:
    projection = Projection(2000)
    whole = torch.randn(4, 5, 8, dtype=torch.float64)
    parts = [
        part(projection, whole[..., :2], 4, (0, 2, 1), 2, 8),
        part(projection, whole[..., 2:], 4, (2, 8, 1), 2, 8),
    ]
    torch.testing.assert_close(sum(parts), functional(projection, whole, 1, 4))


def test_parts_of_windows_folded_into_axis_0_add_up() -> None:
    projection = Projection(2000)
    whole = torch.randn(4 * 3, 5, 8, dtype=torch.float64)  # [n * windows, tokens, c]
    parts = [part(projection, whole[..., slice(*cut)], 4, cut, 2, 8) for cut in [(0, 2, 1), (2, 8, 1)]]
    torch.testing.assert_close(sum(parts), functional(projection, whole, 1, 4))


def test_few_features_are_kept_whole() -> None:
    assert exact(BUCKETS)
    assert not exact(BUCKETS + 1)


def test_a_sketch_is_linear_and_independent_of_memory_order() -> None:
    projection = Projection(5000)
    a, b = (torch.randn(4, 7, 11, 13, dtype=torch.float64) for _ in range(2))
    whole = sketch(projection, a, 4)
    assert whole.shape[0] == 4
    assert BUCKETS <= whole.shape[1] <= 2 * BUCKETS
    torch.testing.assert_close(sketch(projection, a + 2 * b, 4), whole + 2 * sketch(projection, b, 4))
    torch.testing.assert_close(sketch(projection, a.to(memory_format=torch.channels_last), 4), whole)


def test_a_sketch_keeps_inner_products_within_its_stated_error_and_without_bias() -> None:
    torch.manual_seed(4)
    n, d = 4, 3001
    x = torch.randn(n, d, dtype=torch.float64)
    y = 0.6 * x + 0.8 * torch.randn(n, d, dtype=torch.float64)
    truth = (x * y).sum(1)
    scale = x.norm(dim=1) * y.norm(dim=1)
    errors = []
    for seed in range(60):
        projection = Projection(d, seed)
        products = (sketch(projection, x, n) * sketch(projection, y, n)).sum(1)
        errors.append((products - truth) / scale)
    errors = torch.stack(errors)
    stated = (2 / BUCKETS) ** 0.5
    assert errors.square().mean().sqrt() < stated
    assert errors.square().mean().sqrt() > stated / 4  # a sketch, not the features themselves
    assert errors.mean().abs() < 4 * stated / errors.numel() ** 0.5


def test_signs_are_a_function_of_the_seed() -> None:
    gradient = torch.randn(3, 500)
    same, other = (functional(Projection(500, seed), gradient, 1, 3) for seed in (7, 8))
    assert torch.equal(functional(Projection(500, 7), gradient, 1, 3), same)
    assert not torch.equal(same, other)


def test_making_a_projection_leaves_the_random_state_unchanged() -> None:
    before = torch.get_rng_state()
    Projection(100, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_is_projected_in_float32_at_least() -> None:
    gradient = torch.randn(3, 20000).bfloat16()
    projection = Projection(20000)
    torch.testing.assert_close(
        functional(projection, gradient, 1, 3),
        functional(projection, gradient.double(), 1, 3),
        rtol=1e-4,
        atol=1e-3,
    )


def test_a_gradient_without_features_has_total_0() -> None:
    projection = Projection(100)
    empty = torch.zeros(4, 0, 3)
    assert functional(projection, empty, 1, 4).tolist() == [0.0] * 4
    assert part(projection, torch.zeros(4, 2, 0), 4, (0, 2, 1), 1, 4).tolist() == [0.0] * 4
    assert part(projection, torch.zeros(4, 0, 3), 4, (0, 0, 1), 1, 4).tolist() == [0.0] * 4
