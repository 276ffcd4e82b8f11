"""Projection: the same linear map for every layout."""

from __future__ import annotations

import pytest
import torch

from gradlens.grams.projection import BUCKETS, Projection, exact


@pytest.mark.parametrize("shape", [(6, 10), (6, 3, 4, 5), (6, 8, 16, 16)])
def test_total_is_linear_and_independent_of_memory_order(shape: tuple[int, ...]) -> None:
    projection = Projection(5000)
    a, b = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    total = projection.total(a, 1, 6)
    assert total.shape == (6,)
    torch.testing.assert_close(projection.total(3 * a - b, 1, 6), 3 * total - projection.total(b, 1, 6))
    if len(shape) == 4:
        last = a.to(memory_format=torch.channels_last)
        torch.testing.assert_close(projection.total(last, 1, 6), total)
    assert total.abs().min() > 0


def test_total_depends_on_every_element() -> None:
    projection = Projection(100)
    for position in range(40):
        basis = torch.zeros(2, 40)
        basis[1, position] = 1.0
        assert projection.total(basis, 1, 2).abs().tolist() == [0.0, 1.0]


def test_total_of_time_first_rows_equals_that_of_batch_first_rows() -> None:
    projection = Projection(100)
    gradient = torch.randn(4, 6, 5, dtype=torch.float64)  # [n, time, c]
    torch.testing.assert_close(
        projection.total(gradient.transpose(0, 1), 6, 4), projection.total(gradient, 1, 4)
    )


def test_parts_of_a_tensor_add_up_to_it() -> None:
    projection = Projection(2000)
    whole = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    total = projection.total(whole, 1, 4)
    for cuts in ([(0, 4, 1), (4, 8, 1)], [(0, 3, 1), (3, 8, 1)], [(0, 8, 2), (1, 8, 2)]):
        parts = [projection.part(whole[:, slice(*cut)], 4, cut, 1, 8) for cut in cuts]
        torch.testing.assert_close(sum(parts), total)


def test_parts_on_the_last_axis_add_up() -> None:
    projection = Projection(2000)
    whole = torch.randn(4, 5, 8, dtype=torch.float64)
    parts = [
        projection.part(whole[..., :2], 4, (0, 2, 1), 2, 8),
        projection.part(whole[..., 2:], 4, (2, 8, 1), 2, 8),
    ]
    torch.testing.assert_close(sum(parts), projection.total(whole, 1, 4))


def test_parts_of_windows_folded_into_axis_0_add_up() -> None:
    projection = Projection(2000)
    whole = torch.randn(4 * 3, 5, 8, dtype=torch.float64)  # [n * windows, tokens, c]
    parts = [projection.part(whole[..., slice(*cut)], 4, cut, 2, 8) for cut in [(0, 2, 1), (2, 8, 1)]]
    torch.testing.assert_close(sum(parts), projection.total(whole, 1, 4))


def test_a_sketch_of_few_features_is_exact() -> None:
    gradient = torch.randn(4, BUCKETS, dtype=torch.float64)
    sketch = Projection(BUCKETS).sketch(gradient, 1, 4)
    assert exact(BUCKETS)
    assert not exact(BUCKETS + 1)
    torch.testing.assert_close(sketch @ sketch.T, gradient @ gradient.T)


def test_a_sketch_is_linear_and_independent_of_memory_order() -> None:
    projection = Projection(5000)
    a, b = (torch.randn(4, 7, 11, 13, dtype=torch.float64) for _ in range(2))
    sketch = projection.sketch(a, 1, 4)
    assert sketch.shape == (4, BUCKETS)
    torch.testing.assert_close(projection.sketch(a + 2 * b, 1, 4), sketch + 2 * projection.sketch(b, 1, 4))
    torch.testing.assert_close(projection.sketch(a.to(memory_format=torch.channels_last), 1, 4), sketch)


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
        products = (projection.sketch(x, 1, n) * projection.sketch(y, 1, n)).sum(1)
        errors.append((products - truth) / scale)
    errors = torch.stack(errors)
    stated = (2 / BUCKETS) ** 0.5
    assert errors.square().mean().sqrt() < stated
    assert errors.square().mean().sqrt() > stated / 4  # a sketch, not the features themselves
    assert errors.mean().abs() < 4 * stated / errors.numel() ** 0.5


def test_signs_are_a_function_of_the_seed() -> None:
    gradient = torch.randn(3, 500)
    same, other = (Projection(500, seed).total(gradient, 1, 3) for seed in (7, 8))
    assert torch.equal(Projection(500, 7).total(gradient, 1, 3), same)
    assert not torch.equal(same, other)


def test_making_a_projection_leaves_the_random_state_unchanged() -> None:
    before = torch.get_rng_state()
    Projection(100, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_is_projected_in_float32_at_least() -> None:
    gradient = torch.randn(3, 20000).bfloat16()
    projection = Projection(20000)
    torch.testing.assert_close(
        projection.total(gradient, 1, 3), projection.total(gradient.double(), 1, 3), rtol=1e-4, atol=1e-3
    )


def test_a_gradient_without_features_has_total_0() -> None:
    projection = Projection(100)
    empty = torch.zeros(4, 0, 3)
    assert projection.total(empty, 1, 4).tolist() == [0.0] * 4
    assert projection.sketch(empty, 1, 4).shape == (4, 0)
    assert projection.part(torch.zeros(4, 2, 0), 4, (0, 2, 1), 1, 4).tolist() == [0.0] * 4
    assert projection.part(torch.zeros(4, 0, 3), 4, (0, 0, 1), 1, 4).tolist() == [0.0] * 4
