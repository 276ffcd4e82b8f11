"""The cause of a dead signal is looked up: each kind in plain networks, checked by what revives the signal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.recording.causes import (
    CANCELLED,
    FACTOR,
    INPUT,
    OTHER,
    SHUT,
    UNREACHED,
    ZERO_GAIN,
    ZERO_SCALE,
    ZERO_WEIGHT,
    Cause,
)

Found = dict[str, set[Cause]]


class Block(nn.Module):
    """``x + scale(last(c2(act(norm(c1(x))))))``, each part exchangeable."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = parts.get("norm", nn.Identity())
        self.act = parts.get("act", nn.ReLU())
        self.last = parts.get("last", nn.Identity())
        self.scale = parts.get("scale", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale(self.last(self.c2(self.act(self.norm(self.c1(x))))))


class Scale(nn.Module):
    """``gamma * x``, as a layer scale."""

    def __init__(self, shape: tuple[int, ...], inplace: bool = False) -> None:
        super().__init__()
        self.gamma, self.inplace = nn.Parameter(torch.zeros(shape)), inplace

    def forward(self, x: Tensor) -> Tensor:
        gamma = self.gamma.reshape(-1, 1, 1) if self.gamma.dim() == 1 else self.gamma
        return x.mul_(gamma) if self.inplace else x * gamma


class Net(nn.Module):
    """Stem, one block, head."""

    def __init__(self, block: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 4, 3, padding=1), block
        self.head = head or nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x)).mean((2, 3)))


def zeroed(module: nn.Module, name: str = "weight") -> nn.Module:
    nn.init.zeros_(module.get_parameter(name))
    return module


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(7)
    return [(torch.randn(6, 3, 8, 8), torch.arange(6) % 3) for _ in range(count)]


def causes(model: nn.Module, **options: Any) -> Found:
    recording = gl.capture(model, batches(), costs=False, **options)
    return {name: set(found) for name, found in recording.provenance.dead_causes.items()}


def alive(model: nn.Module, path: str) -> bool:
    """Whether the gradient at the output of a module is not zero, by plain autograd."""
    gradients: list[Tensor] = []

    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.register_hook(gradients.append)  # before an in-place activation changes it

    handle = model.get_submodule(path).register_forward_hook(hook)
    images, targets = batches()[0]
    loss = functional.cross_entropy(model.train()(images), targets)
    handle.remove()
    torch.autograd.grad(loss, [model.get_parameter("stem.weight")], allow_unused=True)
    return bool(gradients[0].any())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm([4, 8, 8]), nn.InstanceNorm2d(4, affine=True)],
)
def test_a_normalisation_with_a_zero_gain_is_named(norm: nn.Module, frozen: bool) -> None:
    torch.manual_seed(0)
    model = Net(Block(last=zeroed(norm))).requires_grad_(True)
    norm.requires_grad_(not frozen)
    cause = {Cause(ZERO_GAIN, "block.last")}
    assert causes(model) == {"block.c1": cause, "block.c2": cause}
    nn.init.ones_(norm.get_parameter("weight"))
    assert alive(model, "block.c1")
    assert causes(model) == {}


class RootMeanSquare(nn.Module):
    """A normalisation written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * x.square().mean(1, keepdim=True).rsqrt() * self.weight


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Scale((4,)), "block.scale.gamma"),
        (Scale((1,)), "block.scale.gamma"),
        (Scale(()), "block.scale.gamma"),
        (Scale((4,), inplace=True), "block.scale.gamma"),
        (RootMeanSquare(), "block.scale.weight"),
    ],
)
def test_a_scale_of_zero_is_named_by_its_parameter(part: nn.Module, name: str) -> None:
    torch.manual_seed(0)
    model = Net(Block(scale=part))
    cause = {Cause(ZERO_SCALE, name)}
    assert causes(model) == {"block.c1": cause, "block.c2": cause}
    nn.init.ones_(model.get_parameter(name))
    assert alive(model, "block.c1")
    assert causes(model) == {}


def test_a_zero_weight_of_a_layer_is_named() -> None:
    torch.manual_seed(0)
    model = Net(Block())
    nn.init.zeros_(model.block.get_parameter("c2.weight"))
    assert causes(model) == {"block.c1": {Cause(ZERO_WEIGHT, "block.c2")}}
    model = Net(Block(), zeroed(nn.Linear(4, 3)))
    cause = {Cause(ZERO_WEIGHT, "head")}
    assert causes(model) == {"stem": cause, "block.c1": cause, "block.c2": cause}


class Function(nn.Module):
    """An activation without a module of its own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("act", "bias"),
    [
        (nn.ReLU(), -100.0),
        (nn.ReLU(inplace=True), -100.0),
        (nn.ReLU6(), 100.0),
        (nn.Hardtanh(), -100.0),
        (nn.Hardswish(), -100.0),
        (nn.Sigmoid(), 1000.0),
        (Function(functional.relu), -100.0),
        (Function(lambda x: x.clamp(min=0)), -100.0),
    ],
)
def test_an_activation_that_is_shut_for_all_samples_is_named(act: nn.Module, bias: float) -> None:
    torch.manual_seed(0)
    model = Net(Block(act=act))
    nn.init.constant_(model.block.get_parameter("c1.bias"), bias)
    assert not alive(model, "block.c1")
    assert causes(model) == {"block.c1": {Cause(SHUT, "block.act")}}
    nn.init.zeros_(model.block.get_parameter("c1.bias"))
    assert causes(model) == {}


def test_an_activation_in_the_forward_of_a_block_is_named_as_a_site() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1 = nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + functional.relu(self.c1(x) - 100)

    assert causes(Net(Inner())) == {"block.c1": {Cause(SHUT, "block:relu")}}


def test_an_activation_that_is_shut_for_some_samples_kills_nothing() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.relu(x - 100 * torch.arange(len(x)).fmod(2).reshape(-1, 1, 1, 1))

    assert causes(Net(Block(act=Half()))) == {}


def test_the_nearest_cause_is_named_and_several_branches_have_one_each() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1 = nn.Conv2d(4, 4, 1)
            self.norm, self.gamma = zeroed(nn.BatchNorm2d(4)), nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            h = self.c1(x)
            return x + self.norm(h) + self.gamma * h.tanh()

    torch.manual_seed(0)
    assert causes(Net(Two())) == {
        "block.c1": {Cause(ZERO_GAIN, "block.norm"), Cause(ZERO_SCALE, "block.gamma")}
    }
    shut = Block(last=zeroed(nn.BatchNorm2d(4)))
    nn.init.constant_(shut.get_parameter("c1.bias"), -100)
    assert causes(Net(shut))["block.c2"] == {Cause(ZERO_GAIN, "block.last")}


class Heads(nn.Module):
    """Two heads; ``read`` makes the output of both."""

    def __init__(self, read: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.read = nn.Linear(5, 4), read
        self.main, self.aux = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        return self.read(self.main(h), self.aux(h))


@pytest.mark.parametrize(
    "read",
    [
        lambda main, aux: torch.cat([main, aux], 1)[:, :3],
        lambda main, aux: torch.stack([main, aux])[0],
        lambda main, aux: torch.cat([aux, main], 1).split(3, 1)[1],
        lambda main, aux: torch.maximum(main, aux - 1000),
        lambda main, aux: torch.where(torch.tensor(True), main, aux),
    ],
)
def test_a_head_that_the_loss_does_not_read_is_unreached(read: Callable[[Tensor, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    data = [(torch.randn(6, 5), torch.arange(6) % 3)]
    recording = gl.capture(Heads(read), data, costs=False)
    (found,) = recording.provenance.dead_causes["aux"]
    assert found.kind == UNREACHED
    assert set(recording.provenance.dead_causes) == {"aux"}
    assert any("1 not read by the loss (aux)" in text for text in gl.analyze(recording).warnings)


def test_a_loss_that_multiplies_a_head_by_zero_does_not_reach_it() -> None:
    class Both(Heads):
        def forward(self, x: Tensor) -> Any:
            h = self.stem(x)
            return self.main(h), self.aux(h)

    torch.manual_seed(0)

    def step(model: nn.Module, batch: Any) -> Tensor:
        main, aux = model(batch[0])
        return functional.cross_entropy(main, batch[1]) + 0 * functional.cross_entropy(aux, batch[1])

    data = [(torch.randn(6, 5), torch.arange(6) % 3)]
    recording = gl.capture(Both(lambda main, aux: main), data, step=step, costs=False)
    assert {name: found[0].kind for name, found in recording.provenance.dead_causes.items()} == {
        "aux": UNREACHED
    }


def test_a_layer_that_ran_and_that_no_loss_reaches_is_named() -> None:
    torch.manual_seed(0)
    data = [(torch.randn(6, 5), torch.arange(6) % 3)]
    recording = gl.capture(Heads(lambda main, aux: main), data, costs=False)
    assert recording.provenance.unreached_layers == ("aux",)
    assert any("1 layer ran that no loss reaches (aux)" in text for text in gl.analyze(recording).warnings)
    assert not any("not among the signals" in text for text in gl.analyze(recording).warnings)


def test_frozen_layers_before_the_first_trained_one_are_called_frozen() -> None:
    torch.manual_seed(0)
    model = Net(Block(norm=nn.BatchNorm2d(4)))
    model.stem.requires_grad_(False)
    model.block.requires_grad_(False)
    recording = gl.capture(model, batches(), costs=False)
    assert [signal.name for signal in recording.signals] == ["head"]
    assert recording.provenance.frozen_layers == ("stem", "block.c1", "block.c2")
    (text,) = [text for text in gl.analyze(recording).warnings if "frozen" in text]
    assert "3 layers without a signal: frozen" in text
    assert "stem, block.c1, block.c2" in text


def test_a_frozen_layer_after_a_trained_one_has_a_signal() -> None:
    torch.manual_seed(0)
    model = Net(Block())
    model.block.requires_grad_(False)
    recording = gl.capture(model, batches(), costs=False)
    assert recording.provenance.frozen_layers == ()
    assert [signal.name for signal in recording.signals] == ["stem", "block.c1", "block.c2", "head"]
    assert recording.provenance.dead_causes == {}


def test_frozen_layers_outside_the_selected_modules_are_not_reported() -> None:
    model = Net(Block())
    model.stem.requires_grad_(False)
    assert gl.capture(model, batches(), costs=False, sites="block*").provenance.frozen_layers == ()
    assert gl.capture(model, batches(), costs=False, sites="forks").provenance.frozen_layers == ()


def test_weights_are_dead_behind_a_shut_activation_and_before_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(model.get_parameter("0.bias"), -100.0)
    data = [(torch.randn(6, 5), torch.arange(6) % 3)]
    recording = gl.capture(model, data, costs=False, space="weights")
    assert recording.provenance.dead_causes == {"0": (Cause(SHUT, "1"),), "2": (Cause(INPUT, "2"),)}


def test_the_gate_of_a_branch_that_is_zero_is_multiplied_by_zeros() -> None:
    """Squeeze and excitation after a zero weight: the gate's gradient is a product with what it gates."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.gate = nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.c1(x) * self.gate(x).sigmoid()

    torch.manual_seed(0)
    model = Net(Gated())
    nn.init.zeros_(model.block.get_parameter("c1.weight"))
    assert causes(model) == {"block.gate": {Cause(FACTOR, "block:mul")}}


def test_a_layer_with_a_weight_that_is_scaled_by_a_gain_of_zero() -> None:
    """Weight standardisation as in NFNet: the gain is named, not the weight."""

    class Standardised(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(4, 4, 1)
            self.gain = nn.Parameter(torch.zeros(4, 1, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            weight = (self.weight - self.weight.mean()) * self.gain
            return functional.conv2d(x, weight, self.bias)

    torch.manual_seed(0)
    found = causes(Net(Block(last=Standardised())))
    assert found["block.c1"] == found["block.c2"] == {Cause(ZERO_SCALE, "block.last.gain")}


def test_contributions_that_cancel_are_another_cause() -> None:
    class Cancelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1 = nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.c1(x)
            return x + h.clone() - h.clone()

    torch.manual_seed(0)
    assert causes(Net(Cancelled())) == {"block.c1": {Cause(CANCELLED, "block.c1:conv")}}


def test_a_gradient_that_underflows_is_another_cause() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 5) for _ in range(12)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e-8)
    found = gl.capture(
        nn.Sequential(*layers, nn.Linear(5, 3)), [(torch.randn(6, 5), torch.arange(6) % 3)], costs=False
    ).provenance.dead_causes
    assert found
    assert {cause.kind for ends in found.values() for cause in ends} == {OTHER}
    assert len({cause.layer for ends in found.values() for cause in ends}) == 1


def test_a_signal_that_is_live_in_one_batch_has_no_cause() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(model.get_parameter("0.bias"), -100.0)
    data = [(torch.randn(6, 5) * size, torch.arange(6) % 3) for size in (1, 1000)]
    assert "dead_causes" not in gl.capture(model, data, costs=False).meta


def test_only_dead_signals_that_the_parameters_do_not_explain_need_another_step() -> None:
    counts = []

    def steps(model: nn.Module) -> int:
        calls = []

        def step(inner: nn.Module, batch: Any) -> Tensor:
            calls.append(1)
            return functional.cross_entropy(inner(batch[0]), batch[1])

        gl.capture(model, batches(), step=step, costs=False)
        return len(calls)

    shut = Block()
    nn.init.constant_(shut.get_parameter("c1.bias"), -100)
    for block in (Block(), Block(last=zeroed(nn.BatchNorm2d(4))), shut):
        counts.append(steps(Net(block)))
    assert counts == [3, 3, 4]  # a dry pass and two batches, and one more


def test_the_model_is_unchanged_and_a_checkpointed_block_is_read() -> None:
    class Checkpointed(Block):
        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(super().forward, x, use_reentrant=False)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Net(Checkpointed(norm=nn.BatchNorm2d(4), act=Function(lambda x: functional.relu(x - 100))))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data, state = batches(), torch.get_rng_state()
    recording = gl.capture(model, data, costs=False)
    assert recording.provenance.dead_causes["block.c1"] == (Cause(SHUT, "block.act"),)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(state, torch.get_rng_state())


def test_a_step_that_fails_at_its_repetition_leaves_the_recording_without_a_cause() -> None:
    calls = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        calls.append(1)
        if len(calls) > 3:
            raise OSError("the file is gone")
        return functional.cross_entropy(model(batch[0]), batch[1])

    shut = Block()
    nn.init.constant_(shut.get_parameter("c1.bias"), -100)
    recording = gl.capture(Net(shut), batches(), step=step, costs=False)
    assert recording.provenance.dead_causes == {}
    assert any("could not be looked up: OSError" in note for note in recording.provenance.notes)
    assert any("1 of 4 signals are dead" in text for text in gl.analyze(recording).warnings)


def test_causes_are_saved_and_kept_when_recordings_are_merged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net(Block(last=zeroed(nn.BatchNorm2d(4))))
    first, second = (
        gl.capture(model, [batch], costs=False, seed=seed) for seed, batch in enumerate(batches())
    )
    loaded = gl.Recording.load(first.merge(second).save(tmp_path / "r.safetensors"))
    assert loaded.provenance.dead_causes == first.provenance.dead_causes
    assert set(loaded.provenance.dead_causes) == {"block.c1", "block.c2"}
