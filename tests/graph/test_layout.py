"""Positions of the samples in a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradlens.graph.layout import Sizes, layout
from gradlens.graph.nodes import TensorKey


class Net(nn.Module):
    def __init__(self, program: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 6)
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, x)


def outers(
    read: Any, program: Callable[[Any, Tensor], Tensor], shape: tuple[int, ...], n: int, m: int = 4
) -> list[int | None]:
    """Return ``outer`` of each operation's first output in forward order, without the loss."""
    model = Net(program)
    graph, _ = read(model, torch.ones(n, *shape))
    dry, _ = read(model, torch.ones(m, *shape))
    sizes = Sizes(graph, n, dry, m)
    layouts = [layout(sizes, TensorKey(index, 0)) for index in graph.forward_order if index]
    return [None if entry is None else entry.outer for entry in layouts]


def test_images_have_their_samples_first(read: Any) -> None:
    assert outers(read, lambda self, x: self.conv(x).relu().mean((2, 3)), (3, 6, 6), 8) == [1, 1, 1]


@pytest.mark.parametrize("time", [1, 3, 4, 5, 8, 16])
def test_time_first_and_batch_first_differ_even_at_equal_lengths(read: Any, time: int) -> None:
    def time_first(self: Any, x: Tensor) -> Tensor:
        return self.fc(x.transpose(0, 1)).relu()

    def batch_first(self: Any, x: Tensor) -> Tensor:
        return self.fc(x).relu()

    assert set(outers(read, time_first, (time, 3), 8)) == {time}
    assert set(outers(read, batch_first, (time, 3), 8)) == {1}


@pytest.mark.parametrize("time", [3, 8])
def test_rows_flattened_by_a_linear_layer_are_traced_to_a_tensor_that_shows_them(
    read: Any, time: int
) -> None:
    def flat(self: Any, x: Tensor) -> Tensor:
        rows = self.fc(x.transpose(0, 1).reshape(-1, 3))  # [time * n, 6]
        return rows.relu().view(time, -1, 6).tanh()

    assert set(outers(read, flat, (time, 3), 8)) == {time}


def test_windows_folded_into_axis_0_belong_to_their_sample(read: Any) -> None:
    def windows(self: Any, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        x = self.conv(x).view(n, 6, h // 2, 2, w // 2, 2)
        x = x.permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 6)  # [n * windows, 4, 6]
        return x.softmax(1)

    assert set(outers(read, windows, (3, 4, 4), 8)) == {1}


def test_heads_folded_before_the_samples_vary_slower_than_them(read: Any) -> None:
    def heads(self: Any, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        x = self.fc(x).view(n, t, 2, 3).permute(2, 0, 1, 3)  # [heads, n, t, 3]
        return x.reshape(2 * n, t, 3).softmax(-1)

    # linear layer: samples first; after the permutation: two heads before them
    shapes = outers(read, heads, (5, 3), 8)
    assert shapes[0] == 1
    assert set(shapes[-3:]) == {2}


def test_samples_that_cannot_be_located_are_unknown(read: Any) -> None:
    def mixed(self: Any, x: Tensor) -> Tensor:
        return self.fc(x).mean(0, keepdim=True).tanh()  # the mean over the batch

    assert outers(read, mixed, (3,), 8)[-2:] == [None, None]


def test_samples_of_shuffled_rows_are_unknown(read: Any) -> None:
    def shuffled(self: Any, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        order = torch.arange(n * t).flip(0)
        return self.fc(x.reshape(-1, 3)[order]).relu()[order].tanh()

    assert None in outers(read, shuffled, (5, 3), 8)


def test_one_graph_suffices_for_samples_first(read: Any) -> None:
    graph, _ = read(Net(lambda self, x: self.conv(x).relu()), torch.ones(8, 3, 6, 6))
    position = layout(Sizes(graph, 8, None, 0), TensorKey(graph.forward_order[0], 0))
    assert position is not None
    assert position.outer == 1
