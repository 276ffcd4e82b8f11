"""Forks, their merges and the labels of their branches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gradlens.graph.branches import Branches, Fork


def conv(inside: int, out: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inside, out, kernel, padding=kernel // 2)


class Net(nn.Module):
    """Layers by name, and a program over them."""

    def __init__(self, program: Any, **layers: nn.Module) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, torch.relu(self.stem(x)))


X = torch.ones(4, 3, 6, 6)


def forks(read: Any, model: nn.Module) -> tuple[Branches, tuple[Fork, ...]]:
    branches = Branches(read(model, X)[0])
    return branches, branches.forks


def test_an_identity_shortcut_is_the_skip_as_either_operand(read: Any) -> None:
    for program in (lambda self, x: x + self.a(x), lambda self, x: self.a(x) + x):
        branches, (fork,) = forks(read, Net(program, a=conv(4, 4)))
        assert fork.kind == "residual"
        assert sorted(fork.labels) == ["residual", "skip"]
        for edge, label in zip(fork.edges, fork.labels, strict=True):
            reader = branches.graph.nodes[edge.consumer].operation
            assert (reader == "Convolution") == (label == "residual")
        assert branches.graph.nodes[fork.merge].operation == "Add"


def test_a_projected_shortcut_is_the_skip(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        y = self.short(x)
        return y + self.b(torch.relu(self.a(x)))

    _, (fork,) = forks(read, Net(program, a=conv(4, 6, 1), b=conv(6, 6), short=conv(4, 6, 1)))
    assert fork.kind == "residual"
    kernels = {label: work.spatial for label, work in zip(fork.labels, fork.work, strict=True)}
    assert kernels == {"skip": 0, "residual": 1}
    assert {label: work.weighted for label, work in zip(fork.labels, fork.work, strict=True)} == {
        "skip": 1,
        "residual": 2,
    }


def test_squeeze_and_excitation_is_a_gate(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))

    _, (fork,) = forks(read, Net(program, squeeze=conv(4, 4, 1)))
    assert fork.kind == "gate"
    assert sorted(fork.labels) == ["gate", "identity"]


def test_a_dense_block_is_dense_and_a_stored_tensor_is_read_by_all_later_layers(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        kept = [x]
        for layer in (self.a, self.b, self.c):
            kept.append(torch.relu(layer(torch.cat(kept, 1))))
        return torch.cat(kept, 1)

    _, all_forks = forks(read, Net(program, a=conv(4, 2), b=conv(6, 2), c=conv(8, 2)))
    assert [len(fork.edges) for fork in all_forks] == [4, 3, 2]
    assert [fork.kind for fork in all_forks] == ["dense"] * 3


def test_inception_is_parallel_with_numbered_branches(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x), self.c(x)], 1)

    _, (fork,) = forks(read, Net(program, a=conv(4, 2, 1), b=conv(4, 2), c=conv(4, 2, 5)))
    assert fork.kind == "parallel"
    assert fork.labels == ("branch 1", "branch 2", "branch 3")


def test_a_square_is_a_fork_of_two(read: Any) -> None:
    _, (fork,) = forks(read, Net(lambda self, x: x * x))
    assert len(fork.edges) == 2
    assert fork.labels == ("branch 1", "branch 2")


def test_branches_merge_at_the_nearest_common_operation(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        inner = self.a(x) + x
        return (self.b(inner) + inner).tanh()

    branches, all_forks = forks(read, Net(program, a=conv(4, 4), b=conv(4, 4)))
    graph = branches.graph
    adds = [i for i in graph.forward_order if graph.nodes[i].operation == "Add"]
    assert [fork.merge for fork in all_forks] == adds


def test_a_long_skip_merges_after_the_short_ones_inside_it(read: Any) -> None:
    def program(self: Any, x: Tensor) -> Tensor:
        inner = torch.relu(self.a(x))
        inner = self.b(inner) + inner
        return torch.cat([x, inner], 1).tanh()

    branches, (outer, inner) = forks(read, Net(program, a=conv(4, 4), b=conv(4, 4)))
    assert branches.graph.nodes[outer.merge].operation == "Cat"
    assert branches.graph.nodes[inner.merge].operation == "Add"
    assert dict(zip(outer.labels, outer.work, strict=True))["dense"].weighted == 2


def test_a_chain_has_no_fork_and_no_split(read: Any) -> None:
    branches, all_forks = forks(read, Net(lambda self, x: self.a(x), a=conv(4, 4)))
    assert all_forks == ()
    assert branches.splits == ()


def test_two_heads_merge_at_the_loss(read: Any) -> None:
    branches, (fork,) = forks(
        read, Net(lambda self, x: self.a(x).sum() * 2 + self.b(x).sum().tanh(), a=conv(4, 1), b=conv(4, 2))
    )
    assert branches.graph.nodes[fork.merge].operation == "Add"
