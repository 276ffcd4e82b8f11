"""Twelve planted faults: each is found, and named by its rule, step and place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from watching.faults import SAMPLE, N, Net, watched

from gradlens.recording.births import BACKWARD, FORWARD, INFINITY, NAN
from gradlens.watching.alarms import FACTOR, LOST, PATIENCE, SMALL_GAIN, Alarm
from gradlens.watching.watching import watch

AT = 2
"""The step from which a planted value is not finite."""
STEPS = 24
"""Time steps of the recurrent networks."""


def the(alarms: list[Alarm], rule: str) -> Alarm:
    (alarm,) = [alarm for alarm in alarms if alarm.rule == rule]
    return alarm


@pytest.mark.parametrize("fault", ["zero", "small"])
def test_a_branch_that_is_scaled_down(fault: str) -> None:
    alarms = watched(Net(fault), steps=4).alarms
    alarm = the(alarms, "small share")
    assert (alarm.step, alarm.branch, alarm.place) == (PATIENCE - 1, "residual", "(model):relu")
    assert alarm.value == pytest.approx(0.0 if fault == "zero" else 1e-8, abs=1e-8)
    dead = [alarm.place for alarm in alarms if alarm.rule == "dead"]
    assert dead == (["first"] if fault == "zero" else [])


def test_a_learning_rate_that_is_doubled() -> None:
    inputs = torch.linalg.qr(
        torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]
    inputs, doubled, rate = inputs * N**0.5, 8, 0.95
    model = nn.Sequential(nn.Linear(4, 1, bias=False)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    sizes = [1.0]  # of the gradient: the Hessian of this loss is twice the identity
    with watch(model, every=1) as watching:
        for step in range(20):
            if step == doubled:
                optimizer.param_groups[0]["lr"] = 2 * rate
            model(inputs).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            sizes.append(sizes[-1] * abs(1 - 2 * optimizer.param_groups[0]["lr"]))
    expected = next(
        step for step in range(doubled, 20) if sizes[step] > FACTOR * sorted(sizes[:step])[step // 2]
    )
    alarm = the(watching.alarms, "exploding")
    assert (alarm.step, alarm.place) == (expected, "0")


@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 3e4), (torch.bfloat16, 1e38)])
def test_a_layer_that_overflows(dtype: torch.dtype, size: float) -> None:
    model = Net()
    nn.init.constant_(model.second.weight, size)
    alarm = the(watched(model, steps=2, dtype=dtype).alarms, "not finite")
    birth = alarm.birth
    assert birth is not None
    assert (alarm.step, alarm.place) == (0, "second:conv")
    assert (birth.direction, birth.kind) == (FORWARD, INFINITY)
    assert birth.dtype == str(dtype).removeprefix("torch.")
    assert birth.largest == float(torch.tensor(size, dtype=dtype))
    assert f"makes infinity from finite values up to {birth.largest:.3g} ({birth.dtype}" in str(alarm)
    assert birth.spread[0] == "(model):relu#2"


@pytest.mark.parametrize(
    ("fault", "place", "direction", "kind", "spread"),
    [
        ("sqrt", "(model):sqrt", BACKWARD, INFINITY, "(model):abs"),
        ("mask", "(model):div", FORWARD, NAN, "(model):add"),
        ("log", "(model):log", FORWARD, INFINITY, "(model):add"),
    ],
)
def test_a_value_that_is_not_finite_in_one_sample(
    fault: str, place: str, direction: str, kind: str, spread: str
) -> None:
    watching = watched(Net(fault, AT), steps=AT + 3)
    alarm = the(watching.alarms, "not finite")
    birth = alarm.birth
    assert birth is not None
    assert (alarm.step, alarm.place, alarm.value) == (AT, place, 1 / N)
    assert (birth.direction, birth.kind, birth.samples, birth.n) == (direction, kind, (SAMPLE,), N)
    assert birth.spread[0] == spread
    assert watching.births[AT] == birth
    assert watching.problems[AT] == str(birth)
    assert {row.place for row in watching.rows if row.step == AT and row.place} == {place}


class Last(nn.Module):
    """A recurrent network that is read at its last step."""

    def __init__(self, kind: Callable[..., nn.RNNBase], scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = kind(8, 16, batch_first=True), nn.Linear(16, 5)
        nn.init.orthogonal_(self.rnn.weight_hh_l0) if scale != 1.0 else None
        self.rnn.weight_hh_l0.data *= scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def one_step(model: nn.Module) -> list[Alarm]:
    inputs = torch.randn(N, STEPS, 8, generator=torch.Generator().manual_seed(1))
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(inputs), torch.arange(N) % 5).backward()
    assert watching.problems == {}
    return watching.alarms


def relu(*sizes: int, **options: bool) -> nn.RNN:
    return nn.RNN(*sizes, nonlinearity="relu", **options)


def test_a_recurrent_network_whose_gradient_explodes() -> None:
    alarm = the(one_step(Last(relu, 3.0)), "exploding")
    assert (alarm.step, alarm.place) == (0, "rnn.hh_l0")
    assert alarm.value > FACTOR
    assert "from the last time step back to the first" in str(alarm)


def test_a_recurrent_network_whose_gradient_vanishes() -> None:
    alarm = the(one_step(Last(nn.RNN, 0.1)), "vanishing")
    assert (alarm.step, alarm.place) == (0, "rnn.hh_l0")
    assert alarm.value < 0.1  # the derivative of tanh is below 1
    assert 0.1**STEPS < LOST < SMALL_GAIN


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_recurrent_network_as_it_is_made_raises_no_alarm(kind: Callable[..., nn.RNNBase]) -> None:
    assert one_step(Last(kind)) == []


@pytest.mark.parametrize("since", [0, AT])
def test_a_part_that_is_frozen(since: int) -> None:
    model = Net()

    def freeze(module: nn.Module, args: object) -> None:
        if model.step + 1 == since:
            model.first.requires_grad_(False)

    model.register_forward_pre_hook(freeze)
    alarms = watched(model, steps=since + 3).alarms
    alarm = the(alarms, "frozen")
    assert (alarm.step, alarm.place) == (since, "first")
    assert str(alarm) == f"step {since}: first: it is frozen: requires_grad is False for all its parameters"
    assert len(alarms) == 1


def test_a_network_of_which_a_small_part_is_trained_raises_no_alarm() -> None:
    model = Net().requires_grad_(False)
    model.second.requires_grad_(True)
    model.head.requires_grad_(True)
    assert watched(model, steps=2).alarms == []
    model.stem.bias.requires_grad_(True)
    model.second.requires_grad_(False)
    assert watched(model, steps=2).alarms == []


@pytest.mark.parametrize("since", [0, AT])
def test_a_branch_that_is_detached(since: int) -> None:
    watching = watched(Net("detached", since), steps=since + 3)
    alarm = the(watching.alarms, "unreached")
    assert (alarm.step, alarm.place) == (since, "first")
    assert {row.place for row in watching.rows if row.quantity == "rms" and row.step == since} == {
        "stem", "second", "head"
    }  # fmt: skip
