"""Look for the place where a step of a training broke: run it again, or follow the next one while it runs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gradlens.hooks.births import Operation, born_backward, born_forward, operations
from gradlens.hooks.calls import module_calls
from gradlens.hooks.dry import DryPass
from gradlens.hooks.locating import Locations
from gradlens.hooks.modes import uncompiled
from gradlens.hooks.moments import Moment, small
from gradlens.hooks.nesting import copied, plain, tensors_of
from gradlens.hooks.planned import Planned
from gradlens.hooks.recorder import imposed, observed
from gradlens.hooks.returning import returned_tensors
from gradlens.hooks.spreading import Spreading
from gradlens.hooks.stand_in import is_distributed, undisturbed, waits_for_others, weighted_sum
from gradlens.hooks.state import Guard, restored, versions_kept
from gradlens.hooks.tracing import Tracing, kind_of
from gradlens.hooks.unfused import step_by_step
from gradlens.hooks.walking import graph_of, reachable
from gradlens.recording.births import NAN, Birth

TRIES = 3
"""Searches in a row, until a pass is finite; an alarm of a scaled loss needs as many broken steps."""


@dataclass
class Search:
    """The search of one training.

    Attributes:
        tries: searches since the last pass whose gradients are finite.
        live: whether the next measured step is followed while it runs, because a broken one could not be run again.
        constants: searches for an infinite output in which nothing was found: the code writes it down.
    """

    tries: int = 0
    live: bool = False
    constants: int = 0

    def begin(self) -> bool:
        """Return whether to look, and count it."""
        self.tries += 1
        self.live = False
        return self.tries <= TRIES

    def end(self) -> None:
        """Note a backward pass whose gradients are finite."""
        self.tries, self.live = 0, False


class Seen(NamedTuple):
    """A pass whose values are followed.

    Attributes:
        locations: its sites.
        tracing: what was seen in the forward pass.
        nodes: its operations.
        spreading: what is seen in the backward pass.
    """

    locations: Locations
    tracing: Tracing
    nodes: list[Operation]
    spreading: Spreading


class Seeker:
    """Looks for the place where a forward pass, or one of the backward passes through it, broke.

    Args:
        model: the network.
        state: plan of the pass.
        dry: dry pass of a batch of these shapes, or None.
        moment: what is needed to run the pass again, or None; it is not kept alive.
        search: the search of the training.
    """

    def __init__(
        self, model: nn.Module, state: Planned, dry: DryPass | None, moment: Moment | None, search: Search
    ) -> None:
        self._model, self._state, self._dry, self._search = model, state, dry, search
        self._moment = (lambda: None) if moment is None else weakref.ref(moment)
        self._live: Seen | None = None
        self._birth: Birth | None = None
        self._waits = waits_for_others(model) or (_has_others() and (dry is None or dry.communicates))

    @property
    def birth(self) -> Birth | None:
        """What was born in the forward pass and has reached the outputs."""
        return self._birth

    def follow(self, seen: Seen) -> None:
        """Take a pass that is followed while it runs."""
        self._live = seen

    def look(self, outputs: Sequence[Tensor]) -> None:
        """Look at the outputs of the forward pass, which has just returned."""
        values = [output.detach() for output in outputs]
        if not all(bool(torch.isfinite(value).all()) for value in values):
            self._look(values)
        if self._live is not None:
            self._live.tracing.release()

    def _look(self, outputs: Sequence[Tensor]) -> None:
        is_nan = kind_of(outputs) == NAN
        if self._live is not None:
            birth = born_forward(self._live.tracing, outputs, self._live.locations)
            self._birth = None if birth is None else replace(birth, replayed=False)
        elif (is_nan or self._search.constants < TRIES) and self._search.begin():
            self._birth = self._replayed(None)
            self._search.live = self._birth is None and is_nan
            self._search.constants += self._birth is None and not is_nan

    def hold(self, output: int, gradient: Tensor) -> None:
        """Keep the gradient that has arrived at an output."""
        moment = self._moment()
        if moment is not None:
            moment.gradients[output] = gradient

    def forget(self) -> None:
        """Drop the gradients of a backward pass that has ended."""
        moment = self._moment()
        if moment is not None:
            moment.gradients.clear()

    def found(self, backward: int) -> Birth | None:
        """Return where the backward pass that has just ended broke; None if that is not known.

        Args:
            backward: its number.
        """
        if self._birth is not None or not self._search.begin():
            return self._birth
        if self._live is not None:
            _, tracing, nodes, spreading = self._live
            birth = born_backward(spreading, nodes, self._live.locations, backward, tracing)
            birth = None if birth is None else replace(birth, replayed=False)
        else:
            birth = self._replayed(backward)
        self._search.live = birth is None
        return birth

    def ended(self) -> None:
        """Note that the gradients of a backward pass are finite."""
        self._search.end()

    def _replayed(self, backward: int | None) -> Birth | None:
        """Run the step again if that is possible, and return where it broke.

        Args:
            backward: number of the backward pass; None for the forward pass alone.
        """
        moment = self._moment()
        ready = moment is not None and moment.is_present(self._model)
        if moment is None or not ready or self._waits or (backward is not None and not moment.gradients):
            return None
        try:
            with _again(self._model, moment):
                return self._run(moment, backward)
        except Exception:  # of the user's model, so it can be of any kind; the training has to go on
            return None

    def _run(self, moment: Moment, backward: int | None) -> Birth | None:
        batch: Any = copied(moment.batch)
        args, kwargs = batch
        with (
            step_by_step(self._model),
            module_calls(self._model) as calls,
            Tracing(self._model, batch, lambda: calls.innermost) as tracing,
        ):
            returned = self._model(*args, **kwargs)
        outputs = read_outputs(returned)
        if not outputs or not moment.agrees([output.detach() for output in outputs]):
            return None
        total = weighted_sum(outputs)
        known = None if self._dry is None else self._dry.derived
        graph = graph_of(self._model, total, known).graph
        locations = Locations(self._model, self._state, graph, calls)
        if backward is None:
            return born_forward(tracing, outputs, locations)
        if total.grad_fn is None:
            return None
        with seen_in(total, locations, tracing) as seen:
            _differentiate(self._model, batch, outputs, moment)
        return born_backward(seen.spreading, seen.nodes, locations, backward, tracing)


def read_outputs(returned: object) -> list[Tensor]:
    """Return the tensors that a model has returned and a loss can be computed from."""
    return [tensor for tensor in returned_tensors(returned) if tensor.requires_grad and plain(tensor)]


def kept(moment: Moment | None, outputs: Sequence[Tensor]) -> Moment | None:
    """Let the graph of the outputs hold the moment of their forward pass; return it, or None if it cannot be run again.

    The outputs have to be small enough to be kept until the end of the backward pass.
    """
    node = next((output.grad_fn for output in outputs if output.grad_fn is not None), None)
    if moment is None or node is None or not small(outputs):
        return None
    moment.outputs = [output.detach() for output in outputs]
    moment.hold(node)
    return moment


@contextmanager
def seen_in(total: Tensor, locations: Locations, tracing: Tracing) -> Iterator[Seen]:
    """Follow the gradients of the backward passes that run inside the context."""
    assert total.grad_fn is not None
    nodes = reachable(total.grad_fn)
    seen = Seen(locations, tracing, operations(nodes, locations), Spreading())
    del total
    with observed(nodes, seen.spreading.receive):
        nodes.clear()
        yield seen


@contextmanager
def _again(model: nn.Module, moment: Moment) -> Iterator[None]:
    """Prepare another run of a forward pass, and restore everything after it."""
    with ExitStack() as stack:
        for context in (undisturbed(model), versions_kept(model), restored(model), Guard(model).trial()):
            stack.enter_context(context)
        stack.enter_context(uncompiled())
        stack.enter_context(moment.again())
        yield


def _differentiate(model: nn.Module, batch: object, outputs: Sequence[Tensor], moment: Moment) -> None:
    """Run the backward pass with the gradients that have arrived at the outputs."""
    arrived = [(outputs[index], gradient) for index, gradient in moment.gradients.items()]
    starts = [
        (output.grad_fn, output.output_nr, gradient)
        for output, gradient in arrived
        if output.grad_fn is not None
    ]
    leaves = [tensor for tensor in (*model.parameters(), *tensors_of(batch)) if tensor.requires_grad]
    with imposed(starts):
        starts.clear()
        torch.autograd.grad(
            [output for output, _ in arrived],
            leaves,
            [gradient for _, gradient in arrived],
            allow_unused=True,
        )


def _has_others() -> bool:
    return is_distributed() and torch.distributed.get_world_size() > 1
