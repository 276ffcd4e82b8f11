"""Which module call made which autograd node.

Every node carries a sequence number; each module call spans an interval of them. The innermost
interval that holds a node's number owns the node, also for functional ``+`` and ``torch.cat``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import OUTSIDE, Owner


@dataclass
class Calls:
    """The module calls of one forward pass, in order of entry."""

    spans: list[list[Any]] = field(default_factory=list)  # [path, call, start, end]
    inputs: list[torch.Size] = field(default_factory=list)
    output: tuple[Any, int] | None = None

    def owners(self, graph: Graph) -> list[Owner]:
        """Owner of each node of the graph."""
        table: dict[int, Owner] = {}
        for path, call, start, end in self.spans:  # inner calls come later and overwrite
            owner = Owner(path, call)
            table.update(dict.fromkeys(range(start, end), owner))
        return [table.get(node.sequence, OUTSIDE) for node in graph.nodes]


@contextmanager
def module_calls(model: nn.Module) -> Iterator[Calls]:
    """Record the module calls made while the context is open.

    Forward hooks only, removed on leaving, also after an exception. They return nothing, so they
    change nothing.
    """
    calls = Calls()
    counter: Counter[str] = Counter()
    handles: list[RemovableHandle] = []
    try:
        for path, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            handles.append(module.register_forward_pre_hook(_enter(calls, counter, path)))
            handles.append(module.register_forward_hook(_leave(calls, path), always_call=False))
        handles.append(model.register_forward_pre_hook(_inputs(calls), with_kwargs=True))
        handles.append(model.register_forward_hook(_output(calls)))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _sequence() -> int:
    return int(torch._C._autograd._get_sequence_nr())


def _enter(calls: Calls, counter: Counter[str], path: str) -> Any:
    def hook(module: nn.Module, args: Any) -> None:
        calls.spans.append([path, counter[path], _sequence(), -1])
        counter[path] += 1

    return hook


def _leave(calls: Calls, path: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        for span in reversed(calls.spans):
            if span[0] == path and span[3] < 0:
                span[3] = _sequence()
                return

    return hook


def _inputs(calls: Calls) -> Any:
    def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
        if not calls.inputs:
            tensors = tensors_of((args, kwargs))
            calls.inputs.extend(tensor.shape for tensor in tensors)

    return hook


def _output(calls: Calls) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        for tensor in tensors_of(output):
            if tensor.grad_fn is not None:
                calls.output = (tensor.grad_fn, tensor.output_nr)
                return

    return hook


def tensors_of(value: Any) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, item.name) for item in fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return []
