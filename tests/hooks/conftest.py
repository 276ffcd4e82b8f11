from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradlens.hooks.graph import Graph
from gradlens.hooks.names import Owner, module_calls
from gradlens.hooks.walking import walk

Read = Callable[..., tuple[Graph, list[Owner]]]


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def read() -> Read:
    """Graph and owners of a model's forward pass, its output summed (or given to ``loss``)."""

    def reader(
        model: nn.Module, inputs: Tensor, loss: Callable[[Any], Tensor] | None = None
    ) -> tuple[Graph, list[Owner]]:
        with module_calls(model) as calls:
            output = model(inputs)
            total = output.sum() if loss is None else loss(output)
        assert total.grad_fn is not None
        _, graph = walk(
            [total.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()}
        )
        return graph, calls.owners(graph)

    return reader
