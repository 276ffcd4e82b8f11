"""Views of a tensor that is changed in place later: the same graph as if it were written out of place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.recording import Recording

Program = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, program: Program) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.part = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.join, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.join(self.program(self, self.stem(x))).mean((2, 3)))


def changed_after_slicing(net: Net, h: Tensor) -> Tensor:
    first, second = h[:, :4], h[:, 4:]
    h.relu_()
    return torch.cat([net.part(first), second], 1)


def changed_part(net: Net, h: Tensor) -> Tensor:
    first, second = h[:, :4], h[:, 4:]
    first.relu_()
    return torch.cat([net.part(first), second], 1)


def changed_twice(net: Net, h: Tensor) -> Tensor:
    first, second = h.narrow(1, 0, 4), h.narrow(1, 4, 4)
    h.mul_(2)
    h.relu_()
    return torch.cat([net.part(first), second], 1)


def every_second(net: Net, h: Tensor) -> Tensor:
    first, second = h[:, ::2], h[:, 1::2]
    h.relu_()
    return torch.cat([net.part(first), second], 1)


def plain(change: Callable[[Tensor], Tensor], *cuts: slice) -> Program:
    def program(net: Net, h: Tensor) -> Tensor:
        h = change(h)
        first, second = (h[:, cut] for cut in cuts)
        return torch.cat([net.part(first), second], 1)

    return program


def plain_part(net: Net, h: Tensor) -> Tensor:
    return torch.cat([net.part(h[:, :4].relu()), h[:, 4:]], 1)


HALVES = slice(None, 4), slice(4, None)
CASES = {
    "changed after slicing": (changed_after_slicing, plain(torch.relu, *HALVES)),
    "changed twice": (changed_twice, plain(lambda h: (2 * h).relu(), *HALVES)),
    "every second": (every_second, plain(torch.relu, slice(None, None, 2), slice(1, None, 2))),
    "changed part": (changed_part, plain_part),
}


def record(program: Program, layout: torch.memory_format) -> Recording:
    torch.manual_seed(1)
    net, images = Net(program), torch.randn(8, 3, 6, 6).to(memory_format=layout)
    return gl.capture(net.to(memory_format=layout), [(images, torch.arange(8) % 5)], costs=False)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", CASES)
def test_depths_parts_and_grams_are_those_of_the_network_out_of_place(case, layout):
    actual, expected = (record(program, layout) for program in CASES[case])
    for mine, other in zip(actual.signals, expected.signals, strict=True):
        assert (mine.name, mine.probe.depth, mine.stage) == (other.name, other.probe.depth, other.stage)
        np.testing.assert_allclose(
            actual.grams[mine.number], expected.grams[other.number], rtol=1e-4, atol=1e-9
        )
    if case != "changed part":  # written back, a changed part is no part of the tensor before
        groups = [
            [
                (group.where, group.kind, group.site, group.labels, group.channels)
                for group in recording.plan.groups
            ]
            for recording in (actual, expected)
        ]
        assert groups[0] == groups[1]
        assert groups[0][0][0] == "split"


def test_a_view_made_anew_belongs_to_the_module_that_changed_its_tensor():
    recording = record(changed_after_slicing, torch.contiguous_format)
    graph, owners = recording.plan.graph, recording.plan.owners
    cuts = [index for index, node in enumerate(graph.nodes) if node.operation == "Slice"]
    assert len(cuts) == 2
    assert {owners[index].module for index in cuts} == {""}
    late = [
        edge
        for edge in graph.edges
        if graph.nodes[edge.producer].sequence > graph.nodes[edge.consumer].sequence
    ]
    assert late  # otherwise torch makes no node anew, and this file tests nothing
