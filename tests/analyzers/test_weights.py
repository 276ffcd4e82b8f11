"""Weight space in tables: noise, reuse and readers of a small dense network, against per-sample gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.graph.plan import Slice
from gradlens.metrics import cka, hsic_matrix, noise, noise_scale

N = 8


class Dense(nn.Module):
    """Two dense layers after a stem, all read by a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a, self.b = nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.head = nn.Linear(9, 5)

    def forward(self, x):
        first = self.stem(x).tanh()
        second = self.a(first).tanh()
        third = self.b(torch.cat([first, second], 1)).tanh()
        return self.head(torch.cat([first, second, third], 1).mean((2, 3)))


@pytest.fixture(scope="module")
def measured():
    """A recording in weight space and the per-sample gradients ``[s, n, …]`` by parameter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Dense().double()
        batches = [(torch.randn(N, 3, 6, 6).double(), torch.randint(0, 5, (N,))) for _ in range(2)]
    recording = gl.capture(model, batches, space="weights", costs=False)
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def sample_loss(values, x, y):
        return functional.cross_entropy(functional_call(model, values, (x[None],)), y[None])

    by_batch = [vmap(grad(sample_loss), in_dims=(None, 0, 0))(parameters, x, y) for x, y in batches]
    return recording, {name: torch.stack([gradients[name] for gradients in by_batch]) for name in parameters}


def test_noise_is_measured_over_all_weights(measured):
    recording, rows = measured
    flat = torch.cat([value.flatten(2) for name, value in rows.items() if name.endswith("weight")], 2).numpy()
    terms = [noise(matrix @ matrix.T) for matrix in flat]
    frame = ANALYZERS["noise"](recording).frame.set_index("stage")
    assert frame.loc["whole", "weights"] == 4
    assert frame.loc["whole", "variance"] == pytest.approx(
        np.mean([term.variance for term in terms]), rel=1e-6
    )
    expected = noise_scale(terms)
    if np.isfinite(expected):
        assert frame.loc["whole", "noise_scale"] == pytest.approx(expected, rel=1e-6)
    else:
        assert "cannot be distinguished from 0" in frame.loc["whole", "reason"]


def test_the_noise_scale_is_no_mean_of_the_seeds_that_happen_to_have_one(hand, draw, seeds):
    """In one of three seeds the samples agree. In the others ``|G|²`` is below 0: a mean over one is too small."""
    build = hand(seeds(3), space="weights")
    gradients = draw(0, 3)
    gradients -= gradients.mean(axis=1, keepdims=True)
    gradients[1] += 10
    build.gradient(gradients)
    recording = build.recording()
    alone = ANALYZERS["noise"](recording.of_seed(1)).frame.set_index("stage").loc["whole"]
    assert alone["noise_scale"] > 0
    row = ANALYZERS["noise"](recording).frame.set_index("stage").loc["whole"]
    assert np.isnan(row[["noise_scale", "noise_scale_low", "signal_to_noise"]].astype(float)).all()
    assert "cannot be distinguished from 0" in row["reason"]
    assert row["variance"] > 0


def test_reuse_is_the_rms_of_the_columns(measured):
    recording, rows = measured
    frame = ANALYZERS["reuse"](recording).frame.set_index(["layer", "source"])
    assert list(frame.index) == [
        ("a", "stem"), ("b", "stem"), ("b", "a"), ("head", "stem"), ("head", "a"), ("head", "b")
    ]  # fmt: skip
    assert frame.loc[("a", "stem"), "share"] == pytest.approx(1.0)
    b = rows["b.weight"]
    first, second = (
        float(part.square().mean((1, 2, 3, 4, 5)).sqrt().mean()) for part in (b[:, :, :, :4], b[:, :, :, 4:])
    )
    assert frame.loc[("b", "stem"), "rms"] == pytest.approx(first, rel=1e-6)
    assert frame.loc[("b", "a"), "rms"] == pytest.approx(second, rel=1e-6)
    assert frame.loc["b", "share"].sum() == pytest.approx(1.0, rel=1e-6)
    assert frame.loc["head", "share"].sum() == pytest.approx(1.0, rel=1e-6)
    assert frame.loc[("head", "b"), ["first_input", "inputs"]].tolist() == [6, 3]


def test_readers_of_a_source_are_compared_by_its_columns(measured):
    recording, rows = measured
    frame = ANALYZERS["readers"](recording).frame.set_index(["source", "version"])
    assert frame.loc[("stem", "energy"), "readers"] == 3  # layer a reads nothing else
    parts = [
        rows["a.weight"].flatten(2),
        rows["b.weight"][:, :, :, :4].flatten(2),
        rows["head.weight"][:, :, :, :4].flatten(2),
    ]
    grams = np.stack([(part @ part.transpose(1, 2)).numpy() for part in parts])
    pairs = cka(hsic_matrix(grams))[np.triu_indices(3, k=1)]
    assert frame.loc[("stem", "energy"), "mean_similarity"] == pytest.approx(pairs.mean(), rel=1e-6)
    halves = np.stack([1 + pairs, 1 - pairs]) / 2
    numbers = np.exp(-(halves * np.log(halves)).sum(0))  # of each pair of readers
    assert frame.loc[("stem", "energy"), "rarefied_duplication"] == pytest.approx(
        2 - numbers.mean(), rel=1e-6
    )
    assert ("b", "energy") not in frame.index


@pytest.fixture
def readers(hand, draw):
    """Seven readers of one source; the last receives a gradient in only one batch or one seed."""

    def make(replicates, alive):
        build = hand(replicates, space="weights")
        build.loss = build.gradient(draw(99, len(replicates)), signal=False)
        for number in range(6):
            build.gradient(draw(number, len(replicates)), f"layer{number}")
        build.gradient(draw(6, len(replicates)) * np.reshape(alive, (-1, 1, 1)), "layer6")
        recording = build.recording()
        slices = tuple(Slice(number, number, "stem", 0, 0, 4) for number in recording.plan.signals)
        return replace(recording, plan=replace(recording.plan, slices=slices))

    return make


def test_used_readers_are_counted_over_all_batches(readers):
    """Without the last batch, as in the jackknife, the last reader is dead."""
    recording = readers([(0, batch) for batch in range(4)], [0, 0, 0, 1])
    frame = ANALYZERS["readers"](recording).frame
    assert frame["used"].tolist() == [7, 7, 7, 7]


def test_each_version_counts_the_readers_it_uses(readers):
    """Given the loss, a reader whose gradient is the loss signal has no similarity."""
    recording = readers([(0, 0), (0, 1)], [1, 1])
    recording.grams[1] = 4 * recording.grams[0]
    frame = ANALYZERS["readers"](recording).frame.set_index("version")
    assert frame["used"].to_dict() == {
        "energy": 7,
        "direction": 7,
        "energy given loss": 6,
        "direction given loss": 6,
    }


@pytest.mark.parametrize("alive", [[0, 1], [1, 0]])
def test_of_several_seeds_the_fewest_readers_are_counted(readers, alive):
    frame = ANALYZERS["readers"](readers([(0, 0), (1, 0)], alive)).frame
    assert frame["used"].tolist() == [6, 6, 6, 6]


def test_similarity_in_weight_space_is_the_cka_of_the_weight_grams(measured):
    recording, rows = measured
    grams = np.stack(
        [
            (value.flatten(2) @ value.flatten(2).transpose(1, 2)).numpy()
            for name, value in rows.items()
            if name.endswith("weight")
        ]
    )
    expected = cka(hsic_matrix(grams))
    frame = ANALYZERS["correlation"](recording).frame
    upper = np.triu_indices(4, k=1)
    assert np.allclose(frame["energy"], expected[upper], rtol=1e-6)


def test_outside_weight_space_these_tables_are_missing():
    recording = gl.capture(Dense(), [(torch.randn(N, 3, 6, 6), torch.randint(0, 5, (N,)))], costs=False)
    assert all(ANALYZERS[name](recording) is None for name in ("noise", "reuse", "readers"))
