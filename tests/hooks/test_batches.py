"""What the samples of a batch are, later batches of other shapes, and gradients that are not ordinary floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.hooks.cutting import first_samples
from gradlens.hooks.nesting import copied
from gradlens.hooks.samples import batch_size

N = 8


def labels() -> Tensor:
    return torch.randint(0, 5, (N,))


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.inner, self.last = nn.Embedding(50, 8), nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x)
        return self.last((h + torch.relu(self.inner(h))).mean(1))


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last((h + torch.relu(self.second(h))).mean((2, 3)))


def texts(*lengths: int) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randint(0, 50, (N, length)), labels()) for length in lengths]


def images(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(N, 3, size, size), labels()) for size in sizes]


@pytest.mark.parametrize("space", ["activations", "weights"])
@pytest.mark.parametrize(
    ("make", "batches"),
    [(Text, texts(6, 12)), (Text, texts(12, 6, 8)), (Image, images(16, 24)), (Image, images(24, 8, 16))],
    ids=["longer", "shorter", "larger images", "smaller images"],
)
def test_each_batch_of_another_shape_gives_the_grams_that_it_gives_alone(make, batches, space):
    torch.manual_seed(0)
    net = make().double()
    batches = [(x.double() if x.is_floating_point() else x, y) for x, y in batches]
    together = gl.capture(net, batches, space=space)
    for index, batch in enumerate(batches):
        alone = gl.capture(net, [batch], space=space)
        np.testing.assert_allclose(
            together.signal_grams[:, index], alone.signal_grams[:, 0], rtol=5e-8, atol=1e-14
        )
        assert together.loss_gram is not None
        np.testing.assert_allclose(together.loss_gram[index], alone.loss_gram[0], rtol=5e-8)


def test_a_recording_of_batches_of_several_shapes_is_analysed_and_saved(tmp_path):
    recording = gl.capture(Image(), images(16, 24, 16), sites="all")
    again = gl.Recording.load(recording.save(tmp_path / "r.safetensors"))
    assert gl.analyze(again).tables["duplication"].frame["duplication"].notna().any()


class Normed(nn.Module):
    """Batch normalisation, in front of features that are selected by the targets, as in the loss of a detector."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 5)
        self.words = nn.Embedding(5, 6, max_norm=1.0)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x))).mean((2, 3)) + self.words(index)
        return self.last(h[index.argsort()])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batches_that_move_their_rows_in_other_ways_are_captured_with_batch_norm(mode):
    """The plan of the second batch runs a few samples through the model, whose own graph still waits for backward."""
    torch.manual_seed(0)
    net = Normed().double()
    batches = [(torch.randn(N, 3, 8, 8).double(), labels()) for _ in range(3)]

    def step(model, batch):
        return functional.cross_entropy(model(batch[0], batch[1]), batch[1][batch[1].argsort()])

    before = {name: value.clone() for name, value in net.state_dict().items()}
    together = gl.capture(net, batches, step=step, mode=mode)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    for index, batch in enumerate(batches):
        alone = gl.capture(net, [batch], step=step, mode=mode)
        np.testing.assert_allclose(
            together.signal_grams[:, index], alone.signal_grams[:, 0], rtol=5e-8, atol=1e-14
        )


class Experts(nn.Module):
    """Sends each sample to one of two experts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 5)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def choice(self, x: Tensor) -> Tensor:
        return self.gate(self.first(x)).argmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        weight, out = self.gate(h).softmax(-1), torch.zeros_like(h)
        for number, expert in enumerate(self.experts):
            at = (weight.argmax(-1) == number).nonzero().squeeze(1)
            out = out.index_add(0, at, expert(h[at]) * weight[at, number, None])
        return self.last(out)


def test_the_samples_of_an_expert_are_those_that_were_sent_to_it():
    torch.manual_seed(0)
    net, pool = Experts(), torch.randn(400, 6)
    choice = net.choice(pool)
    all_to_one = pool[choice == 0][:N]
    mixed = torch.cat([pool[choice == 0][N : N + 3], pool[choice == 1][: N - 3]])[torch.randperm(N)]
    batches = [(all_to_one, labels()), (mixed, labels())]
    recording = gl.capture(net, batches)
    number = next(s.number for s in recording.signals if s.probe.module == "experts.0")
    outputs: list[Tensor] = []
    hook = net.experts[0].register_forward_hook(lambda m, a, out: (out.retain_grad(), outputs.append(out))[0])
    for index, (x, y) in enumerate(batches):
        outputs.clear()
        functional.cross_entropy(net(x), y).backward()
        at = (net.choice(x) == 0).nonzero().squeeze(1)
        gradient = torch.zeros(N, 8).index_copy(0, at, outputs[0].grad * N)
        np.testing.assert_allclose(recording.grams[number, index], (gradient @ gradient.T).numpy(), atol=1e-6)
    hook.remove()


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        ((torch.ones(12, 8, 3), torch.ones(8)), 8),
        (
            (
                tuple(torch.ones(3, 9, 9) for _ in range(8)),
                tuple({"boxes": torch.ones(k + 1, 4)} for k in range(8)),
            ),
            8,
        ),
        ((tuple(torch.ones(8, 9, 9) for _ in range(8)), [torch.ones(4) for _ in range(8)]), 8),
        ([{"ids": torch.ones(8, 6), "mask": torch.ones(8, 6)} for _ in range(3)], 8),
        ([{"ids": torch.ones(8, 6), "mask": torch.ones(8, 6)} for _ in range(5)], 8),
        ([(torch.ones(3, 9, 9), torch.tensor(1)) for _ in range(6)], 6),
        ([{"image": torch.ones(3, 9, 9), "label": 2} for _ in range(6)], 6),
        ({"x": torch.ones(5, 2), "scale": torch.tensor(2.0), "name": "text"}, 5),
        ("text", 0),
    ],
    ids=[
        "time first",
        "detection",
        "images of 8 bands",
        "triplet",
        "negatives",
        "pairs",
        "records",
        "dict",
        "text",
    ],
)
def test_the_number_of_samples_is_read_from_the_whole_batch(batch, size):
    assert batch_size(batch) == size
    if size > 4:
        few = first_samples(batch, 4, size)
        assert few is not None
        assert batch_size(few) == 4


@pytest.mark.parametrize(
    "batch",
    [
        {"x": torch.ones(6, 4), "mask": torch.ones(3, 5)},
        (torch.ones(12, 8, 3), torch.ones(8, 12)),
    ],
    ids=["no common length", "two common lengths"],
)
def test_lengths_that_disagree_ask_for_the_number_of_samples(batch):
    with pytest.raises(GradlensError, match=r"number of samples .* shapes .*samples=N"):
        batch_size(batch)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))


def over_time(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output.flatten(0, 1), target.flatten())


@pytest.mark.parametrize("time", [5, 8, 12])
def test_the_axis_of_the_passed_number_of_samples_is_cut(time):
    """With as many steps as samples the second axis counts: samples along the first need no ``samples``."""
    torch.manual_seed(0)
    net, x, y = Tagger(), torch.randn(time, N, 3), torch.randint(0, 5, (time, N))
    recording = gl.capture(net, [(x, y)], loss=over_time, samples=N)
    hidden = net.first(x)
    hidden.retain_grad()
    over_time(net.last(torch.relu(hidden)), y).backward()
    gradient = (hidden.grad * N).transpose(0, 1).reshape(N, -1)
    np.testing.assert_allclose(
        recording.signal_grams[0, 0], (gradient @ gradient.T).numpy(), rtol=1e-4, atol=1e-9
    )


class Spectral(nn.Module):
    """Mixes frequencies with complex weights, as a Fourier neural operator does."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.lift, self.last = nn.Conv1d(1, 6, 1), nn.Linear(96, 5)
        self.weight = nn.Parameter(torch.randn(6, 6, 4, dtype=dtype) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 6, 9, dtype=self.weight.dtype)
        h = self.lift(x)
        self.mixed = torch.einsum("bix,iox->box", torch.fft.rfft(h)[..., :4], self.weight)
        out[..., :4] = self.mixed
        return self.last(torch.relu(torch.fft.irfft(out, n=16) + h).flatten(1))


@pytest.mark.parametrize("dtype", [torch.cfloat, torch.cdouble], ids=str)
def test_complex_gradients_have_the_real_part_of_their_hermitian_gram(dtype):
    torch.manual_seed(0)
    net = Spectral(dtype)
    x, y = torch.randn(N, 1, 16), labels()
    if dtype is torch.cdouble:
        net, x = net.double(), x.double()
        net.weight.data = net.weight.data.to(dtype)
    recording = gl.capture(net, [(x, y)], sites="all")
    output = net(x)
    net.mixed.retain_grad()
    functional.cross_entropy(output, y).backward()
    gradient = (net.mixed.grad * N).reshape(N, -1)
    expected = (gradient @ gradient.conj().T).real.numpy()
    found = [grams[0] for grams in recording.grams if np.allclose(grams[0], expected, rtol=1e-4)]
    assert found
    assert gl.analyze(recording).tables["exactness"].frame["error"].fillna(0).max() < 1e-6


def test_a_callers_autocast_does_not_round_the_grams():
    torch.manual_seed(0)
    net, batch = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 5)), (torch.randn(N, 6), labels())

    def inside(model: nn.Module, batch: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return functional.cross_entropy(model(batch[0]), batch[1])

    expected = gl.capture(net, [batch], step=inside)
    with torch.autocast("cpu", torch.bfloat16):
        recording = gl.capture(net, [batch])
    np.testing.assert_allclose(recording.signal_grams, expected.signal_grams, rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided], ids=["jagged", "strided"])
def test_nested_tensors_are_refused_in_one_sentence(layout):
    parts = [torch.randn(length, 6) for length in (2, 3, 4, 5, 2, 3, 4, 5)]

    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.stack([t.mean(0) for t in torch.relu(self.first(x)).unbind()]))

    with pytest.raises(GradlensError, match=r"nested tensor .* pad the samples"):
        gl.capture(Nested(), [(torch.nested.nested_tensor(parts, layout=layout), labels())])


def test_a_copy_of_a_batch_shares_no_tensor_and_keeps_kinds():
    x = torch.ones(3, requires_grad=True)
    weight = nn.Parameter(torch.ones(2))
    copy = copied({"x": [x, (x, "name")], "weight": weight, "none": None})
    assert copy["x"][0] is not x
    assert copy["x"][0].requires_grad
    assert copy["x"][0].is_leaf
    assert copy["x"][1][1] == "name"
    assert copy["weight"] is weight


@pytest.mark.parametrize("said", [None, 8])
@pytest.mark.parametrize("first", [True, False], ids=["samples first", "time first"])
def test_as_many_steps_as_samples_are_told_apart_by_the_targets(said, first):
    """``x [8, 8, 3]`` may have samples on either axis, and ``y [8]`` fits the output of one reading only."""

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.first(x)).mean(1 if first else 0))

    torch.manual_seed(1)
    net, x, y = Mean(), torch.randn(8, 8, 3), torch.randint(0, 5, (8,))
    recording = gl.capture(net, [(x, y)], samples=said)
    hidden = net.first(x)
    hidden.retain_grad()
    torch.nn.functional.cross_entropy(net.last(torch.relu(hidden).mean(1 if first else 0)), y).backward()
    gradient = (hidden.grad if first else hidden.grad.transpose(0, 1)).reshape(8, -1).double() * 8
    expected = (gradient @ gradient.T).numpy()
    np.testing.assert_allclose(recording.signal_grams[0, 0], expected, rtol=1e-4, atol=1e-9)


VIEWS = {
    "concatenated": (lambda x: torch.cat([x[:, 0], x[:, 1], x[:, 2]]), False),
    "concatenated and normalised": (lambda x: (torch.cat([x[:, 0], x[:, 1], x[:, 2]]) - 0.5) / 0.2, False),
    "stacked in front": (lambda x: torch.stack([x[:, 0], x[:, 1], x[:, 2]]).flatten(0, 1), False),
    "stacked behind": (lambda x: torch.stack([x[:, 0], x[:, 1], x[:, 2]], 1).flatten(0, 1), True),
    "flattened": (lambda x: x.flatten(0, 1), True),
    "mirrored": (lambda x: torch.cat([x[:, 0].flip(-1), x[:, 1], x[:, 2]]), False),
    "transposed": (lambda x: x.transpose(0, 1).reshape(-1, 3, 6, 6), None),
}


@pytest.mark.parametrize("name", VIEWS)
def test_several_views_of_each_image_belong_to_its_sample(name):
    """Views are joined before the network reads them, and only their similarities reach the loss."""
    join, within = VIEWS[name]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    x = torch.randn(8, 3, 3, 6, 6)

    def step(model: nn.Module, batch: Any) -> Tensor:
        z = functional.normalize(model(join(batch["x"])), dim=1)
        return functional.cross_entropy(z @ z.T, torch.arange(len(z)).flip(0))

    recording = gl.capture(net, [{"x": x}], step=step)
    first = recording.signals[0]
    seen: list[Tensor] = []
    hook = net[0].register_forward_hook(lambda module, read, out: (out.retain_grad(), seen.append(out))[0])
    step(net, {"x": x}).backward()
    hook.remove()
    gradient = seen[0].grad * 8
    if within is None:  # a transposition outside the graph: the samples of the rows are not known
        assert not first.sampled
        return
    ordered = gradient if within else gradient.reshape(3, 8, -1).transpose(0, 1)
    expected = ordered.reshape(8, -1).double() @ ordered.reshape(8, -1).double().T
    np.testing.assert_allclose(recording.grams[first.number, 0], expected.numpy(), rtol=1e-4, atol=1e-9)


def test_recordings_with_other_routes_can_be_merged():
    """Seeds of a study: each expert gets other samples, so the rows of its gradients differ."""
    torch.manual_seed(0)
    net, pool = Experts(), torch.randn(400, 6)
    sent = [pool[net.choice(pool) == number] for number in range(2)]
    batches = [(torch.cat([sent[0][:k], sent[1][: N - k]]), labels()) for k in (2, 5)]
    first, second = (gl.capture(net, [batch], seed=seed) for seed, batch in enumerate(batches))
    assert first.plan.probes != second.plan.probes
    merged = first.merge(second)
    assert merged.seeds == (0, 1)
    np.testing.assert_array_equal(merged.grams[:, 1], second.grams[:, 0])
    other = gl.capture(nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 5)), [batches[0]], seed=1)
    with pytest.raises(GradlensError, match="different graphs cannot be merged"):
        first.merge(other)


def test_a_complex_convolution_is_said_to_count_as_three_signals():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, dtype=torch.complex64), nn.Flatten(), nn.Linear(144, 5, dtype=torch.complex64)
    )
    x = torch.randn(N, 3, 8, 8, dtype=torch.complex64)
    recording = gl.capture(
        net, [(x, labels())], loss=lambda output, y: functional.cross_entropy(output.abs(), y)
    )
    assert [signal.probe.module for signal in recording.signals] == ["0", "0", "0", "2"]
    assert "as three real ones, so each counts as three signals: 0" in " ".join(recording.provenance.notes)
    plain = gl.capture(nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten()), [(x.real.contiguous(), labels())])
    assert not plain.provenance.notes
