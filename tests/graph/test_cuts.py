"""One partial split, spelled in many ways and behind views: one answer, and the energies that autograd gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from oracles.paths import lengths
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ShuffleNetV2

import gradlens as gl
from gradlens.graph.branches import Branches
from gradlens.graph.nodes import TensorKey
from gradlens.metrics import Step, path_counts

WIDTH = 12
Parts = tuple[Tensor, Tensor]


def shuffle(x: Tensor, groups: int = 2) -> Tensor:
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def viewed(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 3, c // 3, h, w).permute(0, 2, 1, 3, 4).contiguous().view(n, c, h, w)


def rearranged(x: Tensor) -> Tensor:
    """``b c h w -> b (h w) c -> b c h w``, as einops writes it."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h * w).permute(0, 2, 1).contiguous().permute(0, 2, 1).reshape(n, c, h, w)


def stacked(x: Tensor) -> Tensor:
    return torch.stack([x * 1.5, x * 0.5], 2).flatten(1, 2)[:, :WIDTH]


def selected(x: Tensor) -> Parts:
    groups = x.unflatten(1, (2, 6))
    return groups[:, 0], groups[:, 1]


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "shuffle": shuffle,
    "shuffle of three": viewed,
    "two shuffles": lambda x: viewed(shuffle(x)),
    "six shuffles": lambda x: shuffle(viewed(shuffle(viewed(shuffle(viewed(x)))))),
    "torch": lambda x: functional.channel_shuffle(x, 4),
    "einops": rearranged,
    "interleaved": stacked,
}
EQUAL: dict[str, Callable[[Tensor], Parts]] = {
    "chunk": lambda x: x.chunk(2, 1),
    "negative": lambda x: x.chunk(2, -3),
    "split": lambda x: torch.split(x, [6, 6], 1),
    "slices": lambda x: (x[:, :6], x[:, 6:]),
    "narrow": lambda x: (torch.narrow(x, 1, 0, 6), x.narrow(1, 6, 6)),
    "tensor_split": lambda x: torch.tensor_split(x, 2, 1),
    "hsplit": lambda x: torch.hsplit(x, 2),
    "index_select": lambda x: (x.index_select(1, torch.arange(6)), x.index_select(1, torch.arange(6, 12))),
    "index": lambda x: (x[:, list(range(6))], x[:, torch.arange(6, 12)]),
    "unbind": lambda x: x.unflatten(1, (2, 6)).unbind(1),
    "unbind first": lambda x: x.unflatten(1, (2, 6)).transpose(0, 1).unbind(0),
    "select": selected,
}
OTHER: dict[str, Callable[[Tensor], Parts]] = {
    "unequal": lambda x: torch.split(x, [4, 8], 1),
    "unequal tensor_split": lambda x: torch.tensor_split(x, [5], 1),
    "every second": lambda x: (x[:, ::2], x[:, 1::2]),
    "every second by unbind": lambda x: x.unflatten(1, (6, 2)).unbind(2),
    "backwards": lambda x: (x[:, torch.arange(5, -1, -1)], x[:, 6:]),
}


class Cut(nn.Module):
    """A view, a cut, a layer on one part, a concatenation."""

    def __init__(self, view: str, cut: Callable[[Tensor], Parts]) -> None:
        super().__init__()
        self.view, self.cut = VIEWS[view], cut
        self.stem, self.mix, self.head = (
            nn.Conv2d(3, WIDTH, 3, padding=1),
            nn.LazyConv2d(6, 1),
            nn.Linear(6, 4),
        )
        self.look = nn.LazyConv2d(6, 3, padding=1)
        self.double()(torch.randn(2, 3, 6, 6, dtype=torch.float64))

    def parts(self, x: Tensor) -> Parts:
        first, second = self.cut(self.view(torch.relu(self.stem(x))))
        return first, second

    def tail(self, first: Tensor, second: Tensor) -> Tensor:
        joined = torch.cat([first, self.look(second)], 1)
        return self.head(torch.relu(self.mix(joined)).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(*self.parts(x))


def data() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 6, 6, dtype=torch.float64, generator=draw), torch.arange(8) % 4


def checked(model: Cut) -> None:
    """Compare shares and lengths with the gradients of the parts, and the sum with the gradient of what was cut."""
    x, labels = data()
    recording = gl.capture(model, [(x, labels)], costs=False)
    parts = [part.detach().requires_grad_() for part in model.parts(x)]
    gradients = torch.autograd.grad(functional.cross_entropy(model.tail(*parts), labels), parts)
    energies = np.array([float(gradient.square().sum()) for gradient in gradients])
    shares = energies / energies.sum()
    (group,) = [group for group in recording.plan.groups if group.where == "split"]
    measured = recording.branch_energies(group)
    np.testing.assert_allclose(measured / measured.sum(), shares, rtol=1e-9)
    if group.total is not None:
        index = recording.plan.groups.index(group)
        assert recording.projected_errors[index].max() < 1e-12
        assert recording.dry_errors[index] == 0
    paths = gl.analyze(recording, ["paths"]).tables["paths"].frame.set_index("layer")
    assert paths.effective_length["stem"] == pytest.approx(3 + shares[1], rel=1e-9)
    assert paths.equal_shares["stem"] == 0


@pytest.mark.parametrize("view", VIEWS)
def test_a_cut_behind_a_view_is_a_partial_split(view: str) -> None:
    torch.manual_seed(0)
    checked(Cut(view, EQUAL["chunk"]))


@pytest.mark.parametrize("cut", EQUAL)
def test_every_spelling_of_a_cut_behind_a_shuffle(cut: str) -> None:
    torch.manual_seed(0)
    checked(Cut("shuffle", EQUAL[cut]))


@pytest.mark.parametrize("cut", OTHER)
def test_unequal_and_strided_cuts_behind_a_shuffle(cut: str) -> None:
    torch.manual_seed(0)
    checked(Cut("shuffle", OTHER[cut]))


def test_tokens_are_cut_along_channels_only(read: Any) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(3, 6), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x)
            start, rest = x.split([1, 4], 1)
            return self.head(start.mean(1) + rest.exp().mean(1))

    graph, _ = read(Tokens(), torch.ones(4, 5, 3))
    assert Branches(graph).splits == ()


def test_queries_keys_and_values_are_cut_from_one_layer(read: Any) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.qkv, self.head = nn.Linear(3, 8), nn.Linear(8, 24), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x)
            q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            mixed = ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
            return self.head(mixed.mean(1))

    graph, _ = read(Attention(), torch.ones(4, 5, 3))
    (split,) = Branches(graph).splits
    assert (split.axis, len(split.parts)) == (0, 3)
    recording = gl.capture(Attention(), [(torch.randn(6, 5, 3), torch.arange(6) % 4)], costs=False)
    index = next(index for index, group in enumerate(recording.plan.groups) if group.where == "split")
    assert recording.projected_errors[index].max() < 1e-5
    assert recording.dry_errors[index] == 0


def test_a_mixture_of_samples_and_channels_is_no_axis_of_channels(read: Any) -> None:
    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Linear(1, 4)

        def forward(self, x: Tensor) -> Tensor:
            first, second = self.stem(x).transpose(1, 2).flatten(1, 2).chunk(2, 1)
            return self.head((first.exp() + second).mean((1, 2))[:, None])

    graph, _ = read(Folded(), torch.ones(4, 3, 6, 6))
    assert Branches(graph).splits == ()


def test_lengths_and_sources_of_a_shuffle_net_by_walking_every_path(read: Any) -> None:
    model = ShuffleNetV2([2, 2, 2], [8, 8, 16, 32, 16], num_classes=4)
    graph, _ = read(model, torch.randn(2, 3, 32, 32))
    weighted = [node.weighted for node in graph.nodes]
    steps = [
        Step(edge.consumer, edge.producer)
        for index in reversed(graph.forward_order)
        for edge in graph.inputs.get(index, ())
    ]
    counts = path_counts(len(graph.nodes), steps, weighted)
    for index in graph.forward_order:
        if weighted[index]:
            walked = lengths(graph, 0, TensorKey(index, 0))
            assert counts[index] == [walked[length] for length in range(max(walked) + 1)]
