"""Timestamps and combinations: the golden numbers of Wang, Liao & Yeh 2022, and every spelling of a split."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from gradlens.graph.nodes import Graph
from gradlens.graph.sources import LOSS_SOURCE, combinations, sources, timestamps
from gradlens.hooks.walking import walk


def graph_of(model: nn.Module, x: Tensor) -> Graph:
    loss = model(x).mean()
    _, graph = walk([loss.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()})
    return graph


def runs_by_layer(
    model: nn.Module, x: Tensor | None = None
) -> list[list[tuple[int, int | None, tuple[int, ...]]]]:
    """Return (start, stop, timestamps) of each run of channels, by layer in forward order."""
    graph = graph_of(model, torch.randn(2, 3, 8, 8) if x is None else x)
    by_node = combinations(graph)
    layers = [index for index in graph.forward_order if graph.nodes[index].weighted]
    return [[(s.start, s.stop, timestamps(s.combination)) for s in by_node[layer]] for layer in layers]


class Five(nn.Module):
    """Figure 7 of the paper: five layers, two nets of two layers each."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        inputs = [3, 8, 16, 24, 32] if kind == "dense" else [3, 8, 8, 8, 8]
        self.layers = nn.ModuleList(nn.Conv2d(size, 8, 3, padding=1) for size in inputs)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, fourth, fifth = self.layers
        if self.kind == "dense":
            known = [first(x)]
            for layer in list(self.layers)[1:]:
                known.append(layer(torch.cat(known, 1)))
            return torch.cat(known, 1)
        x = first(x).relu()
        x = self.join(third(second(x).relu()), x)
        return self.join(fifth(fourth(x).relu()), x)

    def join(self, output: Tensor, skip: Tensor) -> Tensor:
        if self.kind == "masked":
            return torch.cat([output[:, :4] + skip[:, :4], output[:, 4:]], 1)
        return output + skip


GOLDEN = {
    "residual": [[(1, 3, 5)], [(2, 4)], [(1, 3)], [(2,)], [(1,)]],
    "masked": [[(1, 3, 5), (3, 5)], [(2, 4)], [(1, 3), (3,)], [(2,)], [(1,)]],
    "dense": [[(1, 2, 3, 4, 5)], [(1, 2, 3, 4)], [(1, 2, 3)], [(1, 2)], [(1,)]],
}


@pytest.mark.parametrize(("kind", "different"), [("residual", 5), ("masked", 7), ("dense", 5)])
def test_the_papers_golden_numbers(kind: str, different: int) -> None:
    layers = runs_by_layer(Five(kind))
    assert [[stamps for *_, stamps in layer] for layer in layers] == GOLDEN[kind]
    assert len({stamps for layer in layers for *_, stamps in layer}) == different


def test_a_masked_residual_gives_its_channels_two_combinations() -> None:
    assert runs_by_layer(Five("masked"))[0] == [(0, 4, (1, 3, 5)), (4, 8, (3, 5))]


class Cut(nn.Module):
    """One layer whose channels bypass two layers or go through them, by any spelling."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.spelling = spelling
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.dense = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.out = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.nn.functional.relu(self.stem(x))
        if self.spelling == "split":
            bypass, through = h.split([4, 4], dim=1)
        elif self.spelling == "chunk":
            bypass, through = h.chunk(2, dim=-3)
        else:
            bypass, through = h[:, :4], h[:, 4:]
        return self.out(torch.cat([bypass, self.dense(through)], 1))


@pytest.mark.parametrize("spelling", ["split", "chunk", "slices"])
def test_each_part_of_a_partial_split_has_its_own_timestamps(spelling: str) -> None:
    assert runs_by_layer(Cut(spelling)) == [
        [(0, 4, (2,)), (4, 8, (4,))],
        [(0, 4, (3,))],
        [(0, 4, (2,))],
        [(0, 8, (1,))],
    ]


class Strided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return torch.cat([h[:, 1::2], self.b(h[:, ::2])], 1)


def test_channels_of_a_strided_slice_are_distinguished() -> None:
    assert runs_by_layer(Strided())[0] == [(c, c + 1, (1,) if c % 2 else (2,)) for c in range(6)]


class Moved(nn.Module):
    """Channels last in the middle, with the cut there."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 6, 1), nn.Linear(2, 2), nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).permute(0, 2, 3, 1)
        first, second = h.split([4, 2], dim=-1)
        return self.c(torch.cat([first, self.b(second)], -1).permute(0, 3, 1, 2))


def test_channels_are_followed_through_permutes() -> None:
    assert runs_by_layer(Moved())[0] == [(0, 4, (2,)), (4, 6, (3,))]


class Shuffled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).view(2, 2, 4, 8, 8).transpose(1, 2).reshape(2, 8, 8, 8)
        first, second = h.chunk(2, 1)
        return torch.cat([first, self.b(second)], 1)


def test_channels_that_cannot_be_followed_are_taken_together() -> None:
    (run,) = runs_by_layer(Shuffled())[0]
    assert run[2] == (1, 2)


class Sides(nn.Module):
    """A gate read from the pooled tensor, broadcast over it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.broad = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return h * self.gate(h.mean((2, 3), keepdim=True)).sigmoid() * self.broad(x)


def test_a_gate_is_a_separate_branch_and_a_broadcast_reaches_the_one_channel() -> None:
    by_layer = runs_by_layer(Sides())
    assert by_layer == [[(0, 4, (1, 2))], [(0, 4, (1,))], [(0, 1, (1,))]]


def test_the_loss_is_a_source_and_every_layer_of_real_networks_has_one() -> None:
    for name in ("densenet121", "cspresnet50", "swin_tiny_patch4_window7_224"):
        model = timm.create_model(name, num_classes=10)
        size = 224 if "swin" in name else 64
        graph = graph_of(model, torch.randn(2, 3, size, size))
        by_node = combinations(graph)
        layers = [index for index in graph.forward_order if graph.nodes[index].weighted]
        assert set(by_node) == set(layers)
        assert sources(by_node[layers[-1]]) == {LOSS_SOURCE}
        assert all(LOSS_SOURCE not in sources(by_node[layer]) for layer in layers[:-1])


def test_the_layers_of_a_dense_block_are_read_by_all_later_ones() -> None:
    """The paper's equations on the real graph: layer l of L feeds L - l layers and the transition."""
    model = timm.create_model("densenet121", num_classes=10)
    loss = model(torch.randn(2, 3, 64, 64)).mean()
    _, graph = walk([loss.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()})
    by_node = combinations(graph)
    kernels = [
        (index, graph.nodes[index].kernel) for index in graph.forward_order if graph.nodes[index].weighted
    ]
    conv2 = [index for index, kernel in kernels if kernel == (3, 3)]
    counts = [len(sources(by_node[index])) for index in conv2]
    blocks = (6, 12, 24, 16)
    assert counts == [length - layer + 1 for length in blocks for layer in range(1, length + 1)]
