"""capture, end to end: right numbers, an unchanged model, and one clear line for bad input."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.errors import GradlensError
from gradlens.graph.nodes import Slot, TensorKey


class Net(nn.Module):
    """Without BatchNorm, so that samples are independent; in-place operations as usual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 6, 3, 2, 1)
        self.reduce, self.look = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Linear(6, 5)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        y = self.look(self.act(self.reduce(x)))
        y += x
        return self.head(self.act(self.down(self.act(y))).mean((2, 3)))


class BatchNormed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(super().forward(x))


def batches(count: int = 1, n: int = 6, dtype: torch.dtype = torch.float32) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(11)
    return [
        (torch.randn(n, 3, 16, 16, generator=generator).to(dtype), torch.arange(n) % 5) for _ in range(count)
    ]


def summed(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output, target, reduction="sum")


def signals(recording: gl.Recording) -> dict[str, np.ndarray]:
    return {recording.plan.probes[s].module: recording.grams[s] for s in recording.plan.signals}


def close(actual: Any, expected: Any, rtol: float = 1e-9) -> None:
    scale = float(np.abs(np.asarray(expected)).max())
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * scale)


# the numbers


def test_every_signal_is_the_per_sample_gradient_of_its_layer(oracle: ModuleType) -> None:
    model, (batch,) = Net().double(), batches(dtype=torch.float64)
    recording = gl.capture(model, [batch], costs=False)
    expected = oracle.layer_grams(model, summed, *batch)
    assert [*signals(recording)] == ["stem", "reduce", "look", "down", "head"]
    for path, grams in signals(recording).items():
        close(grams[0], expected[path])


def test_oracles_by_layer_and_by_node_agree(oracle: ModuleType) -> None:
    model, (batch,) = Net().double(), batches(dtype=torch.float64)
    by_layer = oracle.layer_grams(model, summed, *batch)
    by_node = oracle.node_grams(model, summed, *batch)
    assert len(by_node) == len(by_layer) == 5
    for actual, expected in zip(
        by_node, (by_layer[name] for name in ("stem", "reduce", "look", "down", "head")), strict=True
    ):
        close(actual, expected)


def test_the_loss_signal_is_the_gradient_at_the_output() -> None:
    model, (batch,) = Net().double(), batches(dtype=torch.float64)
    recording = gl.capture(model, [batch], costs=False)
    rows = model(batch[0]).softmax(1) - functional.one_hot(batch[1], 5)
    close(recording.grams[recording.plan.loss, 0], (rows @ rows.T).detach())


def test_a_compiled_model_is_captured_uncompiled() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = (
                nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten()),
                nn.Linear(144, 5),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x))

    batches = [(torch.randn(6, 3, 8, 8), torch.arange(6) % 5)]
    plain = gl.capture(Partly(), batches)
    whole = gl.capture(torch.compile(Partly()), batches)  # type: ignore[arg-type]
    assert np.array_equal(whole.grams, plain.grams)
    assert [signal.name for signal in whole.signals] == [signal.name for signal in plain.signals]
    assert whole.costs == plain.costs
    inside = Partly()
    inside.body = torch.compile(inside.body)  # type: ignore[assignment]
    inside.compile()
    assert np.array_equal(gl.capture(inside, batches).grams, plain.grams)


def test_a_summed_loss_gives_the_grams_of_a_mean_one() -> None:
    model, data = Net().double(), batches(2, dtype=torch.float64)
    mean = gl.capture(model, data, costs=False)
    total = gl.capture(model, data, loss=summed, reduction="sum", costs=False)
    close(total.grams, mean.grams)
    scaled = gl.capture(model, data, loss=summed, costs=False)
    close(scaled.grams, 36 * mean.grams)


def test_float32_agrees_with_float64() -> None:
    model, data = Net(), batches()
    single = gl.capture(model, data, costs=False)
    double = gl.capture(model.double(), [(x.double(), y) for x, y in data], costs=False)
    for path, grams in signals(single).items():
        close(grams, signals(double)[path], rtol=1e-4)


def test_order_of_channels_does_not_matter() -> None:
    model, data = Net().double(), batches(dtype=torch.float64)
    before = signals(gl.capture(model, data, costs=False))
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        for parameter in (model.reduce.weight, model.reduce.bias):
            parameter.copy_(parameter[order].clone())
        model.look.weight.copy_(model.look.weight[:, order].clone())
    after = signals(gl.capture(model, data, costs=False))
    for path, grams in after.items():
        close(grams, before[path])


def test_grams_follow_the_order_of_samples_even_with_batch_norm() -> None:
    model = BatchNormed().double()
    model.drop.p = 0.0
    (x, y) = batches(dtype=torch.float64)[0]
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    before = gl.capture(model, [(x, y)], costs=False)
    after = gl.capture(model, [(x[order], y[order])], costs=False)
    close(after.grams, before.grams[:, :, order][..., order])
    np.testing.assert_array_equal(after.labels[0], y[order])


def test_samples_are_independent_with_batch_norm_in_eval_mode_and_not_in_train_mode(
    oracle: ModuleType,
) -> None:
    model = BatchNormed().double()
    with torch.no_grad():
        model.norm.running_mean.uniform_(-1, 1)
        model.norm.running_var.uniform_(0.5, 2)
    (batch,) = batches(dtype=torch.float64)
    evaluated = signals(gl.capture(model, [batch], mode="eval", costs=False))
    model.eval()
    expected = oracle.layer_grams(model, summed, *batch)
    for path, grams in evaluated.items():
        close(grams[0], expected[path])
    model.drop.p = 0.0
    trained = signals(gl.capture(model, [batch], mode="train", costs=False))
    assert np.abs(trained["stem"] / evaluated["stem"] - 1).max() > 0.01


def test_dropout_is_a_function_of_seed_and_batch() -> None:
    model, data = BatchNormed(), batches(2)
    first, second = (gl.capture(model, data, costs=False).grams for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(gl.capture(model, data, seed=1, costs=False).grams, first)


def test_random_draws_of_a_batch_do_not_depend_on_those_of_others() -> None:
    def drawing(count: int) -> Any:
        def step(model: nn.Module, batch: Any) -> Tensor:
            loss = functional.cross_entropy(model(batch[0]), batch[1])
            torch.rand(count)
            return loss

        return step

    model, data = BatchNormed(), batches(2)
    few, many = (gl.capture(model, data, step=drawing(count), costs=False) for count in (1, 50))
    np.testing.assert_array_equal(few.grams, many.grams)


# positions of the samples


class Windows(nn.Module):
    """Windows folded into axis 0, as in Swin."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem, self.qkv = nn.Conv2d(3, width, 4, 4), nn.Linear(width, 3 * width)
        self.out, self.head = nn.Linear(width, width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        n, c, h, w = x.shape
        x = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)
        q, k, v = self.qkv(x).chunk(3, -1)
        x = self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)
        return self.head(x.reshape(n, -1, c).mean(1))


class Sequence(nn.Module):
    """[T, N, C] linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.head = nn.Linear(3, 7), nn.Linear(7, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).permute(2, 0, 1)[: self.time]  # [T, N, 3]
        return self.head(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))).mean(0))

    time = 6


class Flattened(Sequence):
    """The same rows as [T * N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).permute(2, 0, 1)[: self.time]
        n = x.shape[1]
        x = torch.tanh(self.fc2(torch.tanh(self.fc1(x.reshape(-1, 3)))))
        return self.head(x.view(self.time, n, -1).mean(0))


class Gated(Sequence):
    """A partial split of [T, N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).permute(2, 0, 1)[: self.time]
        first, second = self.fc2(torch.tanh(self.fc1(x))).chunk(2, -1)
        return self.head(torch.cat([first.sigmoid(), second.tanh()], -1).mean(0))


class Attends(nn.Module):
    """nn.MultiheadAttention, time first."""

    def __init__(self, time: int) -> None:
        super().__init__()
        self.time = time
        self.fc, self.attention = nn.Linear(3, 8), nn.MultiheadAttention(8, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x.flatten(2).permute(2, 0, 1)[: self.time])
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(0))


def swin() -> nn.Module:
    return timm.models.SwinTransformer(
        img_size=16,
        patch_size=2,
        window_size=4,
        embed_dim=8,
        depths=(2, 2),
        num_heads=(2, 2),
        num_classes=5,
        drop_path_rate=0.0,
    )


def timed(kind: type[Sequence], time: int) -> nn.Module:
    model = kind()
    model.time = time
    return model


TOKENS: dict[str, Callable[[], nn.Module]] = {
    "windows": Windows,
    "swin": swin,
    **{f"time first {t}": (lambda t=t: timed(Sequence, t)) for t in (1, 4, 6, 9)},
    **{f"time first flattened {t}": (lambda t=t: timed(Flattened, t)) for t in (4, 6, 9)},
    **{f"time first gated {t}": (lambda t=t: timed(Gated, t)) for t in (4, 6, 9)},
    **{f"attention {t}": (lambda t=t: Attends(t)) for t in (1, 4, 6, 9)},
}


@pytest.mark.parametrize("name", TOKENS)
def test_per_sample_grams_are_those_of_one_sample_at_a_time(name: str, oracle: ModuleType) -> None:
    model, (batch,) = TOKENS[name]().double(), batches(dtype=torch.float64)  # n = 6, so T == N occurs
    recording = gl.capture(model, [batch], costs=False)
    expected = oracle.node_grams(model, summed, *batch)
    probes = [recording.plan.probes[s] for s in recording.plan.signals]
    assert len(probes) == len(expected)
    for probe, number, gram in zip(probes, recording.plan.signals, expected, strict=True):
        assert probe.outer is not None, probe.name
        close(recording.grams[number, 0], gram)


def test_time_as_long_as_the_batch_is_never_taken_for_it_without_a_dry_pass() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        assert len(batch["y"]) == 6, "this step takes whole batches"
        return functional.cross_entropy(model(batch["x"]), batch["y"])

    (x, y) = batches()[0]
    batch = {"x": x, "y": y}
    recording = gl.capture(timed(Sequence, 6), [batch], step=step, costs=False)
    assert recording.meta["dry_samples"] == 0
    outers = {recording.plan.probes[s].module: recording.plan.probes[s].outer for s in recording.plan.signals}
    assert outers["fc1"] in (None, 6)
    assert outers["fc2"] in (None, 6)
    assert outers["head"] == 1


def test_a_signal_without_sample_axis_is_marked_and_left_out_of_the_tables_with_a_reason() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mixed, self.head = nn.Linear(768, 8), nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x.flatten(1)).tanh()
            return self.head(x * self.mixed(x.mean(0, keepdim=True)).sigmoid())

    recording = gl.capture(Pooled(), batches(), costs=False)
    probes = {recording.plan.probes[s].module: s for s in recording.plan.signals}
    lost = probes["mixed"]
    assert recording.plan.probes[lost].outer is None
    assert np.isnan(recording.grams[lost]).all()
    result = gl.analyze(recording)
    assert any("no axis that holds the samples" in text for text in result.warnings)
    frame = result.tables["duplication"].frame
    whole = frame[(frame["stage"] == "whole") & (frame["version"] == "energy")].iloc[0]
    assert (whole["signals"], whole["used"], whole["dead"]) == (3, 2, 0)
    assert np.isfinite(whole["duplication"])
    pairs = result.tables["correlation"].frame
    touched = pairs[(pairs["signal_a"] == "mixed") | (pairs["signal_b"] == "mixed")]
    assert len(touched) == 2
    assert touched["energy"].isna().all()


# layouts, precisions, checkpoints


def test_channels_last_gives_the_grams_of_contiguous() -> None:
    model, data = BatchNormed(), batches(2)
    plain = gl.capture(model, data, costs=False)
    model = model.to(memory_format=torch.channels_last)
    last = gl.capture(model, [(x.to(memory_format=torch.channels_last), y) for x, y in data], costs=False)
    close(last.grams, plain.grams, rtol=1e-4)


def autocast(model: nn.Module, batch: Any) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch[0])
    return functional.cross_entropy(output.float(), batch[1])


@pytest.mark.parametrize("make", [Net, BatchNormed, Windows], ids=lambda make: make.__name__)
def test_autocast_gives_finite_grams_near_those_of_float32(make: Any) -> None:
    model, data = make(), batches(2)
    mixed = gl.capture(model, data, step=autocast, costs=False)
    assert np.isfinite(mixed.grams).all()
    single = signals(gl.capture(model, data, costs=False))
    for path, grams in signals(mixed).items():
        np.testing.assert_allclose(
            grams.trace(axis1=1, axis2=2), single[path].trace(axis1=1, axis2=2), rtol=0.2
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_autocast_of_a_residual_and_a_dense_network_is_captured(name: str) -> None:
    model = timm.create_model(name, num_classes=5)
    data = [(torch.randn(4, 3, 32, 32), torch.arange(4))]
    recording = gl.capture(model, data, step=autocast, sites="forks", costs=False, mode="eval")
    assert np.isfinite(recording.grams).all()
    assert max(recording.dry_errors.values()) == 0


def test_under_autocast_branches_are_named_by_their_true_readers() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(1, 3)
            self.a, self.b, self.c = (nn.Conv2d(3, 2, k, padding=k // 2) for k in (1, 3, 5))
            self.head = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(x).float()
            return self.head(torch.cat([self.a(x), self.b(x), self.c(x)], 1).mean((2, 3)))

    recording = gl.capture(Three(), batches(), step=autocast, costs=False)
    assert "ToCopy" in {node.operation for node in recording.plan.graph.nodes}
    labels = {label for group in recording.plan.groups for label in group.labels}
    assert {"to a:conv", "to b:conv", "to c:conv"} <= labels


@pytest.mark.parametrize("batch_norm", [False, True])
def test_non_reentrant_checkpointing_gives_equal_grams(batch_norm: bool) -> None:
    class Saves(nn.Module):
        def __init__(self, body: nn.Module, on: bool) -> None:
            super().__init__()
            self.body, self.on = body, on

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.body, x, use_reentrant=False) if self.on else self.body(x)

    torch.manual_seed(3)
    body = BatchNormed() if batch_norm else Net()
    plain, saving = (gl.capture(Saves(body, on), batches(2)) for on in (False, True))
    np.testing.assert_array_equal(saving.grams, plain.grams)
    assert saving.costs.flops == plain.costs.flops
    assert saving.costs.saved_bytes.total() < plain.costs.saved_bytes.total()


def test_reentrant_checkpointing_is_refused_with_advice() -> None:
    class Saves(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(checkpoint(super().forward, x.requires_grad_(), use_reentrant=True))

    model = Saves()
    model.head = nn.Identity()
    with pytest.raises(GradlensError, match="use_reentrant=False"):
        gl.capture(model, batches())


# special cases of real networks


@pytest.mark.parametrize(
    "make",
    [
        lambda: torchvision.models.resnet18(num_classes=5),
        lambda: timm.create_model("cspresnet50", num_classes=5),
    ],
    ids=["torchvision", "timm"],
)
def test_stock_networks_with_in_place_operations_are_captured_unmodified(make: Any) -> None:
    model = make()
    data = [(torch.randn(4, 3, 64, 64), torch.arange(4))]
    recording = gl.capture(model, data, costs=False)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(recording.plan.signals) == len(layers)
    assert np.isfinite(recording.grams).all()


def test_zero_initialised_residual_branches_are_exactly_dead_and_reported() -> None:
    model = gl.load_model("resnet18", num_classes=5, seed=0, zero_init=True)
    data = [(torch.randn(6, 3, 64, 64), torch.arange(6) % 5)]
    recording = gl.capture(model, data, costs=False)
    assert not np.isnan(recording.grams).any()
    dead = {path for path, grams in signals(recording).items() if not grams.any()}
    assert dead == {f"layer{s}.{b}.conv{c}" for s in (1, 2, 3, 4) for b in (0, 1) for c in (1, 2)}
    result = gl.analyze(recording)
    assert any("16 of 21 signals are dead" in text for text in result.warnings)
    shares = result.tables["shares"].frame
    residual = shares[(shares["kind"] == "residual") & (shares["branch"] == "residual")]
    assert len(residual) == 8
    assert (residual["share"] == 0).all()
    live = gl.load_model("resnet18", num_classes=5, seed=0)
    assert all(grams.any() for grams in signals(gl.capture(live, data, costs=False)).values())


@pytest.mark.parametrize(
    ("program", "contributions"),
    [
        (lambda u, v: u * u, 2),
        (lambda u, v: torch.cat([u, v, u], 1), 2),
        (lambda u, v: torch.cat([u, u, u, u], 1), 4),
    ],
)
def test_a_tensor_read_twice_by_one_operation_forks_exactly(program: Any, contributions: int) -> None:
    class ReadTwice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u, self.v, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.LazyLinear(5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(program(torch.tanh(self.u(x)), torch.tanh(self.v(x))).mean((2, 3)))

    model = ReadTwice()
    model(batches()[0][0])
    recording = gl.capture(model, batches(), costs=False)
    frame = ANALYZERS["exactness"](recording).frame
    assert frame["contributions"].tolist() == [contributions]
    assert frame["error"].tolist() == [0]
    assert frame["projected_error"].iloc[0] < 1e-6
    (group,) = recording.plan.groups
    assert len({number for member in group.members for number in member}) == contributions
    assert len(set(group.labels)) == contributions


class Token:
    """Lives as long as the autograd node that carries it."""


BORN: list[weakref.ref[Token]] = []


class Carry(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.token = Token()
        BORN.append(weakref.ref(ctx.token))
        kept = x.clone()
        ctx.save_for_backward(kept)
        BORN.append(weakref.ref(kept))  # type: ignore[arg-type]
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient + 0 * ctx.saved_tensors[0]


class Carrying(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = Carry.apply(self.stem(x))
        y = torch.cat([x, self.look(self.reduce(x)), x], 1)
        return self.head(self.down(y[:, :8] + y[:, 16:]).mean((2, 3)))


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    BORN.clear()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "options", [{}, {"sites": "all"}, {"pairs": "exact"}, {"costs": False}, {"throughput": 1}], ids=str
)
def test_no_graph_is_alive_afterwards_even_without_the_garbage_collector(
    options: dict[str, Any],
) -> None:
    recording = gl.capture(Carrying(), batches(2), **options)
    assert recording.grams.any()
    assert len(BORN) >= 6  # a dry pass and two batches, a node and a saved tensor each
    assert [reference for reference in BORN if reference() is not None] == []


@pytest.mark.usefixtures("no_collector")
def test_one_batchs_graph_is_gone_before_the_next_batch() -> None:
    alive: list[int] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        alive.append(sum(reference() is not None for reference in BORN))
        return functional.cross_entropy(model(batch[0]), batch[1])

    gl.capture(Carrying(), batches(4), step=step)
    assert len(alive) >= 6
    assert alive == [0] * len(alive)


# the model is unchanged


def state(model: nn.Module) -> dict[str, Any]:
    return {
        "modes": [module.training for module in model.modules()],
        "requires": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [None if p.grad is None else (id(p.grad), p.grad.tolist()) for p in model.parameters()],
        "values": [tensor.tolist() for tensor in model.state_dict().values()],
        "random": torch.get_rng_state().tolist(),
        "hooks": [
            [*m._forward_hooks, *m._forward_pre_hooks, *m._backward_hooks, *m._backward_pre_hooks]
            for m in model.modules()
        ],
        "tensor hooks": [bool(p._backward_hooks) for p in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
    }


class BoomError(Exception):
    pass


def raising(error: type[BaseException], call: int) -> Any:
    """Return a step that raises at its ``call``-th run; the dry pass is the first."""
    runs: list[int] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        runs.append(1)
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        torch.rand(2)
        if len(runs) == call:
            raise error
        return loss

    return step


@pytest.fixture
def used_model() -> BatchNormed:
    """A model in a mixed state: some gradients, a frozen layer, modes by module."""
    model = BatchNormed().train()
    model.norm.eval()
    model.reduce.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    return model


@pytest.mark.parametrize("mode", ["train", "eval", "keep"])
def test_the_model_is_unchanged(used_model: BatchNormed, mode: str) -> None:
    before = state(used_model)
    recording = gl.capture(used_model, batches(2), mode=mode, sites="all", throughput=1)
    assert state(used_model) == before
    assert recording.meta["mode"] == mode


CALLS = {"dry pass": 1, "batch 0": 2, "batch 1": 3, "costs": 4}


@pytest.mark.parametrize(
    ("error", "call"),
    [
        *((KeyboardInterrupt, call) for call in CALLS.values()),
        *((BoomError, CALLS[name]) for name in ("batch 0", "batch 1")),
    ],
)
def test_the_model_is_unchanged_if_a_step_raises(
    used_model: BatchNormed, error: type[BaseException], call: int
) -> None:
    before = state(used_model)
    with pytest.raises((error, GradlensError)) as caught:
        gl.capture(used_model, batches(2), step=raising(error, call))
    assert isinstance(caught.value.__cause__ or caught.value, error)
    assert state(used_model) == before


@pytest.mark.parametrize("name", ["dry pass", "costs"])
def test_an_error_in_an_auxiliary_run_does_not_end_the_capture(used_model: BatchNormed, name: str) -> None:
    before = state(used_model)
    plain = gl.capture(used_model, batches(2))
    recording = gl.capture(used_model, batches(2), step=raising(BoomError, CALLS[name]))
    assert state(used_model) == before
    np.testing.assert_allclose(recording.signal_grams, plain.signal_grams, rtol=1e-6, atol=1e-12)
    assert (recording.costs is None) == (name == "costs")
    notes = [text for text in recording.meta["notes"] if "the costs could not be counted: BoomError" in text]
    assert len(notes) == (name == "costs")


def test_the_model_is_unchanged_if_forward_raises(used_model: BatchNormed) -> None:
    before = state(used_model)
    with pytest.raises(GradlensError, match=r"your model raised RuntimeError: .*channels"):
        gl.capture(used_model, [(torch.ones(6, 4, 16, 16), torch.zeros(6, dtype=torch.long))])
    assert state(used_model) == before


def test_the_model_is_unchanged_if_the_loss_raises_in_the_second_batch(used_model: BatchNormed) -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        if bool((target == 4).all()):
            raise BoomError
        return functional.cross_entropy(output, target)

    good, (x, y) = batches(2)
    before = state(used_model)
    with pytest.raises(GradlensError, match="your loss raised BoomError"):
        gl.capture(used_model, [good, (x, torch.full_like(y, 4))], loss=loss)
    assert state(used_model) == before


class Poison(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.nan


class Poisoned(BatchNormed):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(
            self.down(Poison.apply(self.look(self.reduce(self.norm(self.stem(x)))))).mean((2, 3))
        )


def test_a_gradient_that_is_not_finite_names_batch_and_first_site_and_leaves_no_trace() -> None:
    model = Poisoned()
    before = state(model)
    with pytest.raises(GradlensError, match=r"batch 0: .*not finite.* look"):
        gl.capture(model, batches())
    assert state(model) == before


# interrupted runs and selected sites


def test_an_interrupted_run_keeps_finished_batches_and_is_marked_partial() -> None:
    whole = gl.capture(Net(), batches(1))
    model = Net()
    part = gl.capture(model, batches(3), step=raising(KeyboardInterrupt, 4), keep_partial=True)
    assert len(part.replicates) == 2
    assert part.labels is not None
    assert len(part.labels) == 2
    assert part.meta["partial"] is True
    assert "partial" not in whole.meta


def test_an_interruption_while_costs_are_counted_loses_no_batch() -> None:
    try:
        part = gl.capture(Net(), batches(2), step=raising(KeyboardInterrupt, 4), keep_partial=True)
    except KeyboardInterrupt:
        pytest.fail("the finished batches were lost")
    assert len(part.replicates) == 2
    assert part.meta["partial"] is True


def test_an_interruption_before_any_batch_is_finished_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        gl.capture(Net(), batches(2), step=raising(KeyboardInterrupt, 2), keep_partial=True)


def test_sites_select_the_probes() -> None:
    model, data = Net(), batches()
    plans = {
        sites: gl.capture(model, data, sites=sites, costs=False).plan
        for sites in ("signals", "forks", "all", "*o*")
    }
    assert len(plans["signals"].signals) == 5
    assert plans["forks"].signals == ()
    assert len(plans["forks"].groups) == len(plans["signals"].groups) == 1
    assert len(plans["forks"].probes) < len(plans["signals"].probes) < len(plans["all"].probes)
    assert [plans["*o*"].probes[s].module for s in plans["*o*"].signals] == ["look", "down"]


def test_all_sites_have_every_edge() -> None:
    recording = gl.capture(Net(), batches(), sites="all", costs=False)
    graph, plan = recording.plan.graph, recording.plan
    for edge in graph.edges:
        total = TensorKey(edge.producer, edge.output) in plan.tensor_probes
        contribution = Slot(edge.consumer, edge.slot) in plan.edge_probes
        added = graph.nodes[edge.consumer].operation == "Add"
        assert total or contribution or added, edge


def test_a_glob_that_matches_nothing_is_refused() -> None:
    with pytest.raises(GradlensError, match="nowhere"):
        gl.capture(Net(), batches(), sites="nowhere.*")


# bad input: one clear line


def frozen_net() -> nn.Module:
    return Net().requires_grad_(False)


def test_without_a_parameter_that_requires_gradient_nothing_can_be_captured() -> None:
    with pytest.raises(GradlensError, match="the whole network is frozen"):
        gl.capture(frozen_net(), batches())
    with pytest.raises(GradlensError, match="the whole network is frozen"):
        gl.capture(frozen_net(), [(x.requires_grad_(), y) for x, y in batches()])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_than_four_samples_are_refused(n: int) -> None:
    with pytest.raises(GradlensError, match=f"{n} samples.*at least 4"):
        gl.capture(BatchNormed(), batches(n=n))


def test_four_samples_are_enough() -> None:
    assert gl.capture(BatchNormed(), batches(n=4), costs=False).n == 4


def test_a_loss_that_is_not_finite_names_the_batch_and_the_first_module() -> None:
    first, (x, y) = batches(2)
    with pytest.raises(GradlensError, match=r"batch 1: the loss is nan.*stem"):
        gl.capture(Net(), [first, (x * torch.nan, y)])
    model = Net()
    with torch.no_grad():
        model.look.bias.fill_(torch.inf)
    with pytest.raises(GradlensError, match=r"batch 0: the loss is .*look"):
        gl.capture(model, batches())


def test_a_loss_that_is_not_finite_itself_is_distinguished_from_the_model() -> None:
    with pytest.raises(GradlensError, match="check the loss"):
        gl.capture(Net(), batches(), loss=lambda output, target: output.sum() * torch.nan)


def test_a_graph_that_changes_names_the_batch_and_the_change() -> None:
    class Changing(Net):
        def forward(self, x: Tensor) -> Tensor:
            output = super().forward(x)
            return output.tanh() if bool(x.mean() > 3) else output

    first, (x, y) = batches(2)
    with pytest.raises(GradlensError, match=r"batch 1: the graph changed.*Tanh"):
        gl.capture(Changing(), [first, (x + 9, y)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": []}, "no batches"),
        ({"batches": [*batches(1, 6), *batches(1, 5)]}, "batch 1 has 5 samples, the first 6"),
        ({"loss": lambda o, t: functional.cross_entropy(o, t, reduction="none")}, "not a scalar"),
        ({"loss": lambda o, t: 3.0}, "not a scalar tensor.*float"),
        ({"loss": summed, "step": autocast}, "not both"),
        ({"pairs": "exactly"}, "sketch, exact"),
        ({"reduction": "none"}, "mean, sum"),
        ({"mode": "trian"}, "train, eval, keep"),
        ({"spaec": "weights"}, "unknown option 'spaec'.*did you mean space"),
        ({"cost": False}, "unknown option 'cost'.*did you mean costs"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_bad_arguments_are_reported_in_one_line(arguments: dict[str, Any], message: str) -> None:
    model = Net()
    before = state(model)
    with pytest.raises(GradlensError, match=message) as caught:
        gl.capture(model, **{"batches": batches(), **arguments})
    assert "\n" not in str(caught.value)
    assert state(model) == before


def test_a_network_without_forks_is_captured_with_a_warning() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.LazyLinear(5)
    )
    model(batches()[0][0])
    recording = gl.capture(model, batches())
    assert recording.plan.groups == ()
    assert any("no forks" in text for text in gl.analyze(recording).warnings)


def test_progress_is_reported_per_batch() -> None:
    seen: list[tuple[str, int, int]] = []
    gl.capture(Net(), batches(3), costs=False, progress=lambda *call: seen.append(call))
    assert seen == [("batches", done, 3) for done in (1, 2, 3)]


# operations before the first layer


class Gained(Net):
    """A learned operation is applied to the images, which need no gradient."""

    def __init__(self, first: nn.Module | None) -> None:
        super().__init__()
        self.first = first
        self.gain = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.gain if self.first is None else self.first(x))


@pytest.mark.parametrize(
    "first", [None, nn.PReLU(), nn.PReLU(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)],
    ids=["gain", "prelu", "prelu of channels", "convolution", "norm"],
)  # fmt: skip
def test_a_learned_operation_on_the_images_hides_no_layer(first: nn.Module | None) -> None:
    plain, gained = gl.capture(Net(), batches()), gl.capture(Gained(first), batches())
    modules = {plain.plan.probes[s].module for s in plain.plan.signals}
    assert {gained.plan.probes[s].module for s in gained.plan.signals} - {"first"} == modules
    assert len(gained.plan.groups) == len(plain.plan.groups)
    assert gained.meta["unseen_layers"] == []


def test_a_loss_of_parameters_alone_is_refused() -> None:
    model = Net()
    with pytest.raises(GradlensError, match="parameters alone"):
        gl.capture(model, batches(), step=lambda net, batch: net.head.weight.square().sum())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x[:, 0])[0][:, -1])


def test_layers_without_a_signal_are_named_and_others_are_kept() -> None:
    class Both(Recurrent):
        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Bilinear(5, 5, 5)

        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            return self.both(logits, logits)

    recording = gl.capture(Both(), batches(), space="weights")
    assert {signal.probe.module for signal in recording.signals} == {"rnn", "head"}
    assert recording.meta["unseen_layers"] == ["both"]


# other kinds of batches


@dataclass
class Pack:
    images: Tensor
    targets: Tensor


def _pack(images: Tensor, targets: Tensor) -> Any:
    return Pack(images, targets)


def _dict(images: Tensor, targets: Tensor) -> Any:
    return {"images": images, "targets": targets}


def _samples(images: Tensor, targets: Tensor) -> Any:
    return list(zip(images, targets, strict=True))


def _unpacked(batch: Any) -> tuple[Tensor, Tensor]:
    if isinstance(batch, Pack):
        return batch.images, batch.targets
    if isinstance(batch, dict):
        return batch["images"], batch["targets"]
    return torch.stack([x for x, _ in batch]), torch.stack([y for _, y in batch])


@pytest.mark.parametrize("kind", [_pack, _dict, _samples])
def test_any_kind_of_batch_gives_the_grams_of_a_pair(kind: Callable[..., Any]) -> None:
    model, (pair,) = Net(), batches()
    expected = gl.capture(model, [pair])

    def step(net: nn.Module, batch: Any) -> Tensor:
        images, targets = _unpacked(batch)
        return functional.cross_entropy(net(images), targets)

    recording = gl.capture(model, [kind(*pair)], step=step)
    np.testing.assert_array_equal(recording.grams, expected.grams)
    assert recording.dry_errors == expected.dry_errors


def test_a_batch_without_visible_samples_needs_their_number() -> None:
    model, (pair,) = Net(), batches()

    def step(net: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(net(pair[0]), pair[1])

    with pytest.raises(GradlensError, match=r"cannot find the samples in batch 0, a NoneType; .*samples=N"):
        gl.capture(model, [None], step=step)
    recording = gl.capture(model, [None], step=step, samples=6)
    np.testing.assert_array_equal(recording.grams, gl.capture(model, [pair]).grams)


def test_a_batch_that_is_no_pair_needs_a_step() -> None:
    with pytest.raises(GradlensError, match=r"not \(inputs, targets\); .* `step="):
        gl.capture(Net(), [batches()[0][0]])


def test_one_batch_that_is_passed_as_all_batches_is_told_to_be_a_list() -> None:
    with pytest.raises(
        GradlensError, match=r"a batch is a tensor, .*give a list of batches, \[\(inputs, targets\)"
    ):
        gl.capture(Net(), batches()[0])


@pytest.mark.parametrize("width", [3, 9])
def test_single_samples_are_told_to_need_a_loader(width: int) -> None:
    data = torch.utils.data.TensorDataset(torch.randn(30, width), torch.arange(30) % 3)
    for samples in (data, [(x, int(y)) for x, y in data]):
        with pytest.raises(GradlensError, match=r"single samples.*DataLoader\(dataset, batch_size=32"):
            gl.capture(nn.Linear(width, 3), samples)  # type: ignore[arg-type]
    loader = torch.utils.data.DataLoader(data, batch_size=10)
    assert gl.capture(nn.Linear(width, 3), loader).n == 10


def test_a_number_of_batches_that_is_not_whole_is_refused() -> None:
    with pytest.raises(GradlensError, match=r"max_batches=1.5 is no whole number; give 1 or more"):
        gl.capture(Net(), batches(), max_batches=1.5)  # type: ignore[arg-type]


def test_an_output_that_is_no_tensor_needs_a_loss() -> None:
    class DictOutput(Net):
        def forward(self, x: Tensor) -> Any:
            return {"logits": super().forward(x)}

    with pytest.raises(
        GradlensError, match=r"returns a dict with logits, not a tensor of logits; give `loss="
    ):
        gl.capture(DictOutput(), batches())
    assert (
        gl.capture(DictOutput(), batches(), loss=lambda out, y: functional.cross_entropy(out["logits"], y)).n
        == 6
    )


def test_inference_mode_is_refused() -> None:
    with torch.inference_mode(), pytest.raises(GradlensError, match="inference_mode"):
        gl.capture(Net(), batches())


def test_only_the_first_batches_of_a_long_loader_are_read() -> None:
    shown: list[tuple[int, int]] = []
    remaining = iter(batches(5))
    recording = gl.capture(
        Net(), remaining, max_batches=2, progress=lambda _, done, total: shown.append((done, total))
    )
    assert len(recording.replicates) == 2
    assert len(list(remaining)) == 3, "none is read and thrown away"
    assert shown[-1] == (2, 2)
    with pytest.raises(GradlensError, match="max_batches=0: at least one batch"):
        gl.capture(Net(), batches(1), max_batches=0)


def test_batches_are_read_one_by_one() -> None:
    read: list[int] = []

    def reader() -> Iterator[Any]:
        for index, batch in enumerate(batches(3)):
            read.append(index)
            yield batch

    seen: list[tuple[int, int]] = []
    gl.capture(Net(), reader(), progress=lambda _, done, total: seen.append((len(read), done)))
    assert seen == [(1, 1), (2, 2), (3, 3)]
