"""Grams and inner products of one batch, against the gradients themselves."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.grams.roles import roles
from gradlens.graph.plan import Group
from gradlens.graph.probes import EdgeProbe


class Net(nn.Module):
    """A fork whose branches can be cloned: the oracle reads each clone's gradient."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.c = nn.Conv2d(4, 4, 5, padding=2)
        self.head = nn.LazyLinear(5)
        self.program = program
        self.clones: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        v = torch.tanh(self.stem(x))
        return self.head(self.program(self, *[self.branch(v) for _ in range(3)]).mean((2, 3)))

    def branch(self, v: Tensor) -> Tensor:
        if self.clones is None:
            return v
        self.clones.append(v.clone())
        return self.clones[-1]


PROGRAMS = {
    "residual": lambda self, u, v, w: u + self.a(v),
    "gate": lambda self, u, v, w: u * torch.sigmoid(self.b(v.mean((2, 3), keepdim=True))),
    "three": lambda self, u, v, w: torch.cat([self.a(u), self.b(v), self.c(w)], 1),
    "thrice in one cat": lambda self, u, v, w: torch.cat([u, self.a(v).tanh(), w], 1),
    "square": lambda self, u, v, w: u * v,
    "scaled by the addition": lambda self, u, v, w: torch.add(self.a(u).tanh(), v, alpha=3),
    "subtracted": lambda self, u, v, w: self.a(u).tanh() - v,
    "broadcast addition": lambda self, u, v, w: u + v.mean((2, 3), keepdim=True),
    "identity thrice": lambda self, u, v, w: (u + self.a(v)).tanh() + w,
}


def build(program: str, dtype: torch.dtype = torch.float64) -> tuple[Net, Tensor, Tensor]:
    torch.manual_seed(1)
    model = Net(PROGRAMS[program]).to(dtype)
    x, y = torch.randn(6, 3, 8, 8, dtype=dtype), torch.arange(6) % 5
    model(x)
    return model, x, y


def truth(model: Net, x: Tensor, y: Tensor, oracle: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gram of each branch's gradient of the summed loss, and their per-sample inner products."""
    model.clones = []
    loss = functional.cross_entropy(model(x), y, reduction="sum")
    gradients = torch.autograd.grad(loss, model.clones, allow_unused=True)
    model.clones = None
    flat = torch.stack([g.flatten(1) for g in gradients if g is not None])
    return np.stack([oracle.gram(g) for g in flat]), torch.einsum("and,bnd->abn", flat, flat).numpy()


def the_fork(recording: gl.Recording) -> tuple[int, Group]:
    matches = [(i, g) for i, g in enumerate(recording.plan.groups) if g.site == "(model):tanh"]
    assert len(matches) == 1
    return matches[0]


def sorted_by_energy(grams: np.ndarray) -> np.ndarray:
    return grams[np.argsort(np.trace(grams, axis1=1, axis2=2))]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_contribution_at_a_fork_is_the_gradient_of_its_own_copy(
    program: str, oracle: ModuleType
) -> None:
    model, x, y = build(program)
    expected, _ = truth(model, x, y, oracle)
    recording = gl.capture(model, [(x, y)], costs=False)
    _, fork = the_fork(recording)
    grams = recording.member_grams(fork)[:, 0]
    assert len(grams) == len(expected)
    np.testing.assert_allclose(sorted_by_energy(grams), sorted_by_energy(expected), rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_total_at_a_fork_is_the_gradient_of_the_forked_tensor(program: str) -> None:
    model, x, y = build(program)
    recording = gl.capture(model, [(x, y)], costs=False)
    _, fork = the_fork(recording)
    kept: list[Tensor] = []
    model.branch = lambda v: kept.append(v) or v  # type: ignore[method-assign,func-returns-value]
    loss = functional.cross_entropy(model(x), y, reduction="sum")
    gradient = torch.autograd.grad(loss, kept[0])[0].flatten(1)
    assert fork.total is not None
    np.testing.assert_allclose(recording.grams[fork.total, 0], gradient @ gradient.T, rtol=1e-9, atol=1e-18)


def ordered_truth(recorded: np.ndarray, grams: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return the oracle's inner products with its branches in the recording's order, matched by Gram."""
    order = [int(np.argmin([np.abs(g - gram).sum() for g in grams])) for gram in recorded]
    return inner[np.ix_(order, order)]


@pytest.mark.parametrize("program", ["three", "thrice in one cat", "identity thrice"])
def test_exact_pairs_are_the_inner_products_of_the_contributions(program: str, oracle: ModuleType) -> None:
    model, x, y = build(program)
    grams, inner = truth(model, x, y, oracle)
    recording = gl.capture(model, [(x, y)], pairs="exact", costs=False)
    index, fork = the_fork(recording)
    expected = ordered_truth(recording.member_grams(fork)[:, 0], grams, inner)
    np.testing.assert_allclose(recording.inner[index][0], expected, rtol=1e-9, atol=1e-18)


def test_a_sketch_of_few_features_is_the_same_as_exact_pairs() -> None:
    model, x, y = build("three")  # 4 * 8 * 8 = 256 features: kept whole
    sketch, exact = (gl.capture(model, [(x, y)], pairs=pairs, costs=False) for pairs in ("sketch", "exact"))
    index, _ = the_fork(sketch)
    np.testing.assert_allclose(sketch.inner[index], exact.inner[index], rtol=1e-9, atol=1e-18)


def test_sketched_pairs_are_within_the_stated_error_of_exact_ones() -> None:
    model, _, y = build("three", torch.float32)
    x = torch.randn(6, 3, 24, 24)
    sketch, exact = (gl.capture(model, [(x, y)], pairs=pairs, costs=False) for pairs in ("sketch", "exact"))
    index, _ = the_fork(sketch)
    sketched, truth = sketch.inner[index][0], exact.inner[index][0]
    norms = np.sqrt(np.einsum("aan->an", truth))
    error = (sketched - truth) / (norms[:, None] * norms[None])
    off = ~np.eye(3, dtype=bool)
    assert 0 < np.abs(error[off]).max() < 4 * (2 / 256) ** 0.5
    np.testing.assert_allclose(np.einsum("aan->an", sketched), norms**2, rtol=1e-6)  # norms are exact


def test_an_addition_passes_one_buffer_to_both_and_is_read_once() -> None:
    model, x, y = build("identity thrice")
    recording = gl.capture(model, [(x, y)], sites="all", costs=False)
    taps = [(type(probe), probe.tap) for probe in recording.plan.probes]
    assert len(set(taps)) == len(taps)
    graph = recording.plan.graph
    adds = {i for i, node in enumerate(graph.nodes) if node.operation == "Add"}
    assert adds
    assert not [
        probe for probe in recording.plan.probes if probe.node in adds and isinstance(probe, EdgeProbe)
    ]
    assert not [group for group in recording.plan.groups if group.where == "merge"]


def test_a_tensor_added_to_itself_has_two_contributions_of_half_the_gradient() -> None:
    model, x, y = build("residual")
    model.program = lambda self, u, v, w: self.a((u + v).exp())
    recording = gl.capture(model, [(x, y)], costs=False)
    _, fork = the_fork(recording)
    members = recording.member_grams(fork)[:, 0]
    np.testing.assert_allclose(4 * members[0], recording.grams[fork.total, 0], rtol=1e-9)
    np.testing.assert_array_equal(members[0], members[1])
    frame = gl.analyze(recording).tables["shares"].frame
    rows = frame[frame["site"] == "(model):tanh"]
    assert rows["share"].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(rows["coherence"], 2.0)


def test_every_sum_has_its_members_and_its_total() -> None:
    model, x, y = build("three")
    plan = gl.capture(model, [(x, y)], costs=False).plan
    table = roles(plan)
    for index, group in enumerate(plan.groups):
        members = sorted(role.member for entries in table.values() for role in entries if role.group == index)
        assert members == [-1, *range(len(group.members))]
