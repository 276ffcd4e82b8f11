"""warm_up: it trains, cycles through the batches, and stops if the loss is not finite."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.models import load_model, warm_up

Batch = tuple[torch.Tensor, torch.Tensor]


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)


@pytest.fixture
def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def test_the_result_equals_sgd_by_hand(linear: nn.Linear) -> None:
    by_hand = nn.Linear(4, 3)
    by_hand.load_state_dict(linear.state_dict())
    images, targets = batch(0)
    for _ in range(2):
        nn.functional.cross_entropy(by_hand(images), targets).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for value in by_hand.parameters():
                assert value.grad is not None
                value -= 0.1 * value.grad
                value.grad = None
    losses = warm_up(linear, [(images, targets)], steps=2, lr=0.1, momentum=0.0)
    torch.testing.assert_close(linear.weight, by_hand.weight)
    assert losses[1] < losses[0]
    assert linear.weight.grad is None


def test_batches_are_cycled(linear: nn.Linear) -> None:
    losses = warm_up(linear, [batch(0), batch(1)], steps=5, lr=1e-12, momentum=0.0)
    assert losses[0] == pytest.approx(losses[2])
    assert losses[0] != pytest.approx(losses[1])


def test_one_step_makes_all_zero_initialised_gains_nonzero() -> None:
    model = load_model("resnet18", num_classes=3, seed=0, zero_init=True)
    model.eval()
    data = (torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
    warm_up(model, [data], steps=1)
    assert model.training
    assert all(value.any() for name, value in model.named_parameters() if name.endswith("bn2.weight"))


def test_zero_steps_change_nothing(linear: nn.Linear) -> None:
    before = linear.weight.clone()
    assert warm_up(linear, [], steps=0) == []
    assert torch.equal(before, linear.weight)


def test_another_loss_is_used(linear: nn.Linear) -> None:
    losses = warm_up(linear, [batch(0)], steps=1, loss=lambda output, target: output.sum() * 0 + 7)
    assert losses == [7.0]


def test_the_error_for_a_loss_that_is_not_finite_contains_the_step(linear: nn.Linear) -> None:
    images, targets = batch(0)
    with pytest.raises(GradlensError, match=r"nan at warm-up step 2 .*lower learning rate"):
        warm_up(linear, [(images, targets), (images * float("nan"), targets)], steps=3)
    assert linear.weight.isfinite().all()
    assert linear.weight.grad is None


@pytest.mark.parametrize(("steps", "message"), [(-1, "0 or more"), (1, "no batches")])
def test_invalid_steps_and_missing_batches_are_errors(linear: nn.Linear, steps: int, message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        warm_up(linear, [], steps=steps)


def test_a_warm_up_ends_at_the_loss_it_is_for(linear: nn.Linear) -> None:
    again = nn.Linear(4, 3)
    again.load_state_dict(linear.state_dict())
    all_losses = warm_up(linear, [batch(0)], steps=60, lr=0.1)
    means = [sum(all_losses[max(0, end - 5) : end]) / 5 for end in range(5, 61)]
    target = (means[0] + means[-1]) / 2
    losses = warm_up(again, [batch(0)], steps=60, lr=0.1, until=target)
    count = next(index for index, mean in enumerate(means) if mean <= target) + 5
    assert losses == all_losses[:count]
    assert 5 < count < 60
