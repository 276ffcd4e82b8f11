"""Births: where a value that is not finite came from, by which pass, and what became of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from watching.faults import SAMPLE, N, Net, images, train, watched

from gradlens.recording.births import BACKWARD, FORWARD, INFINITY, INPUTS, NAN, Birth
from gradlens.watching.watching import Watching, watch

TARGETS = torch.arange(N) % 5


def first(watching: Watching) -> Birth:
    return next(iter(watching.births.values()))


def test_a_value_that_the_forward_pass_swallowed_is_named_beside_the_gradient() -> None:
    birth = first(watched(Net("masked log"), steps=1))
    assert (birth.direction, birth.site, birth.kind, birth.samples) == (
        BACKWARD,
        "(model):log",
        NAN,
        (SAMPLE,),
    )
    assert (birth.slot, birth.producer) == (0, "(model):abs")
    earlier = birth.earlier
    assert earlier is not None
    assert (earlier.direction, earlier.site, earlier.samples) == (FORWARD, "(model):log", (SAMPLE,))
    assert (earlier.kind, earlier.swallowed) == (INFINITY, ("(model):where",))
    clamped = first(watched(Net("clamped"), steps=1)).earlier
    assert clamped is not None
    assert (clamped.site, clamped.swallowed) == ("(model):div", ("(model):clamp",))


def test_a_gradient_that_an_operation_swallows() -> None:
    class Shut(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            x = functional.threshold(self[0](x), 100.0, 0.0)
            return self[1]((x + 0 * self[0](x)).abs().sqrt() + self[0](x))

    torch.manual_seed(0)
    model = Shut(nn.Linear(4, 4), nn.Linear(4, 5))
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(torch.randn(N, 4)), TARGETS).backward()
    birth = first(watching)
    assert birth.site == "(model):sqrt"
    assert birth.swallowed == ("(model):threshold",)


def test_infinity_that_the_code_writes_down_is_no_fault() -> None:
    assert watched(Net("attention"), steps=2).alarms == []
    birth = first(watched(Net("empty attention"), steps=1))
    assert (birth.site, birth.kind, birth.source) == ("(model):softmax", NAN, "(model):maskedfill")
    assert birth.samples == (SAMPLE,)


def test_the_second_of_two_losses_breaks() -> None:
    model = Net()
    with watch(model, every=1) as watching:
        output = model(images(1)[0])
        functional.cross_entropy(output, TARGETS).backward(retain_graph=True)
        (output[SAMPLE] * 0).abs().sqrt().sum().backward()
    (alarm,) = watching.alarms
    birth = alarm.birth
    assert birth is not None
    assert (birth.site, birth.stage, birth.backward, birth.samples) == ("(loss)", "loss", 1, (SAMPLE,))
    text = "backward pass 1 brings NaN to the outputs of the model"
    assert str(alarm).startswith(f"step 0: (loss), stage loss: {text}, in sample {SAMPLE} of {N}")


def test_a_tensor_that_the_model_reads_and_returns_receives_the_gradient_of_the_loop() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            kept = (torch.arange(len(x)) != SAMPLE).to(x)[:, None]
            features = (self.body(x) * kept).abs().sqrt()
            return features, self.head(features)

    model, arrived = Features(), []
    with watch(model, every=1) as watching:
        features, logits = model(torch.randn(N, 4))
        features.register_hook(arrived.append)
        (functional.cross_entropy(logits, TARGETS) + features.square().sum()).backward()
    birth = first(watching)
    assert birth.site == "(model):sqrt"
    assert birth.largest == float(arrived[0].abs().max())


def test_inputs_and_parameters_that_are_broken_before_the_step() -> None:
    model, (batch, *_) = Net(), images(1)
    batch[SAMPLE, 0, 0, 0] = torch.nan
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(batch), TARGETS).backward()
    birth = first(watching)
    assert (birth.site, birth.samples, birth.before) == (INPUTS, (SAMPLE,), True)
    assert birth.spread[0] == "stem:conv"
    model = Net()
    model.second.weight.data[0, 0, 0, 0] = torch.inf
    birth = first(watched(model, steps=1))
    assert (birth.site, birth.kind, birth.samples) == ("second.weight", INFINITY, ())
    assert str(birth).startswith(
        "second.weight: infinity was here before the step; it spreads through second:conv"
    )


def test_outputs_that_the_loss_does_not_read_may_be_broken() -> None:
    class Both(Net):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            output = super().forward(x)
            return output, output.detach().requires_grad_() / 0

    model = Both()
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(images(1)[0])[0], TARGETS).backward()
    assert watching.alarms == []
    assert watching.problems == {}


def test_sequences_with_the_samples_second() -> None:
    class Second(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            kept = (torch.arange(x.shape[1]) != SAMPLE).to(x).reshape(1, -1, 1)
            return self.head((self.body(x) * kept).abs().sqrt().mean(0))

    model = Second()
    with watch(model, every=1, samples=N) as watching:
        functional.cross_entropy(model(torch.randn(3, N, 4)), TARGETS).backward()
    assert first(watching).samples == (SAMPLE,)


def test_an_unwatched_step_that_broke_is_named_by_the_parameter_that_it_left() -> None:
    model = Net("sqrt", at=1)
    with watch(model, every=3) as watching:
        train(model, steps=4)
    (alarm,) = watching.alarms
    assert (alarm.step, alarm.place) == (3, "stem.weight")
    assert str(alarm).startswith(
        "step 3: stem.weight: NaN was here before the step; it spreads through stem:conv"
    )
