"""Accumulate the statistics of one batch: ``update`` with each gradient, then read ``value``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

from gradlens.grams.gram import gram
from gradlens.grams.precision import Array, LossNotFiniteError, NotFiniteError, Precision
from gradlens.grams.product import product, product_of_slices, square
from gradlens.grams.projection import Projection, chunks_of_sketch, parts_of_sketch, sketched
from gradlens.grams.rows import Chunks, in_order, real, rows
from gradlens.grams.slices import follows, joined, together
from gradlens.grams.sums import Sums
from gradlens.grams.transfer import Streams, transferred
from gradlens.grams.uses import Use, saved_of, use_of
from gradlens.grams.weights import weight_grams
from gradlens.graph.layout import Layout
from gradlens.graph.plan import Plan
from gradlens.recording.watch import Watch


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
        values: further values of the batch by name, such as its labels, that were transferred with the rest.
    """

    grams: Array
    inner: dict[int, Array]
    halves: Array | None
    errors: dict[int, float]
    tolerances: dict[int, float]
    carried: dict[int, Array]
    values: dict[str, Array]


class Accumulator:
    """Reduces the gradients of one backward pass, on their devices; holds sketches of open forks (see ``Sums``).

    Args:
        plan: what is watched.
        n: samples in the batch.
        projection: random signs, shared by all batches.
        watch: options ``pairs`` and ``halves``, and the ``reduction`` of the loss.
        products: forks of two branches whose inner products are computed from the contributions, not from Grams.
        precision: probes whose Grams float32 may lose; shared by all batches.
        factor: factor of the loss, which is divided out.

    Attributes:
        carried: by step of a recurrence, the energy ``[n]`` that it carries back, if that was measured.
        values: further values of the batch by name, transferred with the rest; the value of a ``loss`` is checked.
    """

    def __init__(
        self,
        plan: Plan,
        n: int,
        projection: Projection,
        watch: Watch,
        products: Collection[int] = (),
        precision: Precision | None = None,
        factor: float = 1.0,
    ) -> None:
        self._plan, self._n = plan, n
        self._scale = (float(n) if watch.reduction == "mean" else 1.0) / factor
        self._precision = Precision() if precision is None else precision
        self._sums = Sums(plan, n, projection, watch.pairs == "exact", products)
        self._streams = Streams()
        self._panels: dict[int, list[Tensor]] = {}
        self._unknown: set[int] = set()
        self._uses: dict[int, list[Use]] = defaultdict(list)
        self._rank = {number: rank for rank, number in enumerate(plan.signals)} if watch.halves else {}
        self._halves: dict[int, Tensor] = {}
        self._steps = {step: number for number, series in plan.series.items() for step in series.steps}
        self.carried: dict[int, Tensor] = {}
        self.values: dict[str, Tensor] = {}

    def update(self, arrived: Sequence[tuple[int, Tensor]]) -> None:
        """Reduce gradients of edges or tensors that arrive together, by probe; nothing waits for a device.

        Neighbouring slices of one tensor are read together.
        """
        runs: list[list[tuple[int, Tensor]]] = []
        for number, gradient in arrived:
            if runs and self._continues(runs[-1], number, gradient):
                runs[-1].append((number, gradient))
            else:
                runs.append([(number, gradient)])
        for run in runs:
            if len(run) == 1 or not self._reduce_slices(run):
                for number, gradient in run:
                    self._reduce(number, gradient)

    def _continues(self, run: Sequence[tuple[int, Tensor]], number: int, gradient: Tensor) -> bool:
        last, before = run[-1]
        return (
            len(run) < together(gradient)
            and follows(before, gradient)
            and (len(run) > 1 or self._is_slice(last, before))
            and self._is_slice(number, gradient)
        )

    def _is_slice(self, number: int, gradient: Tensor) -> bool:
        """Return whether a gradient can be read together with its neighbours: all that it needs is Gram and sketch."""
        probe = self._plan.probes[number]
        return (
            probe.outer == 1
            and not probe.rows
            and not gradient.is_complex()
            and gradient.shape[0] == self._n
            and number not in self._precision.double
            and self._steps.get(number, number) not in self._rank
            and self._sums.only_sketches(number, gradient)
        )

    def _reduce_slices(self, run: Sequence[tuple[int, Tensor]]) -> bool:
        """Reduce neighbouring slices in one pass; return False if float32 has lost an energy of one."""
        first, slices = run[0][1], len(run)
        self._streams.follow(first)
        features = first.numel() // self._n
        cut = Chunks(joined(first, slices, chunks_of_sketch(features)))
        result = product_of_slices(cut, slices, self._sums.signs_of_slices(cut, slices))
        if result is None:
            return False
        sketches = sketched(result.projected[0], parts_of_sketch(features), slices)
        for rank, (number, _) in enumerate(run):
            self._panels[number] = [panel[rank] for panel in result.panels]
            self._sums.receive_sketch(number, sketches[rank])
        return True

    def _reduce(self, number: int, gradient: Tensor) -> None:
        """Reduce one gradient."""
        probe, double = self._plan.probes[number], number in self._precision.double
        self._streams.follow(gradient)
        gradient = real(gradient)
        if probe.outer is None or not gradient.numel():
            self._sums.receive(number, gradient, {}, double=double)
            return
        ordered = in_order(gradient, probe.rows, probe.outer, self._n)
        cut, signs = self._sums.cut(number, ordered, probe.outer)
        result = product(cut, list(signs.values()), double=double)
        self._panels[number] = result.panels
        self._sums.receive(number, gradient, dict(zip(signs, result.projected, strict=True)), double=double)
        signal = self._steps.get(number, number)
        if signal in self._rank:
            half = rows(ordered, probe.outer, self._n)[..., ::2]
            kept = gram(half, 1 if half.dim() == 2 else probe.outer, self._n, double=double)
            self._halves[signal] = self._halves[signal] + kept if signal in self._halves else kept

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
            GradlensError: the samples of a gradient cannot be separated.
        """
        first, described = self._plan.weight_probes[numbers[0]], self._plan.graph.nodes[index]
        if first.outer is None:
            return
        if gradient.is_complex():
            self._unknown.update(numbers)
            return
        self._streams.follow(gradient)
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
        double = not self._precision.double.isdisjoint(numbers)
        grams = weight_grams(self._uses.pop(numbers[0]), self._n, cuts, double=double)
        self._panels.update((number, [each]) for number, each in zip(numbers, grams, strict=True))

    def value(self, *, repeat: bool = True) -> BatchGrams:
        """Return the statistics of the batch, scaled to the gradient of the summed loss; they are transferred at once.

        Args:
            repeat: whether the pass can be repeated.

        Raises:
            NotFiniteError: a gradient is not finite.
            LossNotFiniteError: the loss is not, if its value was not known before.
            PrecisionLostError: the pass has to be repeated, with some products in float64.
        """
        with torch.no_grad():
            for number in list(self._uses):  # weights with a use that the loss does not depend on
                self._finish_weights([number])
        self._streams.join()
        fast = [number for number, panels in self._panels.items() if not panels[0].is_cpu]
        arrays = self._transferred()
        if not np.isfinite(arrays["values"].get("loss", 0.0)):
            raise LossNotFiniteError
        if repeat:
            self._precision.check(fast, arrays["grams"])
        self._check_finite(arrays["grams"])
        factor, grams = self._scale**2, self._filled(len(self._plan.probes), arrays["grams"])
        for number, series in self._plan.series.items():
            grams[number] = grams[list(series.steps)].sum(0)
        errors = self._errors(grams, arrays["differences"], arrays["norms"])
        return BatchGrams(
            grams=grams * factor,
            halves=self._half_grams(arrays["halves"]) * factor if self._rank else None,
            inner={group: inner * factor for group, inner in self._inner(grams, arrays).items()},
            errors=errors,
            tolerances={index: done.tolerance for index, done in self._sums.done.items()},
            carried={step: energies * factor for step, energies in arrays["carried"].items()},
            values=arrays["values"],
        )

    def _transferred(self) -> dict[str, dict[Any, Array]]:
        done, pairs = self._sums.done, self._sums.pairs
        kinds: dict[str, Mapping[Any, Tensor]] = {
            "halves": self._halves,
            "differences": {index: each.difference for index, each in done.items()},
            "norms": {index: each.norm for index, each in done.items() if each.norm is not None},
            "inner": {index: each.inner for index, each in done.items() if each.inner is not None},
            "pairs": {index: pair.cross for index, pair in pairs.items() if pair.cross is not None},
            "carried": self.carried,
            "values": self.values,
        }
        panels = [panel for each in self._panels.values() for panel in each]
        tensors = [tensor for kind in kinds.values() for tensor in kind.values()]
        arrays = iter(transferred([*panels, *tensors]))
        grams = {
            number: square([next(arrays) for _ in each], np.empty((self._n, self._n)))
            for number, each in self._panels.items()
        }
        return {"grams": grams} | {
            kind: {number: next(arrays) for number in tensors} for kind, tensors in kinds.items()
        }

    def _check_finite(self, grams: Mapping[int, Array]) -> None:
        for number, matrix in grams.items():  # in the order of their arrival
            finite = np.isfinite(matrix.diagonal())
            if not finite.all():
                raise NotFiniteError(self._plan.probes[number], np.flatnonzero(~finite).tolist())

    def _filled(self, count: int, grams: Mapping[int, Array]) -> Array:
        """Return Grams ``[p, n, n]``: 0 where no gradient arrived, NaN where the samples are not known."""
        filled = np.zeros((count, self._n, self._n))
        unknown = [number for number, probe in enumerate(self._plan.probes) if not probe.sampled]
        filled[[*unknown, *self._unknown]] = np.nan
        for number, matrix in grams.items():
            filled[number] = matrix
        return filled

    def _half_grams(self, halves: Mapping[int, Array]) -> Array:
        filled = np.full((len(self._rank), self._n, self._n), np.nan)
        for number, series in self._plan.series.items():
            filled[self._rank[number]] = 0.0 if series.sampled else np.nan
        for number, matrix in halves.items():
            filled[self._rank[number]] = matrix
        return filled

    def _errors(
        self, grams: Array, differences: Mapping[int, Array], norms: Mapping[int, Array]
    ) -> dict[int, float]:
        """Return by group ``|projected sum - sum of projections|``, relative to the norm of the branches.

        The largest over samples; the norm of the whole gradient where no axis holds them: one projection may be near 0.
        """
        errors = {}
        for index, difference in differences.items():
            numbers = [number for member in self._plan.groups[index].members for number in member]
            energies = np.diagonal(grams[numbers], axis1=1, axis2=2).sum(0)
            norm = float(norms[index]) if index in norms else float(energies.max()) ** 0.5
            errors[index] = float(difference) / norm if norm > 0 else float(difference)
        return errors

    def _inner(self, grams: Array, arrays: Mapping[str, Mapping[int, Array]]) -> dict[int, Array]:
        """Return by fork the inner products of its branches ``[b, b, n]``; those with itself are from the Grams."""
        inner = {}
        for index in (*arrays["inner"], *self._sums.pairs):
            members = [number for (number,) in self._plan.groups[index].members]
            matrix = np.zeros((len(members), len(members), self._n))
            if index in arrays["inner"]:
                arrived = self._sums.done[index].arrived
                matrix[np.ix_(arrived, arrived)] = arrays["inner"][index].transpose(1, 2, 0)
            elif index in arrays["pairs"]:
                matrix[0, 1] = matrix[1, 0] = arrays["pairs"][index]
            for branch, number in enumerate(members):
                matrix[branch, branch] = np.diagonal(grams[number])
            inner[index] = matrix
        return inner
