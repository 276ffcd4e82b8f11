"""The module call that owns a node, and the names of sites."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradlens.graph.branches import Branches
from gradlens.graph.owners import OUTSIDE, Owner
from gradlens.graph.sites import site_names
from gradlens.hooks.calls import module_calls
from gradlens.hooks.nesting import tensors_of


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.conv(x))
        y += x
        return self.act(y)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.stage = nn.Sequential(Block(), Block())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.cat([x, self.stage(x), torch.tanh(x)], 1)


X = torch.ones(4, 3, 6, 6)


def by_operation(read: Any, model: nn.Module) -> list[tuple[str, Owner]]:
    graph, owners = read(model, X)
    return [(graph.nodes[i].operation, owners[i]) for i in graph.forward_order]


def test_functional_operations_belong_to_the_innermost_module_that_ran_them(read: Any) -> None:
    owned = by_operation(read, Net())
    assert [owner.module for operation, owner in owned if operation == "Add"] == ["stage.0", "stage.1"]
    assert [owner.module for operation, owner in owned if operation == "Cat"] == [""]
    assert [owner.module for operation, owner in owned if operation == "Tanh"] == [""]
    assert [owner for operation, owner in owned if operation == "Sum"] == [OUTSIDE]
    assert [owner.module for operation, owner in owned if operation == "Convolution"] == [
        "stem",
        "stage.0.conv",
        "stage.1.conv",
    ]


def test_calls_of_one_module_are_distinguished(read: Any) -> None:
    owned = by_operation(read, Net())
    relus = [owner for operation, owner in owned if operation == "Relu"]
    assert relus == [
        Owner("stage.0.act", 0),
        Owner("stage.0.act", 1),
        Owner("stage.1.act", 0),
        Owner("stage.1.act", 1),
    ]


def test_site_names_are_unique_and_contain_module_operation_and_call(read: Any) -> None:
    graph, owners = read(Net(), X)
    names = site_names(graph, owners)
    assert len(set(names)) == len(names)
    assert {"stem:conv", "stage.0:add", "stage.1.act:relu@2", "(model):cat", "(loss):sum"} <= set(names)


def test_the_second_operation_of_a_kind_in_one_call_is_numbered(read: Any) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).tanh().tanh()

    graph, owners = read(Twice(), X)
    assert {"(model):tanh", "(model):tanh#2"} <= set(site_names(graph, owners))


def test_a_shared_module_is_owned_under_one_path(read: Any) -> None:
    conv = nn.Conv2d(3, 3, 1)
    owned = by_operation(read, nn.Sequential(conv, nn.ReLU(), conv))
    assert [o for name, o in owned if name == "Convolution"] == [Owner("0", 0), Owner("0", 1)]


def test_no_hook_stays_even_if_forward_raises() -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("boom")

    model = nn.Sequential(nn.Conv2d(3, 3, 1), Raises())
    with pytest.raises(RuntimeError, match="boom"), module_calls(model):
        model(X)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_hook_of_the_user_stays_and_still_runs(read: Any) -> None:
    model, seen = Net(), []
    handle = model.stem.register_forward_hook(lambda module, args, output: seen.append(1))
    read(model, X)
    assert seen == [1]
    assert len(model.stem._forward_hooks) == 1
    handle.remove()


def test_under_autocast_a_fork_is_named_by_its_true_readers(read: Any) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(1, 3)
            self.first, self.second = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 3, padding=1)
            self.third = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(x)
            with torch.autocast("cpu", torch.bfloat16):
                return (
                    torch.cat([self.first(x), self.second(x)], 1).float().sum() + self.third(x).float().sum()
                )

    model = Two()
    graph, owners = read(model, X)
    assert "ToCopy" in {node.operation for node in graph.nodes}
    branches = Branches(graph)
    (fork,) = [f for f in branches.forks if owners[f.source.node].module == "norm"] or [None]
    readers = set()
    for other in branches.forks:
        readers |= {owners[branches.visible_consumer(edge)].module for edge in other.edges}
    assert fork is not None
    assert {"first", "second"} & readers
    assert "" not in readers


def test_tensors_are_found_in_nested_containers_in_order() -> None:
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    tensors = tensors_of({"x": [a, (b, "text")], "y": {"z": c}})
    assert [tensor.shape[0] for tensor in tensors] == [1, 2, 3]


class Layer(nn.Module):
    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


def test_one_activation_of_many_layers_is_named_after_the_layer_that_runs_it(read: Any) -> None:
    act = nn.SiLU()
    owned = by_operation(read, nn.Sequential(Layer(act), nn.Sequential(Layer(act), act), Layer(act)))
    silu = [owner for operation, owner in owned if operation == "Silu"]
    assert silu == [Owner("0.act", 0), Owner("1.0.act", 0), Owner("1.1", 0), Owner("2.act", 0)]


def test_a_shared_activation_that_an_outer_module_runs_is_named_after_a_path_inside_it(read: Any) -> None:
    class Outer(nn.Module):
        def __init__(self, act: nn.Module) -> None:
            super().__init__()
            self.holder = nn.ModuleDict({"act": act})

        def forward(self, x: Tensor) -> Tensor:
            return self.holder["act"](x)

    act = nn.SiLU()
    owned = by_operation(read, nn.Sequential(Layer(act), Outer(act)))
    assert [owner.module for operation, owner in owned if operation == "Silu"] == ["0.act", "1.holder.act"]


def test_a_shared_layer_with_parameters_keeps_the_name_of_its_parameters(read: Any) -> None:
    layer = Layer(nn.SiLU())
    owned = by_operation(read, nn.Sequential(layer, layer))
    assert [owner for operation, owner in owned if operation == "Convolution"] == [
        Owner("0.conv", 0),
        Owner("0.conv", 1),
    ]
    assert [owner for operation, owner in owned if operation == "Silu"] == [
        Owner("0.act", 0),
        Owner("0.act", 1),
    ]
