"""The main tables of two small networks, from the definitions alone: plain autograd, loops over samples and pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from oracles import tables
from torch import nn
from torch.nn import functional

import gradlens as gl
from gradlens.studies.analysis import analyze_pair

N, SEEDS, BATCHES = 8, 3, 2
CLOSE = {"rel": 1e-8, "abs": 1e-12}
VERSIONS = {
    "energy": (False, False),
    "direction": (True, False),
    "energy given loss": (False, True),
    "direction given loss": (True, True),
}


class Net(nn.Module):
    """BatchNorm over the batch, a pooling, a residual branch; with ``dense`` a split and a dense concatenation.

    ``kept`` collects tensors by name; each reader of a fork has its own view, whose gradient is its contribution.
    """

    def __init__(self, dense):
        super().__init__()
        self.kept, self.dense = None, dense
        self.layers = {"stem": "2"} | ({"a": "2", "b": "2"} if dense else {})
        self.layers |= {"down": "4", "c": "4", "d": "4", "head": "head"}
        self.stem, self.norm = nn.Conv2d(1, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        if dense:
            self.a, self.b = nn.Conv2d(3, 3, 3, 1, 1), nn.Conv2d(6, 3, 1)
        self.down = nn.Conv2d(6, 5, 3, 1, 1)
        self.c, self.d = nn.Conv2d(5, 5, 3, 1, 1), nn.Conv2d(5, 5, 1)
        self.head = nn.Linear(5, 4)

    def keep(self, name, tensor):
        if self.kept is not None:
            tensor.retain_grad()
            self.kept[name] = tensor
        return tensor

    def contribution(self, name, tensor):
        return tensor if self.kept is None else self.keep(name, tensor.view_as(tensor))

    def forward(self, x):
        x = self.norm(self.keep("stem", self.stem(x.double()))).relu()
        if self.dense:
            bypass, dense = (
                self.keep(name, part) for name, part in zip(("bypass", "dense"), x.chunk(2, 1), strict=True)
            )
            grown = torch.cat([dense, self.keep("a", self.a(dense)).tanh()], 1)
            x = torch.cat([bypass, self.keep("b", self.b(grown)).tanh()], 1)
        x = self.keep("down", self.down(functional.avg_pool2d(x, 2)))
        inner = self.keep("c", self.c(self.contribution("residual", x))).tanh()
        x = self.contribution("skip", x) + self.keep("d", self.d(inner))
        return self.keep("head", self.head(x.tanh().mean((2, 3))))


class Measured:
    """A recording of a network, and its gradients ``[seed][batch][name]`` of the summed loss by plain autograd."""

    def __init__(self, dense):
        self.gradients, recordings = [], []
        for seed in range(SEEDS):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model = Net(dense).double()
                batches = [(torch.randn(N, 1, 12, 12), torch.randint(0, 4, (N,))) for _ in range(BATCHES)]
            meta = {"network": f"dense {dense}"}
            recordings.append(gl.capture(model, batches, seed=seed, costs=False, meta=meta))
            self.layers = model.layers
            self.gradients.append([_backward(model, *batch) for batch in batches])
        self.recording = recordings[0].merge(*recordings[1:])

    def grams(self, seed, name):
        rows = [batch[name].reshape(N, -1) for batch in self.gradients[seed]]
        return [[[float(np.sum(a * b)) for b in batch] for a in batch] for batch in rows]

    def similarity(self, seed, version):
        direction, given_loss = VERSIONS[version]
        loss = self.grams(seed, "head") if given_loss else None
        return tables.similarity([self.grams(seed, name) for name in self.layers], loss, direction)

    def of_stage(self, seed, version, stage):
        matrix = self.similarity(seed, version)
        used = [
            i
            for i, at in enumerate(self.layers.values())
            if stage in (at, "whole") and not np.isnan(matrix[i, i])
        ]
        return matrix[np.ix_(used, used)]


def _backward(model, inputs, labels):
    model.kept = {}
    (N * functional.cross_entropy(model(inputs), labels)).backward()
    gradients = {name: tensor.grad.numpy() for name, tensor in model.kept.items()}
    model.kept = None
    return gradients


@pytest.fixture(scope="module")
def net():
    return Measured(dense=True)


@pytest.fixture(scope="module")
def plain():
    return Measured(dense=False)


@pytest.fixture(scope="module")
def result(net):
    return gl.analyze(net.recording)


@pytest.mark.parametrize("version", VERSIONS)
def test_duplication_and_correlation(net, result, version):
    frame = result["duplication"].frame.set_index(["stage", "version", "seed"])
    for stage in ("2", "4", "whole"):
        matrices = [net.of_stage(seed, version, stage) for seed in range(SEEDS)]
        similarities = [tables.mean_similarity(matrix) for matrix in matrices]
        for seed, matrix in enumerate(matrices):
            row = frame.loc[(stage, version, seed)]
            assert row["m"] == row["used"] == len(matrix)
            assert row["n_eff"] == pytest.approx(tables.distinct(matrix), **CLOSE)
            assert row["rarefied_duplication"] == pytest.approx(
                tables.duplication(matrix, len(matrix)), **CLOSE
            )
            assert row["mean_similarity"] == pytest.approx(similarities[seed], **CLOSE)
            assert row["mean_similarity_reach"] == pytest.approx(tables.half_width(similarities), **CLOSE)
    pairs = result["correlation"].frame.set_index(["signal_a", "signal_b"])[version.replace(" ", "_")]
    for (i, a), (j, b) in combinations(enumerate(net.layers), 2):
        expected = np.mean([net.similarity(seed, version)[i, j] for seed in range(SEEDS)])
        assert pairs[a, b] == pytest.approx(expected, nan_ok=True, **CLOSE)


@pytest.mark.parametrize(("where", "branches", "total"), [
    ("split", {"bypass": "bypass", "dense": "dense"}, None),
    ("fork", {"skip": "skip", "residual": "residual"}, "down"),
])  # fmt: skip
def test_shares_and_branches(net, result, where, branches, total):
    def energy(seed, name):
        return sum(float(np.sum(batch[name] ** 2)) for batch in net.gradients[seed])

    frame = result["shares"].frame
    kind = "residual" if where == "fork" else "parallel"
    rows = frame[(frame["where"] == where) & (frame["kind"] == kind)].set_index("branch")
    sums = [sum(energy(seed, name) for name in branches.values()) for seed in range(SEEDS)]
    for label, name in branches.items():
        shares = [energy(seed, name) / sums[seed] for seed in range(SEEDS)]
        assert rows.loc[label, "share"] == pytest.approx(np.mean(shares), **CLOSE)
        assert rows.loc[label, "share_reach"] == pytest.approx(tables.half_width(shares), **CLOSE)
    pairs = result["branches"].frame
    pair = pairs[(pairs["where"] == where) & (pairs["kind"] == kind)].iloc[0]
    ckas = [
        tables.similarity([net.grams(seed, name) for name in branches.values()])[0, 1]
        for seed in range(SEEDS)
    ]
    assert pair["energy"] == pytest.approx(np.mean(ckas), **CLOSE)
    if total is not None:
        coherence = [energy(seed, total) / sums[seed] for seed in range(SEEDS)]
        assert rows["coherence"].iloc[0] == pytest.approx(np.mean(coherence), **CLOSE)


def test_comparison(net, plain):
    """D_m over five layers of both, and paired differences over seeds."""
    row = analyze_pair(net.recording, plain.recording)["comparison"].frame.set_index("stage").loc["whole"]
    m = min(len(net.layers), len(plain.layers))
    columns = {
        "rarefied_duplication": lambda s: tables.duplication(s, m),
        "mean_similarity": tables.mean_similarity,
    }
    assert row["m"] == m
    for column, number in columns.items():
        values = [
            [number(of.of_stage(seed, "energy", "whole")) for seed in range(SEEDS)] for of in (net, plain)
        ]
        differences = np.subtract(values[1], values[0])
        mean, width = differences.mean(), tables.half_width(differences)
        assert row[f"{column}_a"] == pytest.approx(np.mean(values[0]), **CLOSE)
        assert row[f"{column}_difference"] == pytest.approx(mean, **CLOSE)
        assert [row[f"{column}_low"], row[f"{column}_high"]] == pytest.approx(
            [mean - width, mean + width], **CLOSE
        )
