"""Watched backward passes: plan at the first batch, accumulate at each, check every sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gradlens.grams.accumulator import BatchGrams
from gradlens.grams.agreement import BatchLosses
from gradlens.grams.precision import LossNotFiniteError, PrecisionLostError
from gradlens.graph.backbone import backbone_modules
from gradlens.hooks.backward import LossPasses, explained, loss_pass
from gradlens.hooks.calls import module_calls
from gradlens.hooks.causes import alive_after, by_gradients, by_parameters
from gradlens.hooks.checks import (
    check_exact,
    check_same_graph,
    check_same_losses,
    check_same_sites,
    check_same_size,
    checked_losses,
    checked_size,
    loss_error,
    same_shapes,
)
from gradlens.hooks.constants import Derived, Reads
from gradlens.hooks.costs import step_costs
from gradlens.hooks.cutting import first_samples, has_two_readings
from gradlens.hooks.dry import SAMPLES, DryPass, dry_pass
from gradlens.hooks.following import Following, dry_samples
from gradlens.hooks.forecast import forecast
from gradlens.hooks.freed import FREED, FreedGraphError, forget_graphs
from gradlens.hooks.hooked import HookedTensors
from gradlens.hooks.nesting import copied
from gradlens.hooks.planned import Forward, Planned, planned
from gradlens.hooks.state import Guard, restored, versions_kept
from gradlens.hooks.steps import Step, errors_of, labels_of, seed_draws, step_of
from gradlens.hooks.timing import passes
from gradlens.hooks.unfused import step_by_step
from gradlens.hooks.walking import graph_of
from gradlens.losses import Losses, total
from gradlens.recording.causes import Cause
from gradlens.recording.costs import Costs
from gradlens.recording.watch import Watch

Result = TypeVar("Result")


def _silent(message: str) -> None:
    """Ignore a message."""


class Watched(NamedTuple):
    """The data of one batch that is kept.

    Attributes:
        grams: Grams, inner products and errors.
        labels: class of each sample ``[n]``, or None.
        by_loss: the same of each loss, if there are several; else None.
    """

    grams: BatchGrams
    labels: NDArray[np.int64] | None
    by_loss: BatchLosses | None = None


@dataclass(frozen=True)
class Watcher:
    """Runs watched backward passes; it holds no state between them.

    Attributes:
        model: the network, in the mode in which it is measured.
        watch: what to watch, and how.
        step: ``step(model, batch) -> scalar loss``; cross entropy of (inputs, targets) by default.
        report: called with a forecast of the cost of weight space, before the first gradient is computed.
        guard: restores the parameters that the step changes; None leaves them.
        seeded: whether random numbers are drawn anew for each batch, or go on from the state at hand.
    """

    model: nn.Module
    watch: Watch = field(default_factory=Watch)
    step: Step = field(default_factory=partial(step_of, None, None))
    report: Callable[[str], None] = _silent
    guard: Guard | None = None
    seeded: bool = True

    def first(self, batch: object) -> tuple[Planned, Watched]:
        """Plan from the first batch and watch its backward pass.

        Raises:
            GradlensError: a check fails (see ``checks``).
        """
        n = checked_size(0, batch, self.watch)
        with errors_of(self.step, self.model):
            state, forward = self._planned(0, batch, n)
            if state.plan.weights:
                self.report(str(forecast(state.plan, n)))
            return state, self._watched(state, 0, batch, forward)

    def next(self, state: Planned, index: int, batch: object) -> Watched:
        """Watch the backward pass of a later batch.

        Raises:
            GradlensError: a check fails (see ``checks``).
        """
        check_same_size(index, checked_size(index, batch, self.watch), state.n)
        with errors_of(self.step, self.model):
            return self._again(lambda: self._next(state, index, batch))

    def _again(self, run: Callable[[], Result]) -> Result:
        """Run a pass; if the model keeps a part of an earlier graph in a cache, empty the cache and run it again."""
        try:
            return run()
        except (FreedGraphError, RuntimeError) as error:
            used = isinstance(error, FreedGraphError) or FREED in str(error)
            if not (used and forget_graphs(self.model)):
                raise
        return run()

    def _next(self, state: Planned, index: int, batch: object) -> Watched:
        forward = self._forward(index, batch, state.derived)
        check_same_losses(index, tuple(forward.losses), state.losses)
        check_same_graph(index, forward.graph, state.plan, forward.calls.owners)
        if not same_shapes(forward.graph, state.plan.graph):
            state = self._replanned(state, index, batch, forward)
        return self._watched(state, index, batch, forward)

    def _planned(self, index: int, batch: object, n: int) -> tuple[Planned, Forward]:
        dry = self.dry(index, batch, n)
        forward = self._forward(index, batch, None if dry is None else dry.derived)
        return planned(self.model, self.watch, n, forward, dry), forward

    def _replanned(self, state: Planned, index: int, batch: object, forward: Forward) -> Planned:
        """Plan a batch whose tensors have other shapes, or whose rows move in another way, for itself."""
        dry = self.dry(index, batch, state.n)
        own = planned(self.model, self.watch, state.n, forward, dry)
        check_same_sites(index, own.plan, state.plan)
        return own

    def costs(self, state: Planned, batch: object) -> Costs:
        """Return the costs of one step on this batch."""
        run = lambda: step_costs(self.model, lambda: self._total(batch), state.n)  # noqa: E731
        return self._again(run)

    def causes(self, state: Planned, batch: object, numbers: Sequence[int]) -> dict[int, list[Cause]]:
        """Return where the gradients of dead signals end; another step is run if the parameters do not show it.

        Args:
            state: what all batches share.
            batch: a batch in which the signals are dead.
            numbers: their probes.
        """
        causes = by_parameters(self.model, state.plan, numbers)
        rest = [number for number in numbers if number not in causes]
        if not rest:
            return causes
        forward = self._again(lambda: self._forward(0, batch, state.derived))
        if forward.graph.structure != state.plan.graph.structure:
            return causes
        return causes | by_gradients(
            self.model, state.plan, rest, alive_after(self.model, state.plan, rest, forward)
        )

    def speeds(self, state: Planned, batch: object, repeats: int) -> dict[str, list[float]]:
        """Return measured images per second by pass."""
        backbone = backbone_modules(state.plan.owners, state.plan.stages)
        return passes(self.model, self._total, batch, state.n, repeats, backbone)

    def _losses(self, index: int, batch: object) -> Losses:
        return checked_losses(index, self.model, lambda: self.step(self.model, copied(batch)))

    def _total(self, batch: object) -> Tensor:
        return total(self.step(self.model, copied(batch)))

    def _forward(self, index: int, batch: object, known: Derived | None) -> Forward:
        self._seed(index)
        with step_by_step(self.model), module_calls(self.model) as calls:
            losses = self._losses(index, batch)
        nodes, graph, _ = graph_of(self.model, losses.total, known)
        return Forward(losses.total, nodes, graph, calls, losses.parts)

    def _seed(self, index: int) -> None:
        if self.seeded:
            seed_draws(self.watch.seed, index)

    def dry(self, index: int, batch: object, n: int) -> DryPass | None:
        """Run the dry pass and undo its effects; None if the batch cannot be cut into samples.

        An error of the pass means that the network does not take a part of the batch (edges of a graph, a fixed batch
        size), or that it was cut along another axis. An error of the model recurs with the whole batch.
        """
        samples, second = dry_samples(self.model, batch, n, SAMPLES), self.watch.samples is not None
        for axis in (second, not second) if has_two_readings(batch, n) else (second,):
            few = first_samples(batch, samples, n, second=axis)
            dry = None if few is None else self._tried(index, few, samples)
            if dry is not None:
                return dry
        if few is None and self.guard is not None:
            self.guard.copy_all()
        return None

    def _tried(self, index: int, few: object, samples: int) -> DryPass | None:
        self._seed(index)
        trial = self.guard.trial() if self.guard is not None else nullcontext()
        with versions_kept(self.model), restored(self.model), trial:
            try:
                return self._followed(index, few, samples)
            except Exception:  # of the user's model, so it can be of any kind
                return None

    def _followed(self, index: int, few: object, samples: int) -> DryPass:
        """Run the dry pass; follow what comes from the batch, and note the tensors with hooks."""
        with (
            step_by_step(self.model),
            HookedTensors() as hooks,
            Following(self.model, few, samples) as following,
        ):
            losses = checked_losses(index, self.model, lambda: self.step(self.model, few))
        reads = Reads(following.reads, samples, frozenset(following.moved), following.stacked)
        dry = dry_pass(self.model, losses.total, samples, reads, hooks.tensors)
        return dry._replace(communicates=following.communicates)

    def _watched(self, state: Planned, index: int, batch: object, forward: Forward) -> Watched:
        loss = forward.loss.detach()
        try:
            with suppress(PrecisionLostError):  # on an accelerator; such gradients are rare
                return self._passed(state, index, batch, forward)
            return self._passed(state, index, batch, self._forward(index, batch, state.derived))
        except LossNotFiniteError as error:
            run = lambda: self.step(self.model, copied(batch))  # noqa: E731
            raise loss_error(index, "", loss.item(), self.model, run) from error

    def _passed(self, state: Planned, index: int, batch: object, forward: Forward) -> Watched:
        forward.calls.returned.clear()  # live nodes
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        labels = labels_of(batch, state.n)
        by_loss, values = None, {} if labels is None else {"labels": labels}
        with explained(index):
            if forward.losses and self.watch.by_loss:
                value, by_loss = LossPasses(state, self.watch, forward, learning, values).run()
            else:
                value = loss_pass(state, self.watch, forward, learning, values)
        check_exact(state.plan, value, state.dry_errors)
        for part in () if by_loss is None else by_loss.parts.values():
            check_exact(state.plan, part, {})
        known = value.values.get("labels")
        return Watched(value, None if known is None else known.astype(np.int64), by_loss)
