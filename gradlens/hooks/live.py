"""Watch backward passes that somebody else runs: hooks on the graph of a forward pass in an unchanged training loop.

The loss is not known when a forward pass ends. The graph is therefore read from a weighted sum of all outputs, which
nobody differentiates: its operations stand in for the loss. What the loop computes from the outputs, one loss or
several, is outside of the graph, and the gradient that arrives at the outputs is the loss signal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.grams.accumulator import BatchGrams
from gradlens.grams.precision import NotFiniteError
from gradlens.hooks.assembling import assembled, meta_of
from gradlens.hooks.calls import Calls, module_calls
from gradlens.hooks.checks import same_shapes, same_trained
from gradlens.hooks.dry import DryPass
from gradlens.hooks.locating import Locations
from gradlens.hooks.moments import Moment
from gradlens.hooks.outside import read_outside, source_of, within
from gradlens.hooks.passes import Broken, Pass, Running
from gradlens.hooks.planned import Forward, Planned, accumulator_of, planned
from gradlens.hooks.recorder import Arrived, arriving
from gradlens.hooks.recorder import watch as recorded
from gradlens.hooks.samples import batch_size
from gradlens.hooks.seeking import Search, Seeker, kept, read_outputs, seen_in
from gradlens.hooks.stand_in import DryPasses, unwrapped, weighted_sum
from gradlens.hooks.tracing import Tracing
from gradlens.hooks.unfused import step_by_step
from gradlens.hooks.walking import graph_of
from gradlens.hooks.watcher import Watched
from gradlens.recording import Recording
from gradlens.recording.watch import Watch

OPEN = 16
"""Watched forward passes whose backward pass is waited for; of older ones the hooks are removed."""
NONE = -1
"""No backward pass is running."""
PLANS = 16
"""Plans that are kept for graphs that change from step to step, as with stochastic depth."""


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
        self._dry = DryPasses(self._model, watch)
        self._open: deque[ExitStack] = deque()
        self._entered: _Entered | None = None
        self._search = Search()
        self._unanswered: Callable[[], None] | None = None

    def enter(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Begin to watch the forward pass that is about to run; the root module is already being called.

        Raises:
            GradlensError: the samples of the batch are not known.
        """
        self.leave()
        batch = (tuple(args), dict(kwargs))
        try:
            n = self._watch.samples or batch_size([*args, *kwargs.values()])
        except GradlensError as error:
            raise GradlensError(str(error).replace("capture(", "gl.watch(")) from None
        if not n:
            raise GradlensError("the inputs of the model show no samples; pass gl.watch(..., samples=N)")
        dry = self._dry.of(batch, n)
        moment = None if self._search.live else Moment.now(self._model, args, kwargs)
        with ExitStack() as stack:
            stack.enter_context(step_by_step(self._model))
            calls = stack.enter_context(module_calls(self._model))
            calls.begin([*args, *kwargs.values()])
            tracing = Tracing(self._model, batch, lambda: calls.innermost) if self._search.live else None
            self._entered = _Entered(stack.pop_all(), calls, n, dry, moment, tracing, ExitStack())
        if tracing is not None:
            self._entered.following.enter_context(tracing)

    def leave(self) -> None:
        """Remove the hooks of the forward pass."""
        if self._entered is not None:
            self._entered.following.close()
            self._entered.stack.close()
            self._entered = None

    def interrupt(self) -> None:
        """Stop following the values of a forward pass that raised an exception."""
        if self._entered is not None:
            self._entered.following.close()

    def watch(self, output: object, receive: Callable[[Pass], None]) -> bool:
        """Watch the backward passes through the forward pass that has just returned; False if none can follow.

        Args:
            output: what the model returned.
            receive: called at the end of each backward pass.

        Raises:
            GradlensError: the graph cannot be read.
        """
        entered = self._entered
        self.leave()
        outputs = read_outputs(output)
        if entered is None or not outputs:
            return False
        calls, n, dry = entered.calls, entered.n, entered.dry
        calls.end(outputs)
        total = weighted_sum(outputs)
        nodes, graph, _ = graph_of(self._model, total, None if dry is None else dry.derived)
        state = self._plan(Forward(total, nodes, graph, calls), n, dry)
        calls.returned.clear()  # live nodes
        moment = kept(entered.moment, outputs)
        seeker = Seeker(self._model, state, dry, moment, self._search)
        passes = _Passes(self._model, self._watch, state, self._scale, receive, seeker)
        stack = ExitStack()
        stack.enter_context(recorded(nodes, state.plan.taps, passes.update))
        nodes.clear()
        if moment is not None:
            stack.enter_context(arriving(outputs, seeker.hold))
        elif entered.tracing is not None:
            locations = Locations(self._model, state, graph, calls)
            seeker.follow(stack.enter_context(seen_in(total, locations, entered.tracing)))
        seeker.look(outputs)
        self._unanswered = passes.unanswered if seeker.birth is not None else None
        self._open.append(stack)
        while len(self._open) > OPEN:
            self._open.popleft().close()
        return True

    def forget(self) -> None:
        """Remove the hooks of the forward pass that was watched last."""
        self._unanswered = None
        self._open.pop().close()

    def close(self) -> None:
        """Remove all hooks."""
        self.leave()
        while self._open:
            self._open.popleft().close()
        self.answer()

    def answer(self) -> None:
        """Hand over what a forward pass has made that is not finite, if no backward pass followed."""
        unanswered, self._unanswered = self._unanswered, None
        if unanswered is not None:
            unanswered()

    def _plan(self, forward: Forward, n: int, dry: DryPass | None) -> Planned:
        new, owners = forward.graph, tuple(forward.calls.owners(forward.graph))
        for state in self._plans:
            old = state.plan.graph
            same = state.n == n and old.structure == new.structure and state.plan.owners == owners
            if same and same_shapes(new, old) and same_trained(new, old):
                return state
        state = planned(self._model, self._watch, n, forward, dry)
        state = within(state, read_outside(new, forward.calls.spans[0].end))
        self._plans.append(state)
        return state


class _Entered(NamedTuple):
    """A forward pass that runs.

    Attributes:
        stack: its hooks.
        calls: its module calls.
        n: samples of the batch.
        dry: dry pass of a batch of these shapes.
        moment: what is needed to run it again.
        tracing: what follows its values; None in most passes.
        following: the context of ``tracing``.
    """

    stack: ExitStack
    calls: Calls
    n: int
    dry: DryPass | None
    moment: Moment | None
    tracing: Tracing | None
    following: ExitStack


class _Passes:
    """Receives the gradients of the backward passes through one forward pass.

    Args:
        model: the network.
        watch: what is watched, and how.
        state: the plan.
        scale: returns the factor of the loss of the pass that begins.
        receive: called at the end of each backward pass.
        seeker: looks for the place where a pass broke.
    """

    def __init__(
        self,
        model: nn.Module,
        watch: Watch,
        state: Planned,
        scale: Callable[[], float],
        receive: Callable[[Pass], None],
        seeker: Seeker,
    ) -> None:
        self._model, self._watch, self._state = model, watch, state
        self._scale, self._receive, self._seeker = scale, receive, seeker
        self._signals = frozenset(state.plan.signals)
        self._steps = {step: number for number, series in state.plan.series.items() for step in series.steps}
        self._running: Running | None = None
        self._count = 0

    def update(self, arrived: Arrived) -> None:
        """Reduce gradients; the first one of a backward pass asks autograd to call ``_finish`` at its end."""
        task = torch._C._current_graph_task_id()
        if self._running is None or self._running.task != task:  # the one before was interrupted
            self._running = Running(task)
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)
        if self._running.problem:
            return
        try:
            self._reduce(self._running, arrived)
        except Exception as error:  # the training has to go on
            self._running.problem, self._running.kept = _words(error), None

    def _reduce(self, running: Running, arrived: Arrived) -> None:
        if running.kept is None:
            running.factor = float(self._scale())
            running.kept = accumulator_of(self._state, self._watch, running.factor)
        running.kept.update(arrived)
        for number, gradient in arrived:
            signal = self._steps.get(number, number)
            if signal in self._signals and gradient.numel():
                largest = torch.linalg.vector_norm(gradient, torch.inf)
                known = running.largest.get(signal)
                running.largest[signal] = largest if known is None else torch.maximum(known, largest)

    def _finish(self) -> None:
        """Hand over what the pass left; autograd calls it when the pass is finished."""
        running, self._running = self._running, None
        if running is None:
            return
        index, self._count = self._count, self._count + 1
        try:
            finished = self._finished(index, running)
        except Exception as error:  # the training has to go on
            finished = Pass(index, None, {}, running.factor, _words(error))
        self._seeker.forget()
        self._receive(finished)

    def unanswered(self) -> None:
        """Hand over what was born in the forward pass, if no backward pass has ended."""
        birth = self._seeker.birth
        if birth is None or self._count:
            return
        broken = Broken(birth.stage, birth.site, birth.samples, self._state.n)
        problem = "the outputs of the model are not finite, and no backward pass followed"
        self._receive(Pass(0, None, {}, problem=problem, broken=broken, birth=birth, alone=True))

    def _finished(self, index: int, running: Running) -> Pass:
        if running.kept is None:
            return Pass(index, None, {}, running.factor, running.problem)
        with torch.no_grad():
            running.kept.values |= {f"largest {number}": value for number, value in running.largest.items()}
            try:
                value = running.kept.value(repeat=False)
            except NotFiniteError as error:
                site = source_of(self._state.plan, error.probe)
                broken = Broken(error.probe.stage, site, tuple(error.samples), self._state.n)
                problem = f"a gradient is not finite, first one that {site} passes back"
                return Pass(index, None, {}, running.factor, problem, broken, self._seeker.found(index))
            self._seeker.ended()
        unit = (self._state.n if self._watch.reduction == "mean" else 1) / running.factor
        largest = {number: float(value.values.pop(f"largest {number}")) * unit for number in running.largest}
        return Pass(index, self._recording(value), largest, running.factor)

    def _recording(self, value: BatchGrams) -> Recording:
        meta = meta_of(self._model, self._watch, self._state)
        return assembled(self._state, [Watched(value, None)], self._watch, None, {}, meta)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
