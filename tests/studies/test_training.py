"""A short training and its score."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.studies.scoring import score
from gradlens.studies.training import Training, train


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batches(count: int, n: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    targets = torch.arange(n) % 3
    return [
        (torch.randn(n, 3, 2, 2, generator=generator) + targets.view(-1, 1, 1, 1), targets)
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("steps", "snapshots", "stops"),
    [(0, 4, [0]), (8, 4, [0, 2, 4, 6, 8]), (3, 5, [0, 1, 2, 3]), (10, 1, [0, 10]), (7, 2, [0, 4, 7])],
)
def test_snapshots_are_taken_before_the_first_and_after_the_last_step(steps, snapshots, stops):
    assert Training(steps=steps, snapshots=snapshots).stops() == stops


def test_the_cosine_schedule_falls_from_the_rate_to_zero():
    training = Training(steps=10, lr=0.4)
    rates = [training.rate(step) for step in range(11)]
    assert rates[0] == 0.4
    assert rates[5] == pytest.approx(0.2)
    assert rates[10] == pytest.approx(0, abs=1e-12)
    assert rates == sorted(rates, reverse=True)
    assert {Training(steps=10, lr=0.4, schedule="constant").rate(step) for step in range(10)} == {0.4}


def test_a_step_equals_sgd_with_momentum_and_decay():
    model, reference = net(), net()
    (batch,) = batches(1)
    training = Training(steps=3, lr=0.1, momentum=0.8, weight_decay=0.01)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.8, weight_decay=0.01)
    losses = []
    for done, loss in train(model, [batch], training, seed=0):
        assert math.isnan(loss) if done == 0 else loss == pytest.approx(statistics.fmean(losses))
        for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
            assert torch.equal(parameter, expected)
            assert parameter.grad is None
        if done < 3:
            optimizer.param_groups[0]["lr"] = training.rate(done)
            value = functional.cross_entropy(reference(batch[0]), batch[1])
            losses.append(value.item())
            value.backward()
            optimizer.step()
            optimizer.zero_grad()


def test_every_batch_comes_once_per_epoch_in_an_order_set_by_the_seed():
    class Numbered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.seen = nn.Parameter(torch.ones(3)), list[int]()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(int(x[0, 0]))
            return x[:, :3] * self.w

    data = [(torch.full((4, 3), float(i)), torch.zeros(4, dtype=torch.int64)) for i in range(5)]

    def order(seed: int) -> list[int]:
        model = Numbered()
        list(train(model, data, Training(steps=10, lr=0.0), seed))
        return model.seen

    first = order(0)
    assert sorted(first[:5]) == sorted(first[5:]) == list(range(5))
    assert first == order(0) != order(1)


def test_training_learns_and_the_score_improves():
    model, held_out = net(), batches(4)[2:]
    before = score(model, held_out)
    list(train(model, batches(2), Training(steps=60, lr=0.1), seed=0))
    after = score(model, held_out)
    assert after.loss < before.loss
    assert after.accuracy > 0.6


def test_a_score_is_taken_in_eval_mode_and_leaves_the_mode():
    model = net().train()
    data = batches(2)
    running = model[2].running_mean.clone()
    result = score(model, data)
    assert model.training
    assert torch.equal(model[2].running_mean, running)
    model.eval()
    output = torch.cat([model(x) for x, _ in data])
    targets = torch.cat([y for _, y in data])
    assert result.loss == pytest.approx(functional.cross_entropy(output, targets).item())
    assert result.accuracy == pytest.approx((output.argmax(1) == targets).float().mean().item())


def test_a_loss_that_is_not_finite_names_the_step():
    with pytest.raises(
        GradlensError, match=r"training step \d+ \(learning rate 1e\+20\); use a lower learning rate"
    ):
        list(train(net(), batches(2), Training(steps=50, lr=1e20, schedule="constant"), seed=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps=-1; use at least 0"),
        ({"lr": -0.1}, "lr=-0.1; use at least 0"),
        ({"momentum": 1.5}, "momentum=1.5; use at most 1"),
        ({"snapshots": 0}, "snapshots=0; use at least 1"),
        ({"schedule": "linear"}, "use one of cosine, constant"),
        ({"evaluate": True}, "for example with steps=200"),
        ({"lr": math.nan}, "lr=nan; use at least 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(GradlensError, match=message):
        Training(**options)
