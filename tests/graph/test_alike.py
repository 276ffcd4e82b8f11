"""Layers whose gradients are alike by construction, in several spellings, and layers that only look like those."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.catalogue.versions import ENERGY
from gradlens.graph.alike import ADDED, POOLED, Alike
from gradlens.words.conspicuous import conspicuous


class Net(nn.Module):
    """Two convolutions of one input that ``join`` brings together, and a head."""

    def __init__(self, join: Callable[[nn.Module, Tensor, Tensor], Tensor], width: int = 4) -> None:
        super().__init__()
        self.join, self.stem = join, nn.Conv2d(3, 4, 3)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.last, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 10)
        self.norm, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        return self.head(self.join(self, self.a(x), self.b(x)))


def pooled(x: Tensor) -> Tensor:
    return x.relu().mean((2, 3))


ADDITIONS = {
    "sum": lambda net, a, b: pooled(a + b),
    "difference": lambda net, a, b: pooled(a - 0.5 * b),
    "in place": lambda net, a, b: pooled(net.norm(a).add_(net.other(b))),
    "one normalised": lambda net, a, b: pooled(net.norm(a) + b),
    "scaled": lambda net, a, b: pooled(a * net.scale + b / 3),
    "sum of three": lambda net, a, b: pooled(a + (1 + b) + 2),
    "reshaped": lambda net, a, b: (
        (a.flatten(2).transpose(1, 2) + b.flatten(2).transpose(1, 2)).relu().mean(1)
    ),
    "clone": lambda net, a, b: pooled(a.clone() + b.contiguous()),
}
NOT_ALIKE = {
    "an activation": lambda net, a, b: pooled(a.relu() + b),
    "a concatenation": lambda net, a, b: pooled(torch.cat([a, b], 1)[:, ::2]),
    "a product": lambda net, a, b: pooled(a * b.sigmoid()),
    "a second reader": lambda net, a, b: pooled(a + b) + a.mean((2, 3)),
    "a gate of another size": lambda net, a, b: pooled(a + b.mean((2, 3), keepdim=True)),
    "a layer": lambda net, a, b: pooled(net.b(a) + b),
}


def recorded(join: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> gl.Recording:
    torch.manual_seed(0)
    return gl.capture(Net(join), [(torch.randn(16, 3, 8, 8), torch.arange(16) % 10)])


def reasons(recording: gl.Recording) -> dict[tuple[str, str], str]:
    alike, plan = Alike(recording.plan.graph), recording.plan
    taps = dict(zip(plan.signal_names, ([plan.taps[number]] for number in plan.signals), strict=True))
    pairs = [(a, b) for a in taps for b in taps if a < b]
    return {pair: reason for pair in pairs if (reason := alike.reason(*(taps[name] for name in pair)))}


@pytest.mark.parametrize("join", ADDITIONS.values(), ids=ADDITIONS)
def test_layers_that_feed_one_addition_are_alike(join: Callable[..., Tensor]) -> None:
    assert reasons(recorded(join))["a", "b"] == ADDED


@pytest.mark.parametrize("name", ["sum", "difference", "sum of three", "clone", "reshaped"])
def test_without_a_normalisation_they_have_one_gradient(name: str) -> None:
    frame = (
        gl.analyze(recorded(ADDITIONS[name])).tables["correlation"].frame.set_index(["signal_a", "signal_b"])
    )
    assert frame.loc[("a", "b"), ENERGY.column] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("join", NOT_ALIKE.values(), ids=NOT_ALIKE)
def test_layers_that_meet_in_another_way_are_not(join: Callable[..., Tensor]) -> None:
    assert reasons(recorded(join)).get(("a", "b")) != ADDED


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: x.mean((2, 3)),
        lambda x: nn.functional.adaptive_avg_pool2d(x, 1).flatten(1),
        lambda x: nn.functional.max_pool2d(x, x.shape[-1]).flatten(1),
        lambda x: x.amax((2, 3)),
        lambda x: nn.functional.dropout(x.flatten(2).sum(2), 0.2),
    ],
)
def test_the_last_layer_is_alike_to_the_head_behind_a_pooling(pool: Callable[[Tensor], Tensor]) -> None:
    found = reasons(recorded(lambda net, a, b: pool(net.norm(net.last(a * b.sigmoid())).relu())))
    assert found == {("head", "last"): POOLED}


@pytest.mark.parametrize(
    "join",
    [
        lambda net, a, b: net.second(pooled(a * b.sigmoid()))[:, :4],  # another layer follows
        lambda net, a, b: (net.last(a) * b.sigmoid()).mean((2, 3)),  # a gate
    ],
)
def test_other_layers_are_not_alike_to_the_head(join: Callable[..., Tensor]) -> None:
    assert POOLED not in reasons(recorded(join)).values()


def test_such_pairs_are_marked_and_are_no_place_to_look() -> None:
    result = gl.analyze(recorded(ADDITIONS["sum"]))
    frame = result.tables["diagnosis"].frame
    marked = frame[frame["kind"] == "both feed one addition"]
    assert marked[["place", "other"]].to_numpy().tolist() == [["a", "b"]]
    assert np.allclose(marked["value"], 1)
    assert {"a and b", "b and a"}.isdisjoint(site.name for site in conspicuous(result, 50))


def test_weights_of_such_layers_are_not_alike() -> None:
    recording = gl.capture(
        Net(ADDITIONS["sum"]), [(torch.randn(16, 3, 8, 8), torch.arange(16) % 10)], space="weights"
    )
    assert "both feed one addition" not in set(gl.analyze(recording).tables["diagnosis"].frame["kind"])
