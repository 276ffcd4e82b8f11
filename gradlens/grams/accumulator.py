"""Accumulate the statistics of one batch: ``update`` with each gradient, then read ``value``."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.grams.gram import gram, in_order, real, rows
from gradlens.grams.pairs import PairProduct, inner_products
from gradlens.grams.projection import Projection, wide
from gradlens.grams.roles import Role, roles
from gradlens.grams.uses import Use, saved_of, use_of
from gradlens.grams.weights import weight_grams
from gradlens.graph.layout import Layout
from gradlens.graph.plan import Group, Plan
from gradlens.recording.watch import Watch

TOLERANCE = 1e-4
"""Relative error of a projected sum above which it is wrong; float32 rounding stays below 1e-5 in practice."""


@dataclass
class BatchGrams:
    """Statistics of one batch.

    Attributes:
        grams: ``[p, n, n]`` float64 by probe; NaN if no axis holds the samples.
        inner: by fork of three or more branches or of two uneven ones, per-sample inner products ``[b, b, n]``.
        halves: ``[l, n, n]`` of half of each signal's features, or None.
        errors: by group with an accumulated gradient, the relative error of its projected sum.
        tolerances: by group with an accumulated gradient, the largest error that rounding can cause.
        carried: by step of a recurrence, the energy ``[n]`` that it carries back (see ``hooks.carrying``).
    """

    grams: NDArray[np.float64]
    inner: dict[int, NDArray[np.float64]]
    halves: NDArray[np.float64] | None
    errors: dict[int, float]
    tolerances: dict[int, float]
    carried: dict[int, NDArray[np.float64]]


class Accumulator:
    """Reduces the gradients of one backward pass; holds sketches (with ``pairs="exact"`` contributions) of open forks.

    Args:
        plan: what is watched.
        n: samples in the batch.
        projection: random signs, shared by all batches.
        watch: options ``pairs`` and ``halves``, and the ``reduction`` of the loss.
        products: forks of two branches whose inner products are computed from the contributions, not from Grams.

    Attributes:
        carried: by step of a recurrence, the energy ``[n]`` that it carries back, if that was measured.
    """

    def __init__(
        self,
        plan: Plan,
        n: int,
        projection: Projection,
        watch: Watch,
        products: Collection[int] = (),
    ) -> None:
        self._plan, self._n, self._projection = plan, n, projection
        self._exact = watch.pairs == "exact"
        self._scale = float(n) if watch.reduction == "mean" else 1.0
        self._roles = roles(plan)
        self._grams = torch.zeros(len(plan.probes), n, n, dtype=torch.float64)
        for number, probe in enumerate(plan.probes):
            if not probe.sampled:
                self._grams[number] = torch.nan
        self._rank = {number: rank for rank, number in enumerate(plan.signals)} if watch.halves else {}
        self._steps = {step for series in plan.series.values() for step in series.steps}
        self._halves = torch.full((len(self._rank), n, n), torch.nan, dtype=torch.float64)
        for number, series in plan.series.items() if self._rank else ():
            self._halves[self._rank[number]] = 0.0 if series.sampled else torch.nan
            self._rank |= dict.fromkeys(series.steps, self._rank[number])
        self._open: dict[int, dict[int, Tensor]] = defaultdict(dict)
        self._uses: dict[int, list[Use]] = defaultdict(list)
        self._inner: dict[int, NDArray[np.float64]] = {}
        self._pairs = {group: PairProduct(n) for group in products}
        self._errors: dict[int, float] = {}
        self._norms: dict[int, list[Tensor]] = defaultdict(list)  # where samples are not told apart
        self._tolerances: dict[int, float] = {}
        self.carried: dict[int, Tensor] = {}

    def update(self, number: int, gradient: Tensor) -> None:
        """Reduce one gradient of an edge or a tensor.

        Raises:
            GradlensError: it is not finite.
        """
        probe = self._plan.probes[number]
        gradient = real(gradient)
        if probe.outer is not None and gradient.numel():
            ordered = in_order(gradient, probe.rows, probe.outer, self._n)
            self._grams[number] = gram(ordered, probe.outer, self._n)
            if not all(map(math.isfinite, self._grams[number].diagonal().tolist())):
                raise GradlensError(f"the gradient is not finite, first at {probe.name}")
            if number in self._rank:
                half = rows(ordered, probe.outer, self._n)[..., ::2]
                kept, rank = gram(half, 1 if half.dim() == 2 else probe.outer, self._n), self._rank[number]
                self._halves[rank] = kept + self._halves[rank] if number in self._steps else kept
        for role in self._roles[number]:
            self._check(role, self._plan.groups[role.group], number, gradient)

    def update_weights(
        self, index: int, numbers: Sequence[int], node: AutogradNode, gradient: Tensor
    ) -> None:
        """Reduce the per-sample gradients of one layer's weight, and of parts of it.

        If a weight is used several times, each use is held until the last of them has arrived.

        Args:
            index: index of the layer's node.
            numbers: probes of that node, the probe of the whole weight first.
            node: the live node with its saved tensors.
            gradient: gradient at the layer's output.

        Raises:
            GradlensError: a gradient is not finite, or its samples cannot be separated.
        """
        first, described = self._plan.weight_probes[numbers[0]], self._plan.graph.nodes[index]
        if first.outer is None:
            return
        if gradient.is_complex():
            self._grams[list(numbers)] = torch.nan
            return
        outer = dict(first.uses).get(index, first.outer)
        with torch.no_grad():
            saved = saved_of(node, described.operation, described.gain)
            turned = described.turned and bool(first.uses)
            moved = Layout(first.outer, first.rows) if first.rows else None
            use = use_of(
                described.operation,
                saved,
                gradient,
                moved or outer or 1,
                self._n,
                described.weight,
                turned,
                described.left,
            )
            held = self._uses[numbers[0]]
            held.append(use)
            if len(held) >= len(first.uses):
                self._finish_weights(numbers)

    def _finish_weights(self, numbers: Sequence[int]) -> None:
        cuts = [self._plan.weight_probes[number].inputs for number in numbers]
        grams = weight_grams(self._uses.pop(numbers[0]), self._n, cuts)
        for number, weight_gram in zip(numbers, grams, strict=True):
            self._grams[number] = weight_gram
        if not all(map(math.isfinite, grams[0].diagonal().tolist())):
            raise GradlensError(f"the gradient is not finite, first at {self._plan.probes[numbers[0]].name}")

    def value(self) -> BatchGrams:
        """Return the statistics of the batch, scaled to the gradient of the summed loss."""
        square = self._scale**2
        with torch.no_grad():
            for number in list(self._uses):  # weights with a use that the loss does not depend on
                self._finish_weights([number])
        for number, series in self._plan.series.items():
            self._grams[number] = self._grams[list(series.steps)].sum(0)
        for index, pair in self._pairs.items():
            numbers = [number for (number,) in self._plan.groups[index].members]
            self._inner[index] = pair.inner(self._grams[numbers].diagonal(dim1=1, dim2=2).numpy())
        return BatchGrams(
            grams=self._grams.numpy() * square,
            halves=self._halves.numpy() * square if self._rank else None,
            inner={group: inner * square for group, inner in self._inner.items()},
            errors=dict(self._errors),
            tolerances=dict(self._tolerances),
            carried={step: energies.numpy() * square for step, energies in self.carried.items()},
        )

    def _check(self, role: Role, group: Group, number: int, gradient: Tensor) -> None:
        if role.member >= 0:
            if role.group in self._pairs:
                self._pairs[role.group].receive(gradient, self._plan.probes[number].outer or 1)
            if not self._sampled(group):
                self._norms[role.group].append(torch.linalg.vector_norm(wide(gradient)))
            self._open[role.group][role.member] = self._reduced(group, role.member, number, gradient)
            return
        held = self._open.pop(role.group, {})
        self._tolerances[role.group] = max(TOLERANCE, 4 * torch.finfo(gradient.dtype).eps)
        total = self._reduced(group, role.member, number, gradient)
        self._errors[role.group] = self._relative_error(group, total, held, self._norms.pop(role.group, []))
        if _many(group) and self._sampled(group):
            energies = [self._grams[number].diagonal() for (number,) in group.members]
            self._inner[role.group] = inner_products(held, energies)

    def _reduced(self, group: Group, member: int, number: int, gradient: Tensor) -> Tensor:
        """Project a gradient linearly, to check the sum of its group and to compare its branches."""
        outer = self._plan.probes[number].outer
        n, outer = (self._n, outer) if outer is not None and self._sampled(group) else (1, 1)
        if not gradient.numel():  # the boxes of images without objects
            return torch.zeros((n, 1) if _many(group) and not group.channels else (n,), dtype=torch.float64)
        if group.channels and member >= 0:
            source, total = (
                self._plan.graph.shape(group.source_key),
                self._plan.probes[group.total or 0].outer,
            )
            if gradient.dim() < len(source):  # ``unbind`` and ``select`` drop the axis
                gradient = gradient.unsqueeze(group.axis)
            first = n > 1 and math.prod(source[: group.axis]) <= (total or 1)
            width, channels = source[group.axis], group.channels[member]
            return self._projection.part(gradient, n, channels, group.axis, width, outer, first)
        if not _many(group):
            return self._projection.total(gradient, outer, n)
        if self._exact:
            return wide(gradient).reshape(outer, n, -1).transpose(0, 1).reshape(n, -1)
        return self._projection.sketch(gradient, outer, n)

    def _sampled(self, group: Group) -> bool:
        """Return whether the total and all members have the samples in order; else their sums are compared whole."""
        numbers = itertools.chain([] if group.total is None else [group.total], *group.members)
        return all(map(self._plan.ordered, numbers))

    def _relative_error(
        self, group: Group, total: Tensor, held: dict[int, Tensor], whole: Sequence[Tensor]
    ) -> float:
        """Return the largest ``|projected sum - sum of projections|`` over samples, relative to the branches' norm.

        ``whole`` has their norms where the samples are not told apart: a single projection may be near 0.
        """
        difference = total.double()
        for part in held.values():
            difference = difference - part.double()
        worst = float(difference.abs().max()) if difference.numel() else 0.0
        numbers = [number for member in group.members for number in member]
        norms = self._grams[numbers].diagonal(dim1=1, dim2=2).sum(0)
        square = sum(float(norm) ** 2 for norm in whole) if whole else float(norms.max())
        return worst / square**0.5 if square > 0 else worst


def _many(group: Group) -> bool:
    return group.where == "fork" and len(group.members) > 2
