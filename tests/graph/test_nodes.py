"""walk: the nodes and edges of activations, without those of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gradlens.errors import GradlensError
from gradlens.graph.nodes import Graph, TensorKey


class Net(nn.Module):
    """Two convolutions, and a program over them."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.other = nn.Conv2d(3, 4, 1)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, x)


def operations(graph: Graph) -> list[str]:
    return [graph.nodes[index].operation for index in graph.forward_order]


def index_of(graph: Graph, operation: str, which: int = 0) -> int:
    return [i for i in graph.forward_order if graph.nodes[i].operation == operation][which]


X = torch.ones(4, 3, 8, 8)


def test_forward_order_is_the_order_of_the_program_even_with_in_place_operations(read: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))
    graph, _ = read(model, X)
    assert operations(graph) == ["Convolution", "NativeBatchNorm", "Relu", "Convolution", "Sum"]
    assert graph.nodes[0].operation == "Sum"
    assert [graph.nodes[i].weighted for i in graph.forward_order] == [True, False, False, True, False]
    assert [graph.depths[i] for i in graph.forward_order] == [1, 1, 1, 2, 2]
    assert graph.nodes[index_of(graph, "Convolution")].kernel == (3, 3)
    assert graph.nodes[index_of(graph, "Convolution")].shapes == ((4, 4, 6, 6),)


def test_two_edges_between_the_same_two_nodes_are_keyed_by_slot(read: Any) -> None:
    def square(self: Net, x: Tensor) -> Tensor:
        h = self.conv(x)
        return h * h

    graph, _ = read(Net(square), X)
    product, conv = index_of(graph, "Mul"), index_of(graph, "Convolution")
    edges = graph.consumers[TensorKey(conv, 0)]
    assert [(e.consumer, e.slot) for e in edges] == [(product, 0), (product, 1)]


def test_a_tensor_concatenated_twice_has_two_edges_with_the_other_in_between(read: Any) -> None:
    def thrice(self: Net, x: Tensor) -> Tensor:
        u, v = self.conv(x), self.other(x)
        return torch.cat([u, v, u], 1)

    graph, _ = read(Net(thrice), X)
    u, v = index_of(graph, "Convolution"), index_of(graph, "Convolution", 1)
    assert [edge.slot for edge in graph.consumers[TensorKey(u, 0)]] == [0, 2]
    assert [edge.slot for edge in graph.consumers[TensorKey(v, 0)]] == [1]


def test_outputs_of_a_split_are_distinguished_by_output_number(read: Any) -> None:
    def cut(self: Net, x: Tensor) -> Tensor:
        a, b = self.conv(x).chunk(2, dim=-3)
        return a.relu() + b.tanh()

    graph, _ = read(Net(cut), X)
    split = index_of(graph, "Split")
    assert graph.nodes[split].detail["dim"] in (-3, 1)
    (to_relu,), (to_tanh,) = graph.consumers[TensorKey(split, 0)], graph.consumers[TensorKey(split, 1)]
    assert graph.nodes[to_relu.consumer].operation == "Relu"
    assert graph.nodes[to_tanh.consumer].operation == "Tanh"
    assert graph.nodes[split].shapes == ((4, 2, 8, 8), (4, 2, 8, 8))


def test_operations_on_parameters_alone_are_left_out(read: Any) -> None:
    def standardised(self: Net, x: Tensor) -> Tensor:
        weight = self.conv.weight
        weight = (weight - weight.mean()) / (weight.std() + 1e-5)
        return nn.functional.conv2d(x, weight, self.conv.bias).relu()

    graph, _ = read(Net(standardised), X)
    assert operations(graph) == ["Convolution", "Relu", "Sum"]
    assert graph.nodes[index_of(graph, "Convolution")].weighted


def test_a_product_of_two_activations_is_no_weighted_layer(read: Any) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(3, 4), nn.Linear(3, 4, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.q(x) @ self.k(x).transpose(1, 2)

    graph, _ = read(Attention(), torch.ones(4, 5, 3))
    assert sum(node.weighted for node in graph.nodes) == 2
    assert not graph.nodes[index_of(graph, "Bmm")].weighted


def test_a_frozen_layer_still_is_a_weighted_layer(read: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
    model[1].requires_grad_(False)
    graph, _ = read(model, X)
    layers = [graph.nodes[i] for i in graph.forward_order if graph.nodes[i].operation == "Convolution"]
    assert [(layer.weighted, layer.kernel) for layer in layers] == [
        (True, (1, 1)),
        (True, (3, 3)),
        (True, (1, 1)),
    ]


def test_an_input_that_requires_gradient_is_a_node_and_comes_first(read: Any) -> None:
    graph, _ = read(nn.Sequential(nn.Conv2d(3, 2, 1)), X.clone().requires_grad_())
    assert operations(graph) == ["Input", "Convolution", "Sum"]


def test_structure_depends_on_the_computation_not_on_the_batch(read: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    small, _ = read(model, X)
    large, _ = read(model, torch.ones(7, 3, 8, 8))
    other, _ = read(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()), X)
    assert small.structure == large.structure != other.structure


def test_structure_depends_on_which_tensor_is_read(read: Any) -> None:
    def reading(slot: int) -> Any:
        def program(self: Net, x: Tensor) -> Tensor:
            pair = self.conv(x).relu(), self.other(x).relu()
            return torch.cat([pair[0], pair[1], pair[slot]], 1)

        return program

    first, second = read(Net(reading(0)), X)[0], read(Net(reading(1)), X)[0]
    assert first.structure != second.structure


def test_reentrant_checkpointing_is_refused_with_advice(read: Any) -> None:
    def hidden(self: Net, x: Tensor) -> Tensor:
        return checkpoint(lambda h: self.other(x) + h.relu(), self.conv(x), use_reentrant=True)

    with pytest.raises(GradlensError, match="use_reentrant=False"):
        read(Net(hidden), X)


def test_a_compiled_graph_is_refused_with_advice(read: Any) -> None:
    class CompiledFunction(torch.autograd.Function):  # the name that AOTAutograd gives its node
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient

    with pytest.raises(GradlensError, match="before it is compiled"):
        read(Net(lambda self, x: CompiledFunction.apply(self.conv(x))), X)
