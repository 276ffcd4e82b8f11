"""The module call that created each autograd node.

Every node carries a sequence number; each module call spans an interval of them. The innermost
interval that holds a node's number owns the node, also for functional ``+`` and ``torch.cat``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode
from torch.utils.hooks import RemovableHandle

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import OUTSIDE, Owner
from gradlens.hooks.nesting import tensors_of
from gradlens.hooks.returning import returned_tensors

Enter = Callable[[nn.Module, object], None]
"""A forward pre-hook that does not change the inputs."""
Leave = Callable[[nn.Module, object, object], None]
"""A forward hook that does not change the output."""
ENTERED = 16
"""Calls that are searched for the tensor that enters the network."""
OPEN = -1
"""End of the span of a call that has not returned."""
NO_KWARGS: Mapping[str, object] = MappingProxyType({})
"""For hooks that are removed while torch runs those of a call: it then passes them no named arguments."""


@dataclass
class Span:
    """The sequence numbers of one module call.

    Attributes:
        path: path of the module.
        call: number of earlier calls of the module.
        start: first sequence number.
        end: one after the last sequence number; ``OPEN`` until the call returns.
    """

    path: str
    call: int
    start: int
    end: int = OPEN


@dataclass
class Calls:
    """The module calls of one forward pass.

    Attributes:
        spans: the calls in order of entry.
        inputs: shapes of the input tensors of the model.
        entered: shapes of the first tensor that each call of a module with parameters reads, without the model itself.
        pooled: whether a pooling ran before the first of these calls.
        returned: node and output number of each tensor that a call of the model returns, without scalars.
    """

    spans: list[Span] = field(default_factory=list)
    inputs: list[torch.Size] = field(default_factory=list)
    entered: list[torch.Size] = field(default_factory=list)
    pooled: bool = False
    returned: list[tuple[AutogradNode, int]] = field(default_factory=list)

    def owners(self, graph: Graph) -> list[Owner]:
        """Return the owner of each node of the graph.

        A node that is made anew, when a view of a tensor that was changed in place is read, has a later number than the
        operation that reads it, and the module that reads it does not own it. It belongs to the call that changed the
        tensor.
        """
        table: dict[int, Owner] = {}
        for span in self.spans:  # inner calls come later and overwrite
            table.update(dict.fromkeys(range(span.start, span.end), Owner(span.path, span.call)))
        owners = [table.get(node.sequence, OUTSIDE) for node in graph.nodes]
        for index in graph.forward_order:
            readers, inputs = graph.readers.get(index, ()), graph.inputs.get(index, ())
            sequence = graph.nodes[index].sequence
            if inputs and any(sequence > graph.nodes[edge.consumer].sequence for edge in readers):
                owners[index] = owners[inputs[0].producer]
        return owners

    def inside(self, paths: Sequence[str]) -> str:
        """Return the path of a module that has several: the one inside the innermost call that is open."""
        around = self.innermost
        direct = (path for path in paths if path.rpartition(".")[0] == around)
        inner = (path for path in paths if path.startswith(f"{around}."))
        return next(direct, next(inner, paths[0]))

    @property
    def innermost(self) -> str:
        """The path of the innermost module that runs; empty for the model itself."""
        return next((span.path for span in reversed(self.spans) if span.end == OPEN), "")

    @property
    def image(self) -> tuple[int, ...]:
        """The spatial size of the images that enter the network, after a resizing by the model; empty if it has none.

        They are the tensor of the channels of its input that the first module with parameters reads: a list of images
        is resized, padded and put together before. A pooling is a part of the network.
        """
        first = next((shape for shape in self.inputs if len(shape) > 2), None)
        for shape in self.entered:
            same = first is None or (len(shape) == len(first) and shape[1] == first[1])
            if len(shape) > 2 and same and not (first and self.pooled):
                return tuple(shape[2:])
            if first and len(first) == 3 < len(shape) and shape[1] == first[0]:
                return tuple(shape[2:])
        return tuple(first[2:]) if first else ()

    def begin(self, inputs: object) -> None:
        """Note the call of the model if it runs already, and what it reads."""
        self.spans.append(Span("", 0, _sequence()))
        self.inputs.extend(_shapes(tensors_of(inputs)))

    def end(self, outputs: Sequence[Tensor]) -> None:
        """Note the end of the call of the model, and what it returns."""
        self.spans[0].end = _sequence()
        self._return(outputs)

    def _return(self, outputs: Sequence[Tensor]) -> None:
        self.returned += [
            (tensor.grad_fn, tensor.output_nr)
            for tensor in outputs
            if tensor.grad_fn is not None and tensor.numel() > 1
        ]

    @property
    def called(self) -> set[str]:
        """Paths of the modules that were called."""
        return {span.path for span in self.spans}


@contextmanager
def module_calls(model: nn.Module) -> Iterator[Calls]:
    """Record the module calls made while the context is open.

    Only forward hooks are used. They return nothing, so they change nothing, and they are removed on leaving, also
    after an exception.
    """
    calls = Calls()
    counter: Counter[str] = Counter()
    handles: list[RemovableHandle] = []
    try:
        weighted = _weighted(model)
        for module, paths in _paths(model, weighted):
            handles.append(module.register_forward_pre_hook(_enter(calls, counter, paths)))
            if paths[0] in weighted:
                handles.append(module.register_forward_pre_hook(_entered(calls), with_kwargs=True))
            elif "Pool" in type(module).__name__:
                handles.append(module.register_forward_pre_hook(_pooling(calls)))
            handles.append(module.register_forward_hook(_leave(calls, paths), always_call=False))
        handles.append(model.register_forward_pre_hook(_inputs(calls), with_kwargs=True))
        handles.append(model.register_forward_hook(_output(calls)))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _weighted(model: nn.Module) -> set[str]:
    """Return the paths of the modules inside the model that have a parameter, or contain a module with one."""
    paths: set[str] = set()
    for path, module in model.named_modules(remove_duplicate=False):
        if any(parameter is not None for parameter in module._parameters.values()):
            while path and path not in paths:
                paths.add(path)
                path = path.rpartition(".")[0]
    return paths


def _paths(model: nn.Module, weighted: Container[str]) -> list[tuple[nn.Module, list[str]]]:
    """Return each module with its paths: several for one activation that is part of many layers.

    A module with parameters keeps its first path only, because its parameters have one name.

    Args:
        model: the network.
        weighted: paths of the modules with parameters.
    """
    paths: dict[nn.Module, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, torch.jit.ScriptModule):
            paths.setdefault(module, []).append(path)
    return [(module, names[:1] if names[0] in weighted else names) for module, names in paths.items()]


def _shapes(tensors: Sequence[Tensor]) -> Iterator[torch.Size]:
    return (tensor.shape for tensor in tensors if not tensor.is_nested)


def _sequence() -> int:
    return int(torch._C._autograd._get_sequence_nr())


def _enter(calls: Calls, counter: Counter[str], paths: Sequence[str]) -> Enter:
    def hook(module: nn.Module, args: object) -> None:
        path = paths[0] if len(paths) == 1 else calls.inside(paths)
        calls.spans.append(Span(path, counter[path], _sequence()))
        counter[path] += 1

    return hook


def _leave(calls: Calls, paths: Sequence[str]) -> Leave:
    def hook(module: nn.Module, args: object, output: object) -> None:
        for span in reversed(calls.spans):
            if span.path in paths and span.end == OPEN:
                span.end = _sequence()
                return

    return hook


def _inputs(calls: Calls) -> Callable[[nn.Module, object, Mapping[str, object]], None]:
    def hook(module: nn.Module, args: object, kwargs: Mapping[str, object] = NO_KWARGS) -> None:
        if not calls.inputs:
            calls.inputs.extend(_shapes(tensors_of((args, kwargs))))

    return hook


def _entered(calls: Calls) -> Callable[[nn.Module, object, Mapping[str, object]], None]:
    def hook(module: nn.Module, args: object, kwargs: Mapping[str, object] = NO_KWARGS) -> None:
        if len(calls.entered) < ENTERED:
            calls.entered.extend(_shapes(tensors_of((args, kwargs))[:1]))

    return hook


def _pooling(calls: Calls) -> Enter:
    def hook(module: nn.Module, args: object) -> None:
        calls.pooled = calls.pooled or not calls.entered

    return hook


def _output(calls: Calls) -> Leave:
    def hook(module: nn.Module, args: object, output: object) -> None:
        calls._return(returned_tensors(output))

    return hook
