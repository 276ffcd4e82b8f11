"""One watched backward pass after another: plan at the first, accumulate at each, check every sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from gradlens.errors import GradlensError, close_matches
from gradlens.grams.accumulator import TOLERANCE, Accumulator, BatchGrams, projected_features
from gradlens.grams.projection import Projection
from gradlens.graph.layout import Sizes
from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.plan import Plan
from gradlens.graph.planning import plan_sites
from gradlens.hooks.calls import Calls, module_calls
from gradlens.hooks.costs import step_costs
from gradlens.hooks.dry import SAMPLES, DryPass, batch_size, dry_pass, first_samples
from gradlens.hooks.finiteness import first_not_finite
from gradlens.hooks.forecast import forecast
from gradlens.hooks.recorder import watch as watching
from gradlens.hooks.steps import Step, labels_of, seed_draws, step_of
from gradlens.hooks.timing import passes
from gradlens.hooks.unseen import partly_seen, unseen_layers
from gradlens.hooks.walking import walk
from gradlens.recording import Recording
from gradlens.recording.costs import Costs
from gradlens.recording.watch import SITES, Watch


@dataclass
class Watcher:
    """One watched backward pass after another; the first decides what is watched.

    Attributes:
        model: in the mode it is to be watched in.
        watch: what to watch, and how.
        step: ``step(model, batch) -> scalar loss``; cross entropy of (inputs, targets) by default.
        tell: called with what weight space will cost, before the first gradient is computed.
    """

    model: nn.Module
    watch: Watch = field(default_factory=Watch)
    step: Step | None = None
    tell: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        self._step = step_of(None, self.step)
        self.n = 0
        self.plan: Plan | None = None
        self.dry: DryPass | None = None
        self.projection: Projection | None = None
        self.labels: list[Any] = []
        self.unseen: list[str] = []
        self.partly: list[str] = []
        self.wanted = [p for p in self.model.parameters() if p.requires_grad]
        self.known = {id(parameter): name for name, parameter in self.model.named_parameters()}

    def batch(self, place: int, batch: Any) -> BatchGrams:
        """One watched backward pass."""
        self._check_size(place, batch)
        if self.plan is None:
            self.dry = self._dry(batch)
        seed_draws(self.watch.seed, place)
        with module_calls(self.model) as calls:
            loss = self._loss(place, batch)
        assert loss.grad_fn is not None  # checked in _loss
        nodes, graph = walk([loss.grad_fn], self.known)
        if self.plan is None:
            self._choose(nodes, graph, calls)
        elif graph.structure != self.plan.graph.structure:
            raise GradlensError(_changed(place, graph.nodes, self.plan.graph.nodes))
        calls.output = None
        value = self._backward(place, loss, nodes)
        self.labels.append(labels_of(batch, self.n))
        self._check_exact(value)
        return value

    def _choose(self, nodes: list[Any], graph: Graph, calls: Calls) -> None:
        """Plan what to watch from the first graph."""
        output = _output_key(nodes, calls.output)
        image = _image(calls.inputs)
        watch = self.watch
        self.plan = plan_sites(
            self._sizes(graph), calls.owners(graph), image, output, watch.sites, watch.space, watch.modules
        )
        self._check_sites(self.plan)
        self.unseen = unseen_layers(self.model, calls, self.plan)
        self.partly = partly_seen(self.plan)
        if self.plan.weights and self.tell is not None:
            self.tell(str(forecast(self.plan, self.n)))
        self.projection = Projection(projected_features(self.plan, self.n), self.watch.seed)

    def _backward(self, place: int, loss: Tensor, nodes: list[Any]) -> BatchGrams:
        """One watched backward pass; ``nodes`` is emptied, for it keeps the graph alive."""
        assert self.plan is not None
        assert self.projection is not None
        kept = Accumulator(self.plan, self.n, self.projection, self.watch)
        layers = {node: partial(kept.weigh, node, numbers) for node, numbers in self.plan.weights.items()}
        try:
            with watching(nodes, self.plan.probes, kept.update, layers):
                nodes.clear()
                torch.autograd.grad(loss, self.wanted, allow_unused=True)
        except GradlensError as error:
            raise GradlensError(f"batch {place}: {error}") from error
        except CheckpointError as error:
            raise GradlensError(
                "activation checkpointing hands a saved input out once, and weight space reads it too: turn "
                "checkpointing off for space='weights'"
            ) from error
        return kept.value()

    def _check_sites(self, plan: Plan) -> None:
        if not plan.signals and not plan.groups and self.watch.modules is not None:
            modules = sorted({owner.module for owner in plan.owners if owner.module})
            raise GradlensError(
                f"no watched module matches {self.watch.sites!r}; there are {', '.join(modules[:6])}, … "
                f"({len(modules)} in all), or use {', '.join(SITES)}"
                + close_matches(self.watch.sites, modules)
            )

    def _check_size(self, place: int, batch: Any) -> None:
        n = self.watch.samples or batch_size(batch)
        if not n:
            raise GradlensError(
                f"no samples are found in batch {place}, a {type(batch).__name__}; say how many a batch holds "
                "with capture(..., samples=N)"
            )
        if n < 4:
            raise GradlensError(
                f"batch {place} has {n} samples; gradients are compared over samples and the unbiased "
                "HSIC needs at least 4 (and BatchNorm in train mode at least 2): raise the batch size"
            )
        if self.n and n != self.n:
            raise GradlensError(f"batch {place} has {n} samples, the first {self.n}: drop the odd one")
        self.n = n

    def _loss(self, place: int, batch: Any) -> Tensor:
        loss = self._step(self.model, batch)
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            given = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise GradlensError(f"the loss is not a scalar tensor ({given}); reduce it over the batch")
        value = loss.item()
        if not math.isfinite(value):
            where = first_not_finite(self.model, lambda: self._step(self.model, batch))
            raise GradlensError(f"batch {place}: the loss is {value}{where}")
        if loss.is_inference() or not torch.is_grad_enabled():
            raise GradlensError("no graph is recorded in torch.inference_mode(); call capture outside of it")
        if loss.grad_fn is None or not self.wanted:
            raise GradlensError("the loss needs no gradient: no parameter of the model requires one")
        return loss

    def _dry(self, batch: Any) -> DryPass | None:
        samples = min(SAMPLES, self.n - 1)
        few = first_samples(batch, samples)
        if few is None:
            return None
        seed_draws(self.watch.seed, 0)
        try:
            return dry_pass(self.model, self._loss(0, few), samples)
        except (
            ValueError,
            RuntimeError,
        ):  # cut along an axis that is not the samples'; the whole batch decides
            return None

    def _sizes(self, graph: Graph) -> Sizes:
        dry = self.dry
        if dry is None or dry.graph.structure != graph.structure:
            return Sizes(graph, self.n, None, 0)
        return Sizes(graph, self.n, dry.graph, dry.samples)

    def _check_exact(self, value: BatchGrams) -> None:
        assert self.plan is not None
        errors = dict(value.errors)
        for index, dry in self._dry_errors(self.plan).items():
            errors[index] = max(errors.get(index, 0.0), 0.0 if math.isnan(dry) else dry)
        for index, error in errors.items():
            if error > value.tolerances.get(index, TOLERANCE):
                raise GradlensError(
                    f"the contributions at {self.plan.groups[index].site} do not add up to its gradient "
                    f"(relative error {error:.1e}); no later number could be trusted"
                )

    def _dry_errors(self, plan: Plan) -> dict[int, float]:
        """By group with a sum, the dry pass's error; NaN where there was none."""
        found: dict[int, float] = {}
        same = self.dry is not None and self.dry.graph.structure == plan.graph.structure
        for index, group in enumerate(plan.groups):
            if group.where == "merge" or group.form == "project":
                continue
            source = TensorKey(*group.source)
            found[index] = self.dry.errors.get(source, math.nan) if same and self.dry else math.nan
        return found

    def costs(self, batch: Any) -> Costs:
        """What one step on this batch costs."""
        return step_costs(self.model, lambda: self._step(self.model, batch), self.n)

    def speeds(self, batch: Any, repeats: int) -> dict[str, list[float]]:
        """Measured images a second by pass."""
        return passes(self.model, lambda item: self._step(self.model, item), batch, self.n, repeats)

    def recording(
        self,
        finished: list[BatchGrams],
        costs: Costs | None,
        speeds: Mapping[str, list[float]],
        meta: Mapping[str, Any],
    ) -> Recording:
        """Everything that was kept of the finished batches."""
        assert self.plan is not None
        labels = self.labels[: len(finished)]
        return Recording(
            plan=self.plan,
            grams=np.stack([batch.grams for batch in finished], axis=1),
            halves=_stacked([batch.halves for batch in finished]),
            inner={g: np.stack([batch.inner[g] for batch in finished]) for g in finished[0].inner},
            projected_errors={
                g: np.array([batch.errors.get(g, 0.0) for batch in finished]) for g in finished[0].errors
            },
            dry_errors=self._dry_errors(self.plan),
            labels=np.stack(labels) if all(label is not None for label in labels) else None,
            replicates=tuple((self.watch.seed, place) for place in range(len(finished))),
            costs=costs,
            throughput=speeds,
            meta=meta,
        )


def _stacked(halves: list[Any]) -> Any:
    """``[l, s, n, n]``, or None where they were not kept."""
    return None if any(half is None for half in halves) else np.stack(halves, axis=1)


def _output_key(nodes: list[Any], output: tuple[Any, int] | None) -> TensorKey | None:
    if output is None or output[0] not in nodes:
        return None
    return TensorKey(nodes.index(output[0]), output[1])


def _image(inputs: list[torch.Size]) -> tuple[int, ...]:
    """Spatial size of the first input that has one."""
    return next((tuple(shape[2:]) for shape in inputs if len(shape) > 2), ())


def _changed(place: int, now: Any, before: Any) -> str:
    for mine, theirs in zip(now, before, strict=False):
        if mine.operation != theirs.operation:
            difference = f"{theirs.operation} became {mine.operation}"
            break
    else:
        difference = f"{len(before)} operations became {len(now)}"
    return (
        f"batch {place}: the graph changed ({difference}); layers that are switched on and off at "
        "random cannot be averaged: capture in eval mode, or one batch at a time"
    )
