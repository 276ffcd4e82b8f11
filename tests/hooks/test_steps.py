"""Recurrent networks: one signal for all steps, against the gradient of one sample after another."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.analyzers.diagnosis import Diagnosis
from gradlens.analyzers.times import Times
from gradlens.words.along_time import along_time
from tests.oracles.recurrent import Kept, gradients_by_step, gram_of_steps, unrolled

N, T, F, H, C = 6, 7, 5, 4, 3


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.manual_seed(0)


def batch(n: int = N, steps: int = T) -> tuple[Tensor, Tensor]:
    """Sequences ``[n, t, f]`` in float64, and classes."""
    return torch.randn(n, steps, F, dtype=torch.float64), torch.randint(C, (n,))


class Layer(nn.Module):
    """A recurrent layer of torch, and a head on its last output or on the mean of all."""

    def __init__(self, kind: str, pooled: bool = False, **options: object) -> None:
        super().__init__()
        options = {"batch_first": True, **options}
        self.pooled, self.first = pooled, options["batch_first"]
        self.rnn = getattr(nn, kind)(F, H, **options)
        width = int(options.get("proj_size", 0) or H) * (2 if options.get("bidirectional") else 1)
        self.head = nn.Linear(width, C)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.rnn(x if self.first else x.transpose(0, 1))[0]
        hidden = hidden if self.first else hidden.transpose(0, 1)
        return self.head(hidden.mean(1) if self.pooled else hidden[:, -1])


def stacked(model: Layer, kind: str, x: Tensor) -> tuple[Tensor, Kept]:
    """The output of ``Layer`` written step by step, and its products by the names of the signals."""
    weights, reads, kept = dict(model.rnn.named_parameters()), list(x.unbind(1)), Kept()
    for layer in range(model.rnn.num_layers):
        sides = []
        for reverse in [False, True][: 1 + model.rnn.bidirectional]:
            suffix = f"_l{layer}" + "_reverse" * reverse
            outputs, products = unrolled(weights, kind, reads[::-1] if reverse else reads, suffix)
            sides.append(outputs[::-1] if reverse else outputs)
            kept |= {f"rnn.{name}{suffix}": tensors for name, tensors in products.items()}
        reads = [torch.cat(parts, 1) for parts in zip(*sides, strict=True)]
    return model.head(torch.stack(reads).mean(0) if model.pooled else reads[-1]), kept


LAYERS = [
    ("RNN", {}),
    ("RNN", {"pooled": True}),
    ("GRU", {"bidirectional": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "pooled": True}),
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "batch_first": False}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True, "pooled": True}),
]


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_the_signals_of_recurrent_layers_are_the_gradients_of_all_steps(
    kind: str, options: dict[str, object]
) -> None:
    model, (x, y) = Layer(kind, **options), batch()
    recording = gl.capture(model, [(x, y)])

    def run(sample: int) -> tuple[Tensor, Kept]:
        logits, kept = stacked(model, kind, x[sample : sample + 1])
        return functional.cross_entropy(logits, y[sample : sample + 1]), kept

    wanted = gradients_by_step(run, N)
    signals = {signal.name: signal for signal in recording.signals}
    assert set(signals) == {*wanted, "head"}
    steps = Times()(recording).frame
    for name, gradient in wanted.items():
        skipped = (
            1 if ".hh" in name else 0
        )  # the first step multiplies zeros by the weight: no layer of the graph
        known = gradient[skipped:]
        actual = recording.grams[signals[name].number, 0]
        np.testing.assert_allclose(actual, gram_of_steps(known).numpy(), rtol=1e-9, atol=1e-18, err_msg=name)
        rows = steps[steps["signal"] == name]
        if len(rows):
            sizes = known.square().mean(2).sqrt().mean(1)
            np.testing.assert_allclose(rows["rms"], sizes.numpy(), rtol=1e-9, atol=1e-18, err_msg=name)
            assert list(rows["step"]) == list(range(1 + skipped, T + 1))


@pytest.mark.parametrize(("kind", "options"), [("RNN", {}), ("GRU", {"bidirectional": True}), ("LSTM", {})])
def test_what_a_recurrence_carries_starts_at_its_last_step(kind: str, options: dict[str, object]) -> None:
    """With a mean over the steps, each step has a gradient of its own; only that of the last step is followed back."""
    model, (x, y) = Layer(kind, pooled=True, **options), batch()
    steps = Times()(gl.capture(model, [(x, y)])).frame
    sides = [False, True][: 1 + bool(options)]
    for reverse in sides:
        suffix = "_l0" + "_reverse" * reverse

        def run(sample: int, suffix: str = suffix, reverse: bool = reverse) -> tuple[Tensor, Kept]:
            one, target = x[sample : sample + 1], y[sample : sample + 1]
            hidden = model.rnn(one)[0].detach().requires_grad_()
            (direct,) = torch.autograd.grad(
                functional.cross_entropy(model.head(hidden.mean(1)), target), hidden
            )
            reads = list(one.unbind(1))
            outputs, kept = unrolled(
                dict(model.rnn.named_parameters()), kind, reads[::-1] if reverse else reads, suffix
            )
            part = direct[:, 0 if reverse else -1, H * reverse : H * (1 + reverse)]
            return (outputs[-1] * part).sum(), {"hh": kept["hh"]}

        sizes = gradients_by_step(run, N)["hh"][1:].norm(dim=2).mean(1)
        rows = steps[steps["signal"] == f"rnn.hh{suffix}"]
        np.testing.assert_allclose(rows["carried"], (sizes / sizes[-1]).numpy(), rtol=1e-9)
        assert rows["relative"].iloc[0] != pytest.approx(rows["carried"].iloc[0], rel=0.5)


class Loop(nn.Module):
    """An ``RNNCell``, called once per step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(F, H), nn.Linear(H, C)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = None
        for step in x.unbind(1):
            hidden = self.cell(step, hidden)
        return self.head(hidden)

    def alone(self, x: Tensor) -> tuple[Tensor, Kept]:
        """The same, step by step, and its products by the names of the signals."""
        outputs, kept = unrolled(dict(self.cell.named_parameters()), "RNN", list(x.unbind(1)))
        return self.head(outputs[-1]), {"cell.ih": kept["ih"], "cell.hh": kept["hh"][1:]}


class TwoCells(nn.Module):
    """Two LSTM cells on top of each other, in one loop."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high, self.head = nn.LSTMCell(F, H), nn.LSTMCell(H, H), nn.Linear(H, C)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        low = high = None
        for step in x.unbind(1):
            low = self.low(step, low)
            high = self.high(low[0], high)
        return self.head(high[0])

    def alone(self, x: Tensor) -> tuple[Tensor, Kept]:
        """The same, step by step, and its products by the names of the signals."""
        outputs, low = unrolled(dict(self.low.named_parameters()), "LSTM", list(x.unbind(1)))
        outputs, high = unrolled(dict(self.high.named_parameters()), "LSTM", outputs)
        kept = {
            "low.ih": low["ih"],
            "low.hh": low["hh"][1:],
            "high.ih": high["ih"],
            "high.hh": high["hh"][1:],
        }
        return self.head(outputs[-1]), kept


class OwnCell(nn.Module):
    """A cell made of linear layers, an embedding of each input, and a head at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(F, F), nn.Linear(H, C)
        self.cell = nn.ModuleDict({"read": nn.Linear(F, H), "keep": nn.Linear(H, H)})
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.alone(x)[0]

    def alone(self, x: Tensor) -> tuple[Tensor, Kept]:
        """The same, and its products by the names of the signals."""
        kept: Kept = {"enter": [], "cell.read": [], "cell.keep": [], "head": []}
        hidden, total = x.new_zeros(len(x), H), 0
        for step in x.unbind(1):
            kept["enter"].append(self.enter(step))
            kept["cell.read"].append(self.cell["read"](torch.relu(kept["enter"][-1])))
            kept["cell.keep"].append(self.cell["keep"](hidden))
            hidden = torch.tanh(kept["cell.read"][-1] + kept["cell.keep"][-1])
            kept["head"].append(self.head(hidden))
            total = total + kept["head"][-1]
        for tensor in (tensor for tensors in kept.values() for tensor in tensors):
            if tensor.requires_grad:
                tensor.retain_grad()
        return total, kept


class Attending(nn.Module):
    """A decoder that attends to the states of an encoder, and reads its own last output."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.GRUCell(F, H), nn.GRUCell(C + H, H)
        self.query, self.out = nn.Linear(H, H), nn.Linear(H, C)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, self.encoder, self.decoder)

    def _run(self, x: Tensor, encoder: nn.Module, decoder: nn.Module, steps: int = 3) -> Tensor:
        hidden, states = x.new_zeros(len(x), H), []
        for step in x.unbind(1):
            hidden = encoder(step, hidden)
            states.append(hidden)
        memory, output, total = torch.stack(states, 1), x.new_zeros(len(x), C), 0
        for _ in range(steps):
            weights = torch.softmax((memory @ self.query(hidden).unsqueeze(2)).squeeze(2), 1)
            context = (weights.unsqueeze(2) * memory).sum(1)
            hidden = decoder(torch.cat([output, context], 1), hidden)
            output = self.out(hidden)
            total = total + output
        return total

    def alone(self, x: Tensor) -> tuple[Tensor, Kept]:
        """The same, step by step, and its products by the names of the signals."""
        kept: Kept = {}

        def cell(name: str) -> nn.Module:
            def run(read: Tensor, state: Tensor) -> Tensor:
                weights = dict(getattr(self, name).named_parameters())
                (output,), products = unrolled(weights, "GRU", [read], state=(state, state))
                for product in ("ih", "hh"):
                    kept.setdefault(f"{name}.{product}", []).extend(products[product])
                return output

            return run  # type: ignore[return-value]

        total = self._run(x, cell("encoder"), cell("decoder"))
        return total, kept


@pytest.mark.parametrize("network", [Loop, TwoCells, OwnCell, Attending])
def test_a_loop_over_steps_has_one_signal_per_layer(network: type[nn.Module]) -> None:
    model, (x, y) = network(), batch()
    recording = gl.capture(model, [(x, y)])

    def run(sample: int) -> tuple[Tensor, Kept]:
        logits, kept = model.alone(x[sample : sample + 1])
        return functional.cross_entropy(logits, y[sample : sample + 1]), kept

    wanted = gradients_by_step(run, N)
    signals = {signal.name: signal for signal in recording.signals}
    assert set(wanted) | {"head"} >= set(signals) - {"query", "out"}
    for name, gradient in wanted.items():
        assert len(signals[name].probe.steps) == len(gradient)
        actual = recording.grams[signals[name].number, 0]
        np.testing.assert_allclose(
            actual, gram_of_steps(gradient).numpy(), rtol=1e-9, atol=1e-18, err_msg=name
        )
        for step, number in enumerate(signals[name].probe.steps):
            one = gram_of_steps(gradient[step : step + 1]).numpy()
            np.testing.assert_allclose(recording.grams[number, 0], one, rtol=1e-9, atol=1e-18)


class Shared(nn.Module):
    """A backbone on two views, and a head on two sizes of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = (torch.relu(self.body(view)) for view in (x, x.flip(3)))
        maps = [left, functional.avg_pool2d(left * right, 2)]
        return sum(self.head(one).mean((2, 3)) for one in maps)


def test_a_layer_on_two_views_or_on_two_levels_has_no_steps() -> None:
    recording = gl.capture(Shared(), [(torch.randn(N, 1, 8, 8), torch.randint(C, (N,)))])
    assert [signal.name for signal in recording.signals] == ["body", "body@2", "head", "head@2"]
    assert Times()(recording) is None
    assert not recording.plan.exits


class Pairs(Loop):
    """One cell that reads two sequences, one after the other or in turns."""

    def __init__(self, in_turns: bool) -> None:
        super().__init__()
        self.in_turns = in_turns

    def forward(self, x: Tensor) -> Tensor:
        states: list[Tensor | None] = [None, None]
        order = [(k, t) for t in range(T) for k in (0, 1)]
        for k, t in order if self.in_turns else sorted(order):
            states[k] = self.cell(x[:, t] if k else x[:, T - 1 - t], states[k])
        return self.head(states[0] * states[1])


@pytest.mark.parametrize("in_turns", [False, True])
def test_a_cell_that_reads_two_sequences_has_two_signals(in_turns: bool) -> None:
    recording = gl.capture(Pairs(in_turns), [batch()])
    counts = {signal.name: len(signal.probe.nodes) for signal in recording.signals}
    assert counts == {"cell.ih": T, "cell.ih@2": T, "cell.hh": T - 1, "cell.hh@2": T - 1, "head": 1}


class Truncated(Loop):
    """Backpropagation through time that is cut after three steps."""

    def forward(self, x: Tensor) -> Tensor:
        hidden, total = None, 0
        for t, step in enumerate(x.unbind(1)):
            hidden = self.cell(step, hidden.detach() if t == 3 else hidden)
            total = total + self.head(hidden)
        return total


def test_a_detached_state_ends_a_recurrence() -> None:
    model, (x, y) = Truncated(), batch()
    recording = gl.capture(model, [(x, y)])
    counts = {signal.name: len(signal.probe.nodes) for signal in recording.signals}
    assert counts == {
        "cell.ih": 3,
        "cell.hh": 2,
        "head": 3,
        "cell.ih@2": T - 3,
        "cell.hh@2": T - 3,
        "head@2": T - 3,
    }

    def run(sample: int) -> tuple[Tensor, Kept]:
        weights, reads = dict(model.cell.named_parameters()), list(x[sample : sample + 1].unbind(1))
        early, first = unrolled(weights, "RNN", reads[:3])
        late, second = unrolled(weights, "RNN", reads[3:], state=(early[-1].detach(), early[-1].detach()))
        loss = functional.cross_entropy(sum(map(model.head, early + late)), y[sample : sample + 1])
        return loss, {"cell.ih": first["ih"], "cell.hh@2": second["hh"]}

    numbers = {signal.name: signal.number for signal in recording.signals}
    for name, gradient in gradients_by_step(run, N).items():
        np.testing.assert_allclose(
            recording.grams[numbers[name], 0], gram_of_steps(gradient).numpy(), rtol=1e-9
        )


def test_batches_of_other_lengths_are_refused_in_words() -> None:
    with pytest.raises(gl.GradlensError, match=r"7 steps.* 5 in batch 1.*one length"):
        gl.capture(Loop(), [batch(), batch(steps=5)])


@pytest.mark.parametrize("training", [True, False])
def test_the_fused_kernels_are_off_during_the_calls_only_and_change_values_by_rounding_only(
    training: bool,
) -> None:
    seen, values = list[bool](), list[Tensor]()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(F, H, 2, batch_first=True, dropout=0.5), nn.Linear(H, C)

        def forward(self, x: Tensor) -> Tensor:
            torch.manual_seed(7)
            hidden = self.rnn(x)[0]
            seen.append(torch._C._get_mkldnn_enabled())
            values.append(hidden.detach())
            return self.head(hidden[:, -1])

    model, (x, y) = Net().train(training), batch()
    x = x.float()
    model(x)
    recording = gl.capture(model, [(x, y)], mode="train" if training else "eval", costs=False)
    assert len(values) > 1
    assert all(seen)
    torch.testing.assert_close(values[-1], values[0], rtol=1e-5, atol=1e-6)
    assert "rnn: run step by step" in " ".join(recording.meta["notes"])


def test_the_switches_are_restored_after_an_exception() -> None:
    class Failing(nn.LSTM):
        def forward(self, *args: Tensor) -> Tensor:  # type: ignore[override]
            raise ValueError("no state")

    before = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    with pytest.raises(gl.GradlensError, match="no state"):
        gl.capture(nn.Sequential(Failing(F, H), nn.Linear(H, C)), [batch()])
    assert (torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()) == before


class Packed(nn.Module):
    """A packed sequence, and a head on the last state of each sample."""

    def __init__(self, kind: str, is_sorted: bool, **options: object) -> None:
        super().__init__()
        self.sorted = is_sorted
        self.rnn, self.head = getattr(nn, kind)(F, H, batch_first=True, **options), nn.Linear(H, C)
        self.double()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=self.sorted)
        state = self.rnn(packed)[1]
        return self.head((state[0] if isinstance(state, tuple) else state)[-1])


@pytest.mark.parametrize(
    "lengths", [[7, 6, 5, 5, 3, 2], [4, 4, 4, 2, 1, 1], [3, 6, 7, 5, 2, 5], [1, 4, 4, 2, 3, 4]]
)
@pytest.mark.parametrize(("kind", "layers"), [("RNN", 1), ("GRU", 2), ("LSTM", 1), ("LSTM", 2)])
def test_a_packed_sequence_has_the_steps_of_each_sample(kind: str, layers: int, lengths: list[int]) -> None:
    model, (x, y) = Packed(kind, lengths == sorted(lengths, reverse=True), num_layers=layers), batch()
    step = lambda network, parts: functional.cross_entropy(network(parts[0], parts[1]), parts[2])  # noqa: E731
    recording = gl.capture(model, [(x, torch.tensor(lengths), y)], step=step)

    def run(sample: int) -> tuple[Tensor, Kept]:
        reads, kept = list(x[sample : sample + 1, : lengths[sample]].unbind(1)), Kept()
        for layer in range(layers):
            reads, products = unrolled(dict(model.rnn.named_parameters()), kind, reads, f"_l{layer}")
            padding = [
                torch.zeros(1, products["hh"][0].shape[1]) for _ in range(max(lengths) - lengths[sample])
            ]
            kept |= {f"rnn.{name}_l{layer}": products[name] + padding for name in ("ih", "hh")}
        return functional.cross_entropy(model.head(reads[-1]), y[sample : sample + 1]), kept

    signals = {signal.name: signal for signal in recording.signals}
    steps = Times()(recording).frame
    for name, gradient in gradients_by_step(run, N).items():
        if layers > 1 and not model.sorted:  # the states of both layers are put in order at once
            assert not signals[name].sampled
            continue
        assert signals[name].sampled, name
        probe = signals[name].probe
        known = gradient[probe.first - 1 :] if ".hh" in name else gradient
        actual = recording.grams[signals[name].number, 0]
        np.testing.assert_allclose(actual, gram_of_steps(known).numpy(), rtol=1e-9, atol=1e-18, err_msg=name)
        if ".hh" in name:
            sizes = [step.square().mean(1).sqrt()[step.any(1)].mean().item() for step in known]
            np.testing.assert_allclose(steps[steps["signal"] == name]["rms"], sizes, rtol=1e-9, err_msg=name)


def test_a_weight_that_is_computed_anew_at_each_step_is_one_layer() -> None:
    model = Loop()
    nn.utils.parametrizations.weight_norm(model.cell, "weight_hh")
    counts = {signal.name: len(signal.probe.nodes) for signal in gl.capture(model, [batch()]).signals}
    assert counts == {"cell.ih": T, "cell.hh": T - 1, "head": 1}


def test_a_frozen_cell_has_steps() -> None:
    model = OwnCell()
    model.cell.requires_grad_(False)
    counts = {signal.name: len(signal.probe.nodes) for signal in gl.capture(model, [batch()]).signals}
    assert counts == {"enter": T, "cell.read": T, "cell.keep": T - 1, "head": T}


def test_half_the_features_of_a_signal_are_half_of_each_step() -> None:
    model, (x, y) = Loop(), batch()
    recording = gl.capture(model, [(x, y)], halves=True)

    def run(sample: int) -> tuple[Tensor, Kept]:
        logits, kept = model.alone(x[sample : sample + 1])
        return functional.cross_entropy(logits, y[sample : sample + 1]), kept

    wanted = gradients_by_step(run, N)
    for index, signal in enumerate(recording.signals):
        if signal.name in wanted:
            half = gram_of_steps(wanted[signal.name][:, :, ::2]).numpy()
            np.testing.assert_allclose(recording.halves[index, 0], half, rtol=1e-9, atol=1e-18)


def test_the_nodes_of_a_tree_are_no_steps() -> None:
    class Tree(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.leaf, self.join, self.head = nn.Linear(F, H), nn.Linear(2 * H, H), nn.Linear(H, C)
            self.double()

        def forward(self, x: Tensor) -> Tensor:
            nodes = [self.leaf(step) for step in x[:, :4].unbind(1)]
            while len(nodes) > 1:
                nodes = [
                    torch.tanh(self.join(torch.cat(nodes[i : i + 2], 1))) for i in range(0, len(nodes), 2)
                ]
            return self.head(nodes[0])

    names = [signal.name for signal in gl.capture(Tree(), [batch()]).signals]
    assert names == ["leaf", "leaf@2", "leaf@3", "leaf@4", "join", "join@2", "join@3", "head"]


def test_a_recording_with_steps_is_saved_and_merged() -> None:
    model = Layer("GRU", pooled=True, bidirectional=True)
    batches = [batch() for _ in range(3)]
    whole = gl.capture(model, batches)
    parts = [gl.capture(model, [one]) for one in batches]
    merged = parts[0].merge(*parts[1:])
    for step, energies in whole.carried.items():
        np.testing.assert_allclose(merged.carried[step], energies)


def test_a_saved_recording_has_the_same_steps(tmp_path: Path) -> None:
    recording = gl.capture(Layer("LSTM", pooled=True), [batch(), batch()])
    loaded = gl.Recording.load(recording.save(tmp_path / "steps.safetensors"))
    assert loaded.plan == recording.plan
    pd.testing.assert_frame_equal(Times()(loaded).frame, Times()(recording).frame)


@pytest.mark.parametrize(
    ("gain", "kind"), [(0.3, "vanishing along time"), (4.0, "exploding along time"), (1.0, "")]
)
@pytest.mark.parametrize("pooled", [False, True])
def test_a_recurrence_that_vanishes_or_explodes_is_diagnosed(gain: float, kind: str, pooled: bool) -> None:
    """The size of an orthogonal recurrence's gradient changes by its gain at each step, where tanh is linear."""

    class Linear(Loop):
        def forward(self, x: Tensor) -> Tensor:
            hidden, states = x.new_zeros(len(x), H), []
            for step in x.unbind(1):
                hidden = functional.linear(hidden, self.cell.weight_hh) + functional.linear(
                    step, self.cell.weight_ih
                )
                states.append(hidden)
            return self.head(torch.stack(states).mean(0) if pooled else hidden)

    model = Linear()
    nn.init.orthogonal_(model.cell.weight_hh, gain)
    recording = gl.capture(model, [batch()])
    rows = Diagnosis()(recording).frame
    rows = rows[rows["kind"].str.contains("along time")]
    assert list(rows["kind"]) == ([kind] if kind else [])
    clause, sentence = along_time(recording)
    if kind:
        first, last = 1, T
        steps = Times()(recording).frame
        carried = steps[(steps["step"] == first) & steps["carried"].notna()]["carried"]
        np.testing.assert_allclose(carried, gain ** (last - first), rtol=1e-6)
        verb = "vanishes" if gain < 1 else "explodes"
        assert f"{verb} along time: the gradient at step {first} is" in sentence
        assert f"that at step {last}." in sentence
        assert gl.analyze(recording).headline == f"Linear: {clause}."
        assert re.fullmatch(rf"the gradient of \w+ {verb} along time", clause)
    else:
        assert (clause, sentence) == ("", "")


def test_images_and_transformers_have_no_steps() -> None:
    layer = nn.TransformerEncoderLayer(F + 1, 2, 8, batch_first=True, dropout=0.0)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
            self.head = nn.Linear(F + 1, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x).mean(1))

    recording = gl.capture(Encoder(), [(torch.randn(N, T, F + 1), torch.randint(C, (N,)))])
    assert Times()(recording) is None
    assert not recording.plan.series
    assert not recording.carried


def test_the_gates_of_each_step_are_not_listed_as_idle_branches() -> None:
    """At its first step an LSTM has no state to forget, so its forget gate gets no gradient, by construction."""
    recording = gl.capture(Layer("LSTM"), [batch()])
    shares = ANALYZERS["shares"](recording).frame
    assert (shares["share"] < 1e-9).any()
    assert not set(Diagnosis()(recording).frame["kind"]) & {"idle branch", "cancelling fork"}
