"""The watched backward passes of one forward pass: of the loss, and of each of several losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from gradlens.errors import GradlensError
from gradlens.grams.accumulator import Accumulator, BatchGrams
from gradlens.grams.agreement import Agreement, BatchLosses
from gradlens.grams.norms import Norms, PassNorms
from gradlens.graph.nodes import TensorKey
from gradlens.hooks.carrying import carried_energies
from gradlens.hooks.checks import check_sums
from gradlens.hooks.freed import backward_error
from gradlens.hooks.planned import Forward, Planned, accumulator_of
from gradlens.hooks.recorder import Arrived, Sink, one_by_one
from gradlens.hooks.recorder import watch as recorded
from gradlens.recording.watch import Watch


@contextmanager
def explained(index: int) -> Iterator[None]:
    """Raise the errors of a backward pass of the block with the number of its batch and the remedy."""
    try:
        yield
    except GradlensError as error:
        raise GradlensError(f"batch {index}: {error}") from error
    except CheckpointError as error:
        raise GradlensError(
            "activation checkpointing returns a saved input only once, and weight space also reads it; turn "
            "checkpointing off for space='weights'"
        ) from error
    except RuntimeError as error:
        reason = backward_error(index, error)
        if reason is None:
            raise
        raise reason from error


def loss_pass(
    state: Planned,
    watch: Watch,
    forward: Forward,
    learning: Sequence[nn.Parameter],
    values: Mapping[str, Tensor],
) -> BatchGrams:
    """Run the watched backward pass of the loss; ``forward.nodes`` is emptied because it keeps the graph alive.

    Args:
        state: what all batches share.
        watch: what is watched, and how.
        forward: the forward pass.
        learning: the trainable parameters.
        values: further values of the batch, to be transferred with the rest.
    """
    plan = state.plan
    kept = accumulator_of(state, watch)
    kept.values |= {**values, "loss": forward.loss.detach()}
    layers = {node: partial(kept.update_weights, node, numbers) for node, numbers in plan.weights.items()}
    again = list(forward.nodes) if plan.exits else []
    with recorded(forward.nodes, plan.taps, kept.update, layers):
        forward.nodes.clear()
        torch.autograd.grad(forward.loss, learning, allow_unused=True, retain_graph=bool(again))
    if again:
        kept.carried = carried_energies(plan, state.n, forward.loss, again, learning)
    return kept.value()


@dataclass
class LossPasses:
    """The watched backward passes of several losses, on one retained graph.

    Attributes:
        state: what all batches share.
        watch: what is watched, and how.
        forward: the forward pass; its nodes are emptied at the end.
        learning: the trainable parameters.
        values: further values of the batch, to be transferred with the rest.
    """

    state: Planned
    watch: Watch
    forward: Forward
    learning: Sequence[nn.Parameter]
    values: Mapping[str, Tensor]

    def run(self) -> tuple[BatchGrams, BatchLosses]:
        """Run a pass for each loss, one for the sum, and those of pairs; return the Grams of the sum and the rest.

        Raises:
            GradlensError: a loss reaches no parameter, or the gradients do not add up to that of the sum.
        """
        summing = self._summing()
        try:
            parts = {name: self._whole({name: 1.0}) for name in self.forward.losses}
            total, norms = self._whole(None)
            agreement = Agreement([part[1] for part in parts.values()], norms)
            names = list(parts)
            for a, b, weight in agreement.wanted():
                agreement.add(a, b, weight, self._norms({names[a]: 1.0, names[b]: weight}))
        finally:
            self.forward.nodes.clear()
        values = np.array([value.item() for value in self.forward.losses.values()])
        losses = BatchLosses(
            {name: self._without(part[0], summing) for name, part in parts.items()},
            values,
            agreement.of_samples(),
            agreement.of_sums(),
            self._known(agreement.errors(), summing),
        )
        check_sums(self.state.plan, losses.errors, norms.eps)
        return total, losses

    def _summing(self) -> set[int]:
        """Return the nodes that add the losses up; the pass of one loss starts behind them."""
        numbers = {node: number for number, node in enumerate(self.forward.nodes)}
        losses = {
            TensorKey(numbers[loss.grad_fn], loss.output_nr)
            for loss in self.forward.losses.values()
            if loss.grad_fn in numbers
        }
        del numbers  # live nodes
        inputs, ready = self.state.plan.graph.inputs, [0]
        for node in ready:
            edges = [
                edge for edge in inputs.get(node, ()) if TensorKey(edge.producer, edge.output) not in losses
            ]
            ready += {edge.producer for edge in edges}.difference(ready)
        return set(ready)

    def _known(self, errors: NDArray[np.float64], summing: set[int]) -> NDArray[np.float64]:
        """Return the errors by probe; 0 where the losses are added up."""
        between = [probe.node in summing for probe in self.state.plan.probes]
        return np.where(between, 0.0, errors)

    def _without(self, grams: BatchGrams, summing: set[int]) -> BatchGrams:
        """Return the statistics of one loss without the errors at losses that other losses are computed from."""
        plan = self.state.plan
        errors = {
            index: error
            for index, error in grams.errors.items()
            if not any(
                plan.probes[number].node in summing
                for member in plan.groups[index].members
                for number in member
            )
        }
        return replace(grams, errors=errors)

    def _whole(self, weights: Mapping[str, float] | None) -> tuple[BatchGrams, PassNorms]:
        """Run the pass of one loss, or of the sum if ``weights`` is None; keep Grams and norms."""
        plan = self.state.plan
        kept, norms = self._accumulator(), self._empty()
        if weights is None:
            kept.values |= self.values

        def receive(arrived: Arrived) -> None:
            kept.update(arrived)
            for number, gradient in arrived:
                norms.update(number, gradient)

        self._backward(weights, receive, kept)
        if plan.exits and self._roots(weights):
            loss = self.forward.loss if weights is None else self._roots(weights)[0]
            kept.carried = carried_energies(
                plan, self.state.n, loss, list(self.forward.nodes), self.learning, retain=True
            )
        grams = kept.value()
        return grams, norms.value(grams.grams)

    def _norms(self, weights: Mapping[str, float]) -> PassNorms:
        """Run the pass of a weighted sum of losses; keep the norms alone."""
        norms = self._empty()
        kept = self._accumulator() if self.state.plan.weights else None
        self._backward(weights, one_by_one(norms.update), kept)
        return norms.value(None if kept is None else kept.value().grams)

    def _backward(self, weights: Mapping[str, float] | None, receive: Sink, kept: Accumulator | None) -> None:
        plan, roots = self.state.plan, self._roots(weights)
        layers = {} if kept is None else plan.weights
        hooks = {
            node: partial(kept.update_weights, node, numbers) for node, numbers in layers.items() if kept
        }
        if not roots:
            return
        factors = None
        if weights is not None:
            live = [weight for name, weight in weights.items() if self.forward.losses[name].requires_grad]
            factors = [torch.full_like(root, weight) for root, weight in zip(roots, live, strict=True)]
        with recorded(self.forward.nodes, plan.taps, receive, hooks):
            gradients = torch.autograd.grad(
                roots, self.learning, factors, allow_unused=True, retain_graph=True
            )
        if weights is not None and all(gradient is None for gradient in gradients):
            raise GradlensError(
                f"the loss {next(iter(weights))!r} reaches no trainable parameter of the model; leave it out of the "
                "losses, or detach it where it is zero"
            )

    def _roots(self, weights: Mapping[str, float] | None) -> list[Tensor]:
        """Return the losses to differentiate; a constant has no gradient."""
        if weights is None:
            return [self.forward.loss]
        return [loss for loss in map(self.forward.losses.__getitem__, weights) if loss.requires_grad]

    def _accumulator(self) -> Accumulator:
        return accumulator_of(self.state, self.watch)

    def _empty(self) -> Norms:
        scale = float(self.state.n) if self.watch.reduction == "mean" else 1.0
        return Norms(self.state.plan, self.state.n, self.state.projection, scale)
