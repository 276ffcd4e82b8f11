"""The sums of one backward pass: contributions against the accumulated gradient, and contributions in pairs."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gradlens.grams.pairs import PairProduct, per_sample_products
from gradlens.grams.product import Projected, Signs, projected
from gradlens.grams.projection import Projection, chunks_of_sketch, exact, parts_of_sketch, sketched, totals
from gradlens.grams.roles import roles
from gradlens.grams.rows import Chunks, chunks, order_of, rows, wide
from gradlens.graph.plan import Group, Plan

TOLERANCE = 1e-4
"""Relative error of a projected sum above which it is wrong; float32 rounding stays below 1e-5 in practice."""


class Sum(NamedTuple):
    """A sum that is complete.

    Attributes:
        difference: largest difference of the projected sum from the sum of the projections, a scalar.
        norm: norm of the contributions if no axis holds the samples, a scalar; else None.
        tolerance: largest relative error that rounding can cause.
        arrived: the branches that received a gradient.
        inner: inner products of those branches ``[n, b, b]``, if they are three or more.
    """

    difference: Tensor
    norm: Tensor | None
    tolerance: float
    arrived: list[int]
    inner: Tensor | None


class Duty(NamedTuple):
    """What a probe contributes to a sum.

    Attributes:
        group: index of the group.
        member: its branch, -1 for the total.
        kind: how it is reduced: ``functional``, ``part`` (a functional of some channels), or ``pairs`` (a sketch, or
            whole).
        sampled: whether an axis of all gradients of the group holds the samples in order.
    """

    group: int
    member: int
    kind: str
    sampled: bool


class Sums:
    """Receives the gradients of one backward pass, and holds what their sums need until they are complete.

    Args:
        plan: what is watched.
        n: samples in the batch.
        projection: random signs, shared by all batches.
        hold: hold the contributions of forks of three and more, instead of their sketches.
        products: forks of two branches whose contributions are multiplied.

    Attributes:
        done: by group, its complete sum.
        pairs: by fork, the product of its two contributions.
    """

    def __init__(
        self, plan: Plan, n: int, projection: Projection, hold: bool, products: Collection[int] = ()
    ) -> None:
        self._plan, self._n, self._projection, self._hold = plan, n, projection, hold
        self._duties = _duties(plan)
        self._open: dict[int, dict[int, Tensor]] = defaultdict(dict)
        self._norms: dict[int, list[Tensor]] = defaultdict(list)
        self._orders: dict[int, tuple[int, ...]] = {}
        self.pairs = {group: PairProduct(n) for group in products}
        self.done: dict[int, Sum] = {}

    def cut(self, number: int, gradient: Tensor, outer: int) -> tuple[Chunks, dict[Duty, Signs]]:
        """Cut a gradient for its Gram; return with it, by duty, the signs that can share the pass.

        Args:
            number: its probe.
            gradient: reads as ``[outer, n, rest]``.
            outer: size of the axes that vary slower than the samples.
        """
        duties = [duty for duty in self._duties.get(number, ()) if duty.sampled]
        sketched = [
            duty.group for duty in duties if duty.kind == "pairs" and self._sketches(gradient, self._n)
        ]
        if sketched:
            gradient, outer = _flat(gradient, outer, self._n), 1
            cut = self._for_sketch(sketched[0], gradient, self._n)
        else:
            cut = chunks(gradient, outer, self._n)
        signs: dict[Duty, Signs] = {}
        for duty in duties:
            if duty.kind != "pairs":
                signs[duty] = self._signs(duty, gradient, cut, self._n)
            elif sketched and self._orders.setdefault(duty.group, cut.order) == cut.order:
                signs[duty] = self._projection.sketch(cut)
        return cut, signs

    def only_sketches(self, number: int, gradient: Tensor) -> bool:
        """Return whether a contribution is sketched for one fork, and is needed for nothing else."""
        duties, features = self._duties.get(number, ()), gradient.numel() // self._n
        if len(duties) != 1 or not self._sketches(gradient, self._n) or features % chunks_of_sketch(features):
            return False
        (duty,) = duties
        return (
            duty.kind == "pairs"
            and duty.member >= 0
            and duty.sampled
            and duty.group not in self.pairs
            and self._orders.setdefault(duty.group, ()) == ()
        )

    def signs_of_slices(self, gradient: Chunks, slices: int) -> Signs:
        """Return the signs of the sketches of slices that are read together."""
        return self._projection.sketch(gradient, slices)

    def receive_sketch(self, number: int, sketch: Tensor) -> None:
        """Take the sketch ``[n, m]`` of a contribution."""
        (duty,) = self._duties[number]
        self._open[duty.group][duty.member] = sketch

    def receive(
        self,
        number: int,
        gradient: Tensor,
        shared: Mapping[Duty, Projected],
        *,
        double: bool = False,
    ) -> None:
        """Take a gradient as a branch or as the total of its groups.

        Args:
            number: its probe.
            gradient: as it arrived.
            shared: by duty, the products with the signs from ``cut``.
            double: multiply pairs in float64.
        """
        for duty in self._duties.get(number, ()):
            if duty.member >= 0 and duty.group in self.pairs:
                self.pairs[duty.group].receive(gradient, self._plan.probes[number].outer or 1, double=double)
            value = self._reduced(duty, number, gradient, shared.get(duty))
            if duty.member < 0:
                self._complete(duty, value, gradient.dtype)
                continue
            if not duty.sampled:
                self._norms[duty.group].append(torch.linalg.vector_norm(wide(gradient)))
            self._open[duty.group][duty.member] = value

    def _reduced(self, duty: Duty, number: int, gradient: Tensor, shared: Projected | None) -> Tensor:
        """Return a linear map of a gradient: ``[n]``, or ``[n, m]`` where branches are compared in pairs."""
        n, outer = (self._n, self._plan.probes[number].outer or 1) if duty.sampled else (1, 1)
        if not gradient.numel():  # the boxes of images without objects
            return gradient.new_zeros((n, 1) if duty.kind == "pairs" else (n,), dtype=torch.float64)
        if duty.kind != "pairs":
            if shared is None:
                cut = chunks(gradient, outer, n)
                shared = projected(cut, self._signs(duty, gradient, cut, n))
            return totals(shared)
        if not self._sketches(gradient, n):
            return wide(_flat(gradient, outer, n).reshape(n, -1))
        if shared is None:
            cut = self._for_sketch(duty.group, _flat(gradient, outer, n), n)
            shared = projected(cut, self._projection.sketch(cut))
        return sketched(shared, parts_of_sketch(gradient.numel() // n))[0]

    def _for_sketch(self, group: int, gradient: Tensor, n: int) -> Chunks:
        """Cut a gradient whose samples come first as all contributions of its fork are cut."""
        order = self._orders.setdefault(group, order_of(gradient, n))
        return chunks(gradient, 1, n, order, chunks_of_sketch(gradient.numel() // n))

    def _sketches(self, gradient: Tensor, n: int) -> bool:
        return not self._hold and not exact(gradient.numel() // n)

    def _signs(self, duty: Duty, gradient: Tensor, cut: Chunks, n: int) -> Signs:
        if duty.kind == "functional":
            return self._projection.functional(cut, gradient.shape)
        group = self._plan.groups[duty.group]
        source, total = self._plan.graph.shape(group.source_key), self._plan.probes[group.total or 0].outer
        shape = list(gradient.shape)
        if len(shape) < len(source):  # ``unbind`` and ``select`` drop the axis
            shape.insert(group.axis, 1)
        first = n > 1 and math.prod(source[: group.axis]) <= (total or 1)
        size, after = shape[group.axis], math.prod(shape[group.axis + 1 :]) // (n if first else 1)
        before = gradient.numel() // max(n * size * after, 1)
        sizes = (before, source[group.axis], after)
        return self._projection.part(cut, gradient.shape, group.channels[duty.member], sizes)

    def _complete(self, duty: Duty, total: Tensor, dtype: torch.dtype) -> None:
        held, whole = self._open.pop(duty.group, {}), self._norms.pop(duty.group, [])
        arrived = sorted(held)
        difference = total.double()
        for member in arrived:
            difference = difference - held[member]
        inner = None
        if duty.kind == "pairs" and duty.sampled and arrived:
            inner = per_sample_products([held[member] for member in arrived])
        self.done[duty.group] = Sum(
            difference.abs().max() if difference.numel() else difference.new_zeros(()),
            torch.stack(whole).double().norm() if whole else None,
            max(TOLERANCE, 4 * torch.finfo(dtype).eps),
            arrived,
            inner,
        )


def _duties(plan: Plan) -> dict[int, list[Duty]]:
    """Return what each probe contributes to the sums that are checked."""
    sampled = [_has_samples(plan, group) for group in plan.groups]
    duties: dict[int, list[Duty]] = {}
    for number, played in roles(plan).items():
        duties[number] = [
            Duty(role.group, role.member, _kind(plan.groups[role.group], role.member), sampled[role.group])
            for role in played
        ]
    return duties


def _kind(group: Group, member: int) -> str:
    if group.channels and member >= 0:
        return "part"
    return "pairs" if group.where == "fork" and len(group.members) > 2 else "functional"


def _has_samples(plan: Plan, group: Group) -> bool:
    """Return whether the total and all members have the samples in order; else their sums are compared whole."""
    numbers = itertools.chain([] if group.total is None else [group.total], *group.members)
    return all(map(plan.ordered, numbers))


def _flat(gradient: Tensor, outer: int, n: int) -> Tensor:
    """Return a gradient with the samples first; a copy if other axes vary slower."""
    if outer == 1:
        return gradient if gradient.shape[:1] == (n,) else rows(gradient, 1, n)
    return gradient.reshape(outer, n, -1).transpose(0, 1).reshape(n, -1)
