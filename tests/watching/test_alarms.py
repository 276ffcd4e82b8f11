"""Alarms: planted faults are found, at the right place, once; a healthy training raises none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from watching.faults import Net, watched

from gradlens.catalogue.watched import WATCHED
from gradlens.watching.alarms import PATIENCE, RULES, Alarm, History, alarms_in
from gradlens.watching.rows import Row, not_finite
from gradlens.watching.watching import watch


def test_a_healthy_training_raises_no_alarm() -> None:
    assert watched(Net()).alarms == []


@pytest.mark.parametrize(
    ("fault", "rule", "place", "branch", "step"),
    [
        ("zero", "dead", "first", "", PATIENCE - 1),
        ("zero", "small share", "relu", "residual", PATIENCE - 1),
        ("small", "small share", "relu", "residual", PATIENCE - 1),
    ],
)
def test_a_planted_fault_is_found_once_at_its_place(
    fault: str, rule: str, place: str, branch: str, step: int
) -> None:
    found = [alarm for alarm in watched(Net(fault)).alarms if alarm.rule == rule]
    (alarm,) = [alarm for alarm in found if place in alarm.place and alarm.branch == branch]
    assert alarm.step == step
    assert alarm.place in str(alarm)
    assert str(alarm).startswith(f"step {step}: ")


def test_a_gradient_that_explodes_after_some_steps_is_found_then() -> None:
    alarms = [
        alarm for alarm in watched(Net("large", at=5), steps=6, rate=0.0).alarms if alarm.rule == "exploding"
    ]
    assert {alarm.step for alarm in alarms} == {5}
    assert "stem" in {alarm.place for alarm in alarms}


def test_two_losses_on_one_forward_pass_are_compared_each_with_itself() -> None:
    model, generator = Net(), torch.Generator().manual_seed(1)
    with watch(model, every=1) as watching:
        for _ in range(8):
            output = model(torch.randn(8, 3, 16, 16, generator=generator))
            functional.cross_entropy(output, torch.arange(8) % 5).backward(retain_graph=True)
            (1e-5 * output.square().mean()).backward()
    assert watching.alarms == []


def test_what_a_backward_pass_does_not_visit_is_not_dead() -> None:
    model = Net()
    with watch(model, every=1) as watching:
        for _ in range(4):
            loss = functional.cross_entropy(model(torch.randn(8, 3, 16, 16)), torch.arange(8) % 5)
            loss.backward(inputs=list(model.head.parameters()))
    assert watching.alarms == []
    assert {row.place for row in watching.rows if row.quantity == "rms"} == {"head"}


def test_a_model_that_returns_its_loss_raises_no_alarm() -> None:
    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
            logits = self.net(images)
            return {"loss": functional.cross_entropy(logits, targets), "logits": logits}

    model, generator = WithLoss(), torch.Generator().manual_seed(1)
    with watch(model, every=1) as watching:
        for _ in range(5):
            model(torch.randn(8, 3, 16, 16, generator=generator), torch.arange(8) % 5)["loss"].backward()
    assert watching.alarms == []
    assert not [row for row in watching.rows if "(loss)" in row.place + row.branch]


def test_a_recurrent_layer_that_is_read_at_its_last_step_raises_no_alarm() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    model = Last()
    with watch(model, every=1) as watching:
        for _ in range(5):
            functional.cross_entropy(model(torch.randn(8, 6, 5)), torch.arange(8) % 5).backward()
    assert watching.alarms == []
    assert watching.problems == {}


@pytest.mark.parametrize(("scale", "steps"), [(False, [1, 3]), (True, [5])])
def test_a_single_overflow_of_a_scaled_loss_is_no_alarm(scale: bool, steps: list[int]) -> None:
    history, raised = History(), []
    for step, value in enumerate([1, 0, 1, 0, 0, 0]):
        broken = not_finite(step, 0, "4", "layer", 0.5, 8.0 if scale else 1.0)
        rows = broken if not value else [row("finite", 1.0, step)._replace(stage="whole", place="")]
        history.add(rows)
        raised += [alarm.step for alarm in alarms_in(rows, history, {"not finite": RULES["not finite"]})]
    assert raised == steps


def test_an_exception_of_the_function_of_the_user_stops_the_training() -> None:
    def stop(alarm: Alarm) -> None:
        raise RuntimeError(str(alarm))

    model = Net("sqrt")
    with watch(model, every=1, on_alarm=stop):
        loss = functional.cross_entropy(model(torch.randn(8, 3, 16, 16)), torch.arange(8) % 5)
        with pytest.raises(
            RuntimeError,
            match=r"step 0: \(model\):sqrt, stage 2: makes infinity from finite gradients .* in sample 2 of 8",
        ):
            loss.backward()


def test_the_function_of_the_user_is_called_with_each_alarm() -> None:
    seen: list[Alarm] = []
    model = Net("zero")
    images, targets = torch.randn(8, 3, 16, 16), torch.arange(8) % 5
    with watch(model, every=1, on_alarm=seen.append) as watching:
        for _ in range(4):
            functional.cross_entropy(model(images), targets).backward()
    assert seen == watching.alarms != []


def row(quantity: str, value: float, step: int = 0) -> Row:
    return Row(step, 0, "4", "layer", "", quantity, value)


@pytest.mark.parametrize(
    ("rule", "quantity", "values", "steps"),
    [
        ("cancelling", "coherence", [1, 0.05, 0.05, 0.05, 0.05, 1, 0.05, 0.05, 0.05], [3, 8]),
        ("small share", "share", [0.001, 0.001, 0.02, 0.001, 0.001], []),
        ("vanishing", "rms", [1, 2, 1, 1e-4], [3]),
        ("exploding", "rms", [1, 2, 1, 1e4], [3]),
        ("exploding", "rms", [1, 1e4], []),
        ("duplicating", "duplication", [0.1, 0.35, 0.35, 0.35], [3]),
        ("duplicating", "duplication", [0.1, 0.25, 0.25, 0.25], []),
        ("dead", "dead", [1, 1, 0, 1, 1], []),
    ],
)
def test_rules_on_series_of_values(rule: str, quantity: str, values: list[float], steps: list[int]) -> None:
    history, raised = History(), []
    for step, value in enumerate(values):
        rows = [row(quantity, float(value), step)]
        history.add(rows)
        raised += [alarm.step for alarm in alarms_in(rows, history, {rule: RULES[rule]})]
    assert raised == steps


def test_a_finding_lasts_where_a_pass_has_no_row() -> None:
    history, raised = History(), []
    for step, value in enumerate([0, 0, 0, None, 0, 0]):
        rows = [row("finite", 1.0, step)] if value is None else [row("share", float(value), step)]
        history.add(rows)
        raised += [alarm.step for alarm in alarms_in(rows, history, {"small share": RULES["small share"]})]
    assert raised == [2]


def test_a_long_training_keeps_few_numbers_for_its_rules() -> None:
    history = History()
    for step in range(1000):
        history.add([row("rms", float(step), step)])
    assert len(history.of(row("rms", 0.0))) < 100
    assert history.first(row("rms", 0.0)) == 0.0


def test_every_quantity_has_a_description() -> None:
    assert {entry.quantity for entry in watched(Net(), steps=1).rows} <= {entry.name for entry in WATCHED}
    assert math.isfinite(sum(entry.value for entry in watched(Net(), steps=1).rows))
