"""Watch backward passes that somebody else runs: hooks on the graph of a forward pass in an unchanged training loop.

The loss is not known when a forward pass ends. The graph is therefore read from the sum of all outputs, which nobody
differentiates: its operations stand in for the loss. What the loop computes from the outputs, one loss or several, is
outside of the graph, and the gradient that arrives at the outputs is the loss signal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.grams.accumulator import Accumulator, BatchGrams
from gradlens.graph.nodes import Graph, TensorKey
from gradlens.hooks.assembling import assembled, meta_of
from gradlens.hooks.calls import Calls, module_calls
from gradlens.hooks.checks import same_shapes
from gradlens.hooks.nesting import plain
from gradlens.hooks.planned import Forward, Planned, planned
from gradlens.hooks.recorder import watch as recorded
from gradlens.hooks.returning import returned_tensors
from gradlens.hooks.samples import batch_size
from gradlens.hooks.unfused import step_by_step
from gradlens.hooks.walking import graph_of
from gradlens.hooks.watcher import Watched
from gradlens.recording import Recording
from gradlens.recording.watch import Watch

OPEN = 16
"""Watched forward passes whose backward pass is waited for; of older ones the hooks are removed."""
PLANS = 16
"""Plans that are kept for graphs that change from step to step, as with stochastic depth."""


@dataclass(frozen=True)
class Pass:
    """What one backward pass through a watched forward pass left.

    Attributes:
        index: 0 for the first backward pass through this forward pass, 1 for a second one, and so on.
        recording: the statistics of one batch; None if a gradient is not finite.
        largest: by probe of a signal, the largest absolute element of its gradient.
        scale: factor of the loss that was divided out.
        problem: why there is no recording; empty if there is one.
    """

    index: int
    recording: Recording | None
    largest: Mapping[int, float]
    scale: float = 1.0
    problem: str = ""


class Live:
    """Watches forward passes of a model, and the backward passes through them.

    Args:
        model: any module.
        watch: what to watch, and how; in the space of activations.
        scale: returns the factor by which the loop scales the loss now.
    """

    def __init__(self, model: nn.Module, watch: Watch, scale: Callable[[], float] = lambda: 1.0) -> None:
        self._model, self._watch, self._scale = unwrapped(model), watch, scale
        self._plans: deque[Planned] = deque(maxlen=PLANS)
        self._open: deque[ExitStack] = deque()
        self._entered: tuple[ExitStack, Calls, int] | None = None

    def enter(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Begin to watch the forward pass that is about to run; the root module is already being called."""
        self.leave()
        n = self._watch.samples or batch_size([*args, *kwargs.values()])
        stack = ExitStack()
        stack.enter_context(step_by_step(self._model))
        calls = stack.enter_context(module_calls(self._model))
        calls.begin([*args, *kwargs.values()])
        self._entered = stack, calls, n

    def leave(self) -> tuple[Calls, int] | None:
        """Remove the hooks of the forward pass; return what they have seen."""
        if self._entered is None:
            return None
        stack, calls, n = self._entered
        self._entered = None
        stack.close()
        return calls, n

    def watch(self, output: object, receive: Callable[[Pass], None]) -> None:
        """Watch the backward passes through the forward pass that has just returned.

        Args:
            output: what the model returned.
            receive: called at the end of each backward pass.

        Raises:
            GradlensError: the samples of the batch are not known, or the graph cannot be read.
        """
        seen = self.leave()
        if seen is None:
            return
        calls, n = seen
        outputs = [tensor for tensor in returned_tensors(output) if tensor.requires_grad and plain(tensor)]
        if not outputs:
            return
        calls.end(outputs)
        total = _total(outputs)
        nodes, graph, _ = graph_of(self._model, total)
        state = self._plan(Forward(total, nodes, graph, calls), n)
        calls.returned.clear()  # live nodes
        passes = _Passes(self._model, self._watch, state, self._scale, receive)
        stack = ExitStack()
        stack.enter_context(recorded(nodes, state.plan.taps, passes.update))
        self._open.append(stack)
        while len(self._open) > OPEN:
            self._open.popleft().close()

    def close(self) -> None:
        """Remove all hooks."""
        self.leave()
        while self._open:
            self._open.popleft().close()

    def _plan(self, forward: Forward, n: int) -> Planned:
        new, owners = forward.graph, tuple(forward.calls.owners(forward.graph))
        for state in self._plans:
            old = state.plan.graph
            same = state.n == n and old.structure == new.structure and state.plan.owners == owners
            if same and same_shapes(new, old):
                return state
        state = planned(self._model, self._watch, n, forward, None)
        outside = _outside(new, forward.calls.spans[0].end)
        groups = tuple(
            replace(group, total=None) if group.source_key in outside else group
            for group in state.plan.groups
        )
        state = replace(state, plan=replace(state.plan, groups=groups), products=frozenset())
        self._plans.append(state)
        return state


class _Passes:
    """Receives the gradients of the backward passes through one forward pass.

    Args:
        model: the network.
        watch: what is watched, and how.
        state: the plan.
        scale: returns the factor of the loss of the pass that begins.
        receive: called at the end of each backward pass.
    """

    def __init__(
        self,
        model: nn.Module,
        watch: Watch,
        state: Planned,
        scale: Callable[[], float],
        receive: Callable[[Pass], None],
    ) -> None:
        self._model, self._watch, self._state = model, watch, state
        self._scale, self._receive = scale, receive
        self._signals = frozenset(state.plan.signals)
        self._running: Accumulator | None = None
        self._largest: dict[int, Tensor] = {}
        self._factor = 1.0
        self._count = 0

    def update(self, number: int, gradient: Tensor) -> None:
        """Reduce a gradient; the first one of a backward pass asks autograd to call ``_finish`` at its end."""
        if self._running is None:
            self._begin()
        assert self._running is not None
        self._running.update(number, gradient)
        if number in self._signals and gradient.numel():
            self._largest[number] = torch.linalg.vector_norm(gradient, torch.inf)

    def _begin(self) -> None:
        state, self._factor = self._state, self._scale()
        self._running = Accumulator(
            state.plan, state.n, state.projection, self._watch, state.products, state.precision, self._factor
        )
        engine = torch.autograd.Variable._execution_engine
        engine.queue_callback(self._finish)

    def _finish(self) -> None:
        """Hand over what the pass left; autograd calls it when the pass is finished."""
        kept, self._running = self._running, None
        largest, self._largest = self._largest, {}
        index, self._count = self._count, self._count + 1
        if kept is None:
            return
        with torch.no_grad():
            kept.values |= {f"largest {number}": value for number, value in largest.items()}
            try:
                value = kept.value(repeat=False)
            except GradlensError as error:
                self._receive(Pass(index, None, {}, self._factor, str(error)))
                return
        found = {number: float(value.values.pop(f"largest {number}")) / self._factor for number in largest}
        self._receive(Pass(index, self._recording(value), found, self._factor))

    def _recording(self, value: BatchGrams) -> Recording:
        meta = meta_of(self._model, self._watch, self._state)
        return assembled(self._state, [Watched(value, None)], self._watch, None, {}, meta)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside of ``torch.compile`` and ``DistributedDataParallel``, whose names are the user's."""
    for name, kind in (("_orig_mod", "OptimizedModule"), ("module", "DistributedDataParallel")):
        if type(model).__name__ == kind:
            return unwrapped(getattr(model, name))
    return model


def _total(outputs: Sequence[Tensor]) -> Tensor:
    """Return the sum of all outputs, with a graph; nobody differentiates it."""
    with torch.enable_grad(), torch.autocast(outputs[0].device.type, enabled=False):
        sums = [(each.real if each.is_complex() else each).sum() for each in outputs]
        total = sums[0]
        for each in sums[1:]:
            total = total + each.to(total)
        return total


def _outside(graph: Graph, end: int) -> set[TensorKey]:
    """Return the tensors that the sum of the outputs reads; the loop may read them, too.

    Args:
        graph: of the sum.
        end: sequence number of its first operation.
    """
    return {
        TensorKey(edge.producer, edge.output)
        for edge in graph.edges
        if graph.nodes[edge.consumer].sequence >= end > graph.nodes[edge.producer].sequence
    }
