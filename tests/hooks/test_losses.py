"""Several losses: each measured as if it were the only one, their inner products, and one clear line for bad input."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.errors import GradlensError
from tests.oracles.losses import sample_gradients


class TwoHeads(nn.Module):
    """A shared trunk with a residual fork, and two heads."""

    def __init__(self, activation: type[nn.Module] = nn.Tanh) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.act = activation()
        self.left, self.right = nn.Linear(6, 4), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.act(self.stem(x))
        x = (x + self.act(self.block(x))).mean((2, 3))
        return self.left(x), self.right(x)


def cls(output: Any, target: Tensor) -> Tensor:
    return functional.cross_entropy(output[0], target)


def box(output: Any, target: Tensor) -> Tensor:
    return (output[1] - target[:, None]).square().mean()


def both(output: Any, target: Tensor) -> Tensor:
    return 0.3 * (output[0].sum(1) * output[1].sum(1)).tanh().mean()


TWO = {"cls": cls, "box": box}
THREE = {**TWO, "both": both}


def network(kind: type[nn.Module] = TwoHeads, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(5)
    return kind().to(dtype)


def data(count: int = 1, n: int = 6, dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [
        (torch.randn(n, 3, 8, 8, generator=generator).to(dtype), torch.randint(3, (n,), generator=generator))
        for _ in range(count)
    ]


def capture(
    model: nn.Module, batches: list[Any], losses: dict[str, Callable[..., Tensor]] = THREE, **options: Any
) -> gl.Recording:
    return gl.capture(model, batches, losses=losses, costs=False, **options)


def test_the_grams_of_each_loss_are_those_of_separate_gradients_sample_by_sample() -> None:
    model, batches = network(), data()
    recording = capture(model, batches)
    truth = sample_gradients(model, THREE, *batches[0])
    for name in THREE:
        part = recording.of_loss(name)
        for signal in part.signals:
            rows = truth[name][signal.name]
            np.testing.assert_allclose(part.grams[signal.number, 0], rows @ rows.T, rtol=1e-9, atol=1e-14)
    for signal in recording.signals:
        rows = sum(truth[name][signal.name] for name in THREE)
        np.testing.assert_allclose(recording.grams[signal.number, 0], rows @ rows.T, rtol=1e-9, atol=1e-14)


def test_inner_products_between_losses_are_those_of_separate_gradients() -> None:
    model, batches = network(), data()
    recording = capture(model, batches)
    truth = sample_gradients(model, THREE, *batches[0])
    products, of_sums = (recording.by_loss.read(name) for name in ("products", "mean_products"))
    for pair, (a, b) in enumerate(itertools.combinations(THREE, 2)):
        for signal in recording.signals:
            first, second = truth[a][signal.name], truth[b][signal.name]
            expected = (first * second).sum(1)
            scale = float((first.norm(dim=1) * second.norm(dim=1)).max())
            np.testing.assert_allclose(
                products[pair, signal.number, 0], expected, rtol=1e-9, atol=1e-9 * scale
            )
            expected = float(first.sum(0) @ second.sum(0))
            assert of_sums[pair, signal.number, 0] == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


def test_the_cost_of_many_losses_is_noted() -> None:
    losses = {
        f"l{index}": lambda output, target, index=index: cls(output, target) * (index + 1)
        for index in range(7)
    }
    notes = capture(network(), data(), losses).provenance.notes
    assert any(
        "7 losses take 8 watched backward passes per batch and 21 for their pairs" in note for note in notes
    )
    assert not capture(network(), data(), losses, by_loss=False).provenance.notes


def unique_grams(recording: gl.Recording) -> dict[object, np.ndarray]:
    """Return the Grams by site, of those sites that name one gradient."""
    sites = [(type(probe).__name__, probe.name) for probe in recording.plan.probes]
    return {site: recording.grams[number] for number, site in enumerate(sites) if sites.count(site) == 1}


def test_a_loss_beside_others_is_measured_as_if_it_were_the_only_one() -> None:
    model, batches = network(), data(2)
    recording = capture(model, batches, sites="forks")
    for name, loss in THREE.items():
        alone = gl.capture(model, batches, loss=loss, costs=False, sites="forks")
        grams, expected = unique_grams(recording.of_loss(name)), unique_grams(alone)
        shared = [site for site in grams if site in expected]
        assert len(shared) > 3
        for site in shared:
            np.testing.assert_allclose(grams[site], expected[site], rtol=1e-9, atol=1e-14)


def test_the_sum_is_measured_as_without_by_loss() -> None:
    model, batches = network(), data(2)
    each, alone = (capture(model, batches, by_loss=choice) for choice in (True, False))
    assert (each.losses, alone.losses) == (("cls", "box", "both"), ())
    np.testing.assert_array_equal(each.grams, alone.grams)


def test_a_step_may_return_the_losses() -> None:
    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        output = model(batch[0])
        return {name: loss(output, batch[1]) for name, loss in TWO.items()}

    model, batches = network(), data()
    stepped = gl.capture(model, batches, step=step, costs=True, throughput=1)
    assert stepped.costs is not None
    assert stepped.throughput["forward"]
    np.testing.assert_array_equal(
        stepped.of_loss("box").grams, capture(model, batches, TWO).of_loss("box").grams
    )


@pytest.mark.parametrize("factor", [1e-6, 1e-4, 1.0, 1e4], ids=str)
@pytest.mark.parametrize("count", [2, 3])
def test_cosines_hold_if_one_loss_has_far_less_energy(factor: float, count: int) -> None:
    losses = {**dict(list(THREE.items())[:count]), "box": lambda output, target: factor * box(output, target)}
    exact = capture(network(), data(2), losses)
    single = capture(network(dtype=torch.float32), data(2, dtype=torch.float32), losses)
    expected, measured = (ANALYZERS["conflicts"](recording).frame for recording in (exact, single))
    assert measured["cosine"].notna().sum() == expected["cosine"].notna().sum() > 4
    np.testing.assert_allclose(measured["cosine"], expected["cosine"], atol=1e-5)
    np.testing.assert_allclose(measured["cosine_of_mean"], expected["cosine_of_mean"], atol=1e-4)


def test_samples_of_very_different_energy_are_right_or_marked() -> None:
    """The second loss is strong for half of the samples, and weaker by a factor of 1e9 for the others."""
    weak = torch.tensor([1.0, 1e-9]).repeat(3)

    def uneven(output: Any, target: Tensor) -> Tensor:
        return ((output[1].sum(1) - target).square() * weak.to(output[1])).mean()

    losses = {"cls": cls, "uneven": uneven}
    exact = capture(network(), data(), losses)
    single = capture(network(dtype=torch.float32), data(dtype=torch.float32), losses)
    for number in (signal.number for signal in exact.signals):
        squares = [exact.of_loss(name).grams[number, 0].diagonal() for name in losses]
        norms = np.sqrt(squares[0] * squares[1]) + 1e-300
        expected, measured = (r.by_loss.read("products")[0, number, 0] / norms for r in (exact, single))
        known = np.isfinite(measured)
        np.testing.assert_allclose(measured[known], expected[known], atol=1e-3)
        assert known[::2].all()


def test_a_recording_of_several_losses_is_saved_merged_and_cut(tmp_path: Path) -> None:
    model, batches = network(), data(4)
    whole = capture(model, batches)
    loaded = gl.Recording.load(whole.save(tmp_path / "several.safetensors"))
    assert loaded.losses == whole.losses
    first, second = (capture(model, part, seed=seed) for seed, part in enumerate((batches[:2], batches[2:])))
    merged = first.merge(second)
    for name in whole.losses:
        np.testing.assert_array_equal(loaded.of_loss(name).grams, whole.of_loss(name).grams)
        assert {*loaded.of_loss(name).inner} == {*whole.of_loss(name).inner}
        np.testing.assert_array_equal(merged.of_loss(name).grams, whole.of_loss(name).grams)
        np.testing.assert_array_equal(merged.of_seed(1).of_loss(name).grams, second.of_loss(name).grams)
    last = merged.take([2]).take([0])
    for array in ("products", "mean_products", "values"):
        np.testing.assert_array_equal(merged.by_loss.read(array), whole.by_loss.read(array))
        np.testing.assert_array_equal(last.by_loss.read(array), second.take([0]).by_loss.read(array))
    assert len(gl.analyze(loaded).tables) >= len(gl.analyze(whole.of_loss("cls")).tables) + 4


def test_recordings_of_different_losses_are_not_merged() -> None:
    model, batches = network(), data(2)
    first = capture(model, batches[:1], TWO)
    others: list[dict[str, Any]] = [
        {"losses": {"cls": cls, "other": box}},
        {"losses": TWO, "by_loss": False},
    ]
    for options in others:
        with pytest.raises(GradlensError, match=r"different losses cannot be merged \(cls, box; "):
            first.merge(capture(model, batches[1:], **options, seed=1))


def test_an_unknown_loss_is_named_with_those_of_the_recording() -> None:
    recording = capture(network(), data())
    with pytest.raises(GradlensError, match=r"no loss 'bax'; the recording has cls, box, both.*box"):
        recording.of_loss("bax")
    with pytest.raises(GradlensError, match="one loss only"):
        recording.of_loss("cls").of_loss("cls")


def test_losses_with_separate_networks_reach_their_own_forks_only() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = TwoHeads(), TwoHeads()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.one(x)[0], self.two(x)[1]

    recording = capture(network(Apart), data(2), TWO)
    for name, idle in (("cls", "two"), ("box", "one")):
        part = recording.of_loss(name)
        live = {signal.name for signal in part.signals if part.grams[signal.number].any()}
        assert live
        assert not any(path.startswith(idle) for path in live)
        assert len(gl.analyze(part).tables) > 8
    assert recording.by_loss.read("errors").max() < 1e-12


def zero(output: Any, target: Tensor) -> Tensor:
    return torch.zeros(())


@pytest.mark.parametrize(
    "loss", [zero, lambda output, target: output[1].sum() * 0], ids=["constant", "factor"]
)
def test_a_loss_of_zero_has_no_gradient(loss: Callable[..., Tensor]) -> None:
    recording = capture(network(), data(2), {"cls": cls, "box": loss})
    assert not np.nansum(recording.of_loss("box").grams)
    frame = ANALYZERS["losses"](recording).frame
    assert set(frame.loc[frame["loss"] == "box", "share"].dropna()) == {0.0}
    conflicts = ANALYZERS["conflicts"](recording).frame
    assert conflicts["cosine"].isna().all()
    assert (conflicts["reason"] != "").all()
    sums = ANALYZERS["loss_sums"](recording).frame.set_index("loss")
    assert sums.loc["box", "reason"] == "no gradient at any signal, in any batch"


def same(output: Any, target: Tensor) -> dict[str, Tensor]:
    value = cls(output, target)
    return {"a": value, "b": value}


def with_total(output: Any, target: Tensor) -> dict[str, Tensor]:
    parts = {"cls": cls(output, target), "box": box(output, target)}
    return {**parts, "loss": sum(parts.values())}


def weighted_total(output: Any, target: Tensor) -> dict[str, Tensor]:
    parts = {"cls": cls(output, target), "box": box(output, target)}
    return {"loss": 0.5 * parts["cls"] + 2 * parts["box"], **parts}


def stacked_total(output: Any, target: Tensor) -> dict[str, Tensor]:
    parts = {"cls": cls(output, target), "box": box(output, target)}
    return {"loss": torch.stack(list(parts.values())).mean(), **parts}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (same, "losses 'a' and 'b' are the same tensor"),
        (with_total, "'loss' is computed from 'cls', 'box'"),
        (weighted_total, "'loss' is computed from 'cls', 'box'"),
        (stacked_total, "'loss' is computed from 'cls', 'box'"),
        (lambda o, t: {}, "mapping without a loss"),
        (lambda o, t: {"cls": cls(o, t), "box": o[1].mean(1)}, r"loss 'box' is not a scalar tensor \(shape \(6,\)"),
        (lambda o, t: {"cls": cls(o, t), "box": 0.5}, r"loss 'box' is not a scalar tensor \(float\)"),
        (lambda o, t: {"cls": cls(o, t), "box": box(o, t) * float("nan")}, "the loss 'box' is nan"),
        (lambda o, t: {"cls": cls(o, t), "box": box(o, t).detach()}, "the loss 'box' is .* requires no gradient"),
        (lambda o, t: {"cls": cls(o, t), "obj": torch.ones((), requires_grad=True) * 2}, "'obj' reaches no trainable"),
    ],
    ids=["same", "total", "weighted", "stacked", "empty", "vector", "float", "nan", "detached", "elsewhere"],
)  # fmt: skip
def test_bad_losses_are_reported_in_one_line(returned: Callable[..., Any], message: str) -> None:
    def step(model: nn.Module, batch: Any) -> Any:
        return returned(model(batch[0]), batch[1])

    with pytest.raises(GradlensError, match=message) as caught:
        gl.capture(network(), data(), step=step)
    assert "\n" not in str(caught.value)


def test_another_loss_in_a_later_batch_is_reported() -> None:
    counter = itertools.count()

    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        output, late = model(batch[0]), next(counter) > 1  # the dry pass and the first batch
        return {"cls": cls(output, batch[1]), "late" if late else "box": box(output, batch[1])}

    with pytest.raises(GradlensError, match="batch 1 has the losses cls, late, the first batch cls, box"):
        gl.capture(network(), data(2), step=step)


@pytest.mark.parametrize(
    "losses", [cls, {}, {"cls": "cross_entropy"}, [cls, box]], ids=["function", "empty", "name", "list"]
)
def test_losses_that_are_no_functions_are_reported(losses: Any) -> None:
    with pytest.raises(GradlensError, match=r"losses= is no mapping of functions"):
        gl.capture(network(), data(), losses=losses)


def test_a_backward_function_that_is_not_linear_is_reported() -> None:
    class Clipped(TwoHeads):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.act(self.stem(x))
            x.register_hook(lambda gradient: gradient.clamp(-1e-4, 1e-4))
            x = self.act(self.block(x)).mean((2, 3))
            return self.left(x), self.right(x)

    with pytest.raises(GradlensError, match=r"do not add up to that of their sum at .*by_loss=False"):
        capture(network(Clipped), data(), TWO)
    assert capture(network(Clipped), data(), TWO, by_loss=False).losses == ()


def test_no_hook_and_no_graph_is_left() -> None:
    model = network()
    capture(model, data(), THREE)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def conv_rows(gradients: list[Tensor]) -> Tensor:
    return torch.stack([gradient.detach().reshape(-1).double() for gradient in gradients])


@pytest.mark.parametrize("losses", [TWO, THREE], ids=["two", "three"])
def test_weight_space_measures_each_loss(losses: dict[str, Callable[..., Tensor]]) -> None:
    model, batches = network(), data()
    recording = capture(model, batches, losses, space="weights")
    products = recording.by_loss.read("products")
    names = {signal.name: signal.number for signal in recording.signals}
    for path in ("stem", "block", "left"):
        weight = model.get_submodule(path).weight
        rows = {}
        for name, loss in losses.items():
            values = [loss(model(x), y) for x, y in zip(*(part.split(1) for part in batches[0]), strict=True)]
            grads = [torch.autograd.grad(value, weight, allow_unused=True)[0] for value in values]
            rows[name] = conv_rows([torch.zeros_like(weight) if g is None else g for g in grads])
            grams = recording.of_loss(name).grams[names[path], 0]
            np.testing.assert_allclose(grams, rows[name] @ rows[name].T, rtol=1e-9, atol=1e-14)
        for pair, (a, b) in enumerate(itertools.combinations(losses, 2)):
            expected = (rows[a] * rows[b]).sum(1)
            np.testing.assert_allclose(products[pair, names[path], 0], expected, rtol=1e-8, atol=1e-13)
    assert ANALYZERS["conflicts"](recording).frame["cosine"].notna().any()
    assert ANALYZERS["duplication_by_loss"](recording).frame["mean_similarity"].notna().any()


def test_both_losses_of_a_network_with_batch_norm_are_right_together() -> None:
    """With BatchNorm the samples are coupled; the gradient of a sample's features still is one row."""

    class Normed(TwoHeads):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU())

    model, batches = network(Normed), data()
    recording = capture(model, batches, TWO)
    kept: dict[str, Tensor] = {}
    handle = model.stem.register_forward_hook(lambda module, args, output: kept.update(stem=output))
    output = model.train()(batches[0][0])
    handle.remove()
    rows = []
    for loss in TWO.values():
        (gradient,) = torch.autograd.grad(loss(output, batches[0][1]), kept["stem"], retain_graph=True)
        rows.append(6 * gradient.reshape(6, -1))
    number = next(signal.number for signal in recording.signals if signal.name == "stem")
    expected = (rows[0] * rows[1]).sum(1)
    np.testing.assert_allclose(
        recording.by_loss.read("products")[0, number, 0], expected, rtol=1e-8, atol=1e-14
    )
    np.testing.assert_allclose(
        recording.of_loss("box").grams[number, 0], rows[1] @ rows[1].T, rtol=1e-8, atol=1e-14
    )


def test_a_loss_that_is_used_twice_is_captured() -> None:
    """A scalar that forks has no axis at all; its contributions still add up."""

    def step(model: nn.Module, batch: Any) -> Tensor:
        value = cls(model(batch[0]), batch[1])
        return (1 - torch.exp(-value)) ** 2 * value

    recording = gl.capture(network(), data(2), step=step, costs=False)
    assert ANALYZERS["exactness"](recording).frame["projected_error"].max() < 1e-12


def focal(output: Any, target: Tensor) -> dict[str, Tensor]:
    value = cls(output, target)
    return {"cls": value, "focal": (1 - torch.exp(-value)) ** 2 * value, "box": box(output, target)}


def one_vector(output: Any, target: Tensor) -> dict[str, Tensor]:
    vector = torch.zeros(2, dtype=output[0].dtype)
    vector[0] += cls(output, target)
    vector[1] += box(output, target)
    return dict(zip(("cls", "box"), vector, strict=True))


def with_regulariser(model: nn.Module, output: Any, target: Tensor) -> dict[str, Tensor]:
    return {"cls": cls(output, target), "decay": 1e-3 * sum(p.square().sum() for p in model.parameters())}


@pytest.mark.parametrize("kind", ["focal", "vector", "regulariser"])
def test_unusual_losses_have_the_gradients_of_each_alone(kind: str) -> None:
    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        output = model(batch[0])
        if kind == "regulariser":
            return with_regulariser(model, output, batch[1])
        return (focal if kind == "focal" else one_vector)(output, batch[1])

    model, batches = network(), data(2)
    recording = gl.capture(model, batches, step=step, costs=False)
    for name in recording.losses:
        part = recording.of_loss(name)
        if name == "decay":
            assert not np.nansum(part.grams)
            continue
        alone = gl.capture(model, batches, step=lambda m, b, name=name: step(m, b)[name], costs=False)
        grams = {signal.name: alone.grams[signal.number] for signal in alone.signals}
        for signal in part.signals:
            expected = grams.get(signal.name, np.zeros_like(part.grams[signal.number]))
            np.testing.assert_allclose(part.grams[signal.number], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_each_loss_may_have_a_target_of_its_own(kind: type) -> None:
    (inputs, classes), sizes = data()[0], torch.linspace(-1, 1, 18, dtype=torch.float64).reshape(6, 3)
    keys = ("cls", "box") if kind is dict else (0, 1)
    targets = dict(zip(keys, (classes, sizes), strict=True)) if kind is dict else kind((classes, sizes))
    losses = {
        "cls": lambda output, target: cls(output, target[keys[0]]),
        "box": lambda output, target: (output[1] - target[keys[1]]).square().mean(),
    }
    recording = capture(network(), [(inputs, targets)], losses)
    alone = gl.capture(
        network(),
        [(inputs, sizes)],
        loss=lambda output, target: (output[1] - target).square().mean(),
        costs=False,
    )
    grams = {signal.name: alone.grams[signal.number] for signal in alone.signals}
    part = recording.of_loss("box")
    for signal in part.signals:
        if signal.name in grams:
            np.testing.assert_allclose(part.grams[signal.number], grams[signal.name], rtol=1e-9, atol=1e-14)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.left, self.right = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps, _ = self.rnn(x)
        return self.left(steps[:, -1]), self.right(steps.mean(1))


def test_each_loss_of_a_recurrent_network_has_its_signals_and_steps() -> None:
    model = network(Recurrent)
    batches = [(torch.randn(6, 5, 4, dtype=torch.float64), torch.arange(6) % 3) for _ in range(2)]
    recording = capture(model, batches, TWO)
    for name, loss in TWO.items():
        part, alone = recording.of_loss(name), gl.capture(model, batches, loss=loss, costs=False)
        grams = {signal.name: alone.grams[signal.number] for signal in alone.signals}
        series = [signal for signal in part.signals if signal.number in part.plan.series]
        assert series
        for signal in series:
            np.testing.assert_allclose(part.grams[signal.number], grams[signal.name], rtol=1e-9, atol=1e-14)
        frames = [ANALYZERS["times"](each).frame for each in (part, alone)]
        columns = frames[0].select_dtypes("number").columns
        np.testing.assert_allclose(frames[0][columns], frames[1][columns], rtol=1e-8)


class Checkpointed(TwoHeads):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.act(self.stem(x))
        x = (x + checkpoint(lambda value: self.act(self.block(value)), x, use_reentrant=False)).mean((2, 3))
        return self.left(x), self.right(x)


def test_losses_behind_a_checkpoint_are_measured_too() -> None:
    plain, kept = (capture(network(kind), data(2), THREE) for kind in (TwoHeads, Checkpointed))
    for name in THREE:
        grams = {signal.name: plain.of_loss(name).grams[signal.number] for signal in plain.signals}
        part = kept.of_loss(name)
        for signal in part.signals:
            np.testing.assert_allclose(part.grams[signal.number], grams[signal.name], rtol=1e-9, atol=1e-14)


def test_losses_under_autocast_add_up() -> None:
    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch[0])
            return {name: loss([o.float() for o in output], batch[1]) for name, loss in THREE.items()}

    batches = data(2, dtype=torch.float32)
    recording = gl.capture(network(dtype=torch.float32), batches, step=step, costs=False)
    exact = capture(network(), data(2), THREE)
    frames = [ANALYZERS["conflicts"](each).frame for each in (recording, exact)]
    numbers = [frame.loc[frame["level"] == "stage", "cosine"].to_numpy() for frame in frames]
    np.testing.assert_allclose(numbers[0], numbers[1], atol=0.05)


def test_channels_last_changes_nothing() -> None:
    model, batches = network(), data(2)
    last = [(x.to(memory_format=torch.channels_last), y) for x, y in batches]
    plain, turned = capture(model, batches), capture(model.to(memory_format=torch.channels_last), last)
    for name in ("products", "mean_products"):
        np.testing.assert_allclose(plain.by_loss.read(name), turned.by_loss.read(name), rtol=1e-8, atol=1e-12)
