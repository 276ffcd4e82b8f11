"""Recording: the result of watched backward passes, as one plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError, close_matches
from gradlens.graph.plan import Group, Plan, Signal
from gradlens.recording import file, storing
from gradlens.recording.by_loss import ByLoss, merged
from gradlens.recording.costs import Costs
from gradlens.recording.describing import facts_of, notes_of
from gradlens.recording.merging import check_alike, concatenated, largest, renumbered
from gradlens.recording.products import joined
from gradlens.recording.provenance import Provenance
from gradlens.recording.taking import Takes
from gradlens.showing import facts_html, facts_text

Array = NDArray[np.float64]
BATCHES = 3
"""Smallest number of batches of one seed for an interval over batches."""


@dataclass(frozen=True)
class Recording(Takes):
    """Graph description, Grams, costs and provenance.

    Attributes:
        plan: the graph, the watched sites and the groups they form.
        grams: ``[p, s, n, n]`` float64, by probe and replicate; gradients of the summed loss.
        inner: by fork of three or more branches or of two uneven ones, per-sample inner products ``[s, b, b, n]``.
        projected_errors: by group with a sum, relative error ``[s]``.
        dry_errors: by group, relative error over the samples of the dry pass; NaN if it could not be checked.
        labels: ``[s, n]`` class of each sample, or None.
        replicates: (seed, batch) of each replicate.
        costs: costs of one step, or None.
        throughput: images per second by pass, one value per repeat; empty if not measured.
        halves: ``[l, s, n, n]`` of every second feature of each signal, or None.
        carried: by step of a recurrence, the energy ``[s, n]`` that it carries back (see ``hooks.carrying``).
        by_loss: the same of each of several losses, and how their gradients agree; None for one loss.
        meta: versions, seeds, identity of model and data, mode, samples.
    """

    plan: Plan
    grams: Array
    inner: Mapping[int, Array]
    projected_errors: Mapping[int, Array]
    dry_errors: Mapping[int, float]
    labels: NDArray[np.int64] | None
    replicates: tuple[tuple[int, int], ...]
    costs: Costs | None
    throughput: Mapping[str, Sequence[float]]
    meta: Mapping[str, Any]
    halves: Array | None = field(
        default_factory=lambda: None
    )  # a plain default would be read before a part takes it
    carried: Mapping[int, Array] = field(default_factory=dict)
    by_loss: ByLoss | None = field(default_factory=lambda: None)

    @cached_property
    def provenance(self) -> Provenance:
        """How the recording was made, read from ``meta``."""
        return Provenance.of(self.meta)

    @property
    def name(self) -> str:
        """Display name of the recorded network."""
        return self.provenance.network

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signals with their names, in depth order."""
        probes = [self.plan.probes[number] for number in self.plan.signals]
        return tuple(map(Signal, self.plan.signals, self.plan.signal_names, probes))

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses that were measured one by one; empty for a single loss."""
        return () if self.by_loss is None else self.by_loss.names

    def of_loss(self, name: str) -> Recording:
        """Return a recording of one loss: its Grams in place of those of the sum.

        Raises:
            GradlensError: no loss of this name was measured.
        """
        if self.by_loss is None or name not in self.losses:
            known = (
                ", ".join(self.losses)
                or "one loss only; capture with losses={...} or a step that returns several"
            )
            raise GradlensError(
                f"no loss {name!r}; the recording has {known}{close_matches(name, self.losses)}"
            )
        whole, index = self.origin
        if whole is not self:
            return whole.of_loss(name).take(index)
        if name not in self._of_losses:
            part = vars(self.by_loss.part(name))
            causes = {"dead_causes": {}, "loss": name}
            self._of_losses[name] = replace(self, **part, by_loss=None, meta={**self.meta, **causes})
        return self._of_losses[name]

    @cached_property
    def _of_losses(self) -> dict[str, Recording]:
        return {}

    @property
    def signal_grams(self) -> Array:
        """Grams of the signals, ``[l, s, n, n]``."""
        return self.grams_of(self.plan.signals)

    @property
    def loss_gram(self) -> Array | None:
        """Gram of the gradient at the outputs that the loss reads, ``[s, n, n]``; None if there is none.

        The Gram of several outputs is that of their gradients side by side: the sum of their Grams.
        """
        numbers = self.plan.outputs
        known = bool(numbers) and all(map(self.plan.sampled, numbers))
        return np.asarray(self.grams_of(numbers).sum(axis=0)) if known else None

    @property
    def no_loss(self) -> str:
        """Why there is no loss signal; empty if there is one."""
        return "" if self.loss_gram is not None else self.plan.no_loss or "the loss signal was not recorded"

    @property
    def in_weight_space(self) -> bool:
        """Whether there are signals and these are gradients of weights."""
        return bool(self.provenance.of_weights and self.signals)

    @property
    def noise(self) -> str:
        """What intervals are over: ``seeds``, ``batches`` of a single seed, or an empty string for neither."""
        if len(self.seeds) > 1:
            return "seeds"
        return "batches" if len(self.replicates) >= BATCHES else ""

    @property
    def n(self) -> int:
        """Samples per replicate."""
        return int(self.origin[0].grams.shape[-1])

    @property
    def seeds(self) -> tuple[int, ...]:
        """Distinct seeds in the order of recording."""
        return tuple(dict.fromkeys(seed for seed, _ in self.replicates))

    @cached_property
    def energies(self) -> Array:
        """Total energy ``tr K`` of each probe, ``[p, s]``."""
        whole, index = self.origin
        if whole is not self:
            return whole.energies[:, index]
        return np.asarray(np.trace(self.grams, axis1=-2, axis2=-1))

    def __repr__(self) -> str:
        return facts_text(f"Recording of {self.name}", self._facts(), notes_of(self.provenance))

    def _repr_html_(self) -> str:
        return facts_html(f"Recording of {self.name}", self._facts(), notes_of(self.provenance))

    def _facts(self) -> dict[str, str]:
        kept = [self.grams, *self.inner.values(), *([] if self.halves is None else [self.halves])]
        return facts_of(self.plan, self.replicates, kept, self.costs, self.provenance)

    def grams_of(self, probes: Sequence[int]) -> Array:
        """Return the Grams of some probes, ``[p, s, n, n]``."""
        whole, index = self.origin
        return self.grams[list(probes)] if whole is self else whole.grams[np.ix_(list(probes), index)]

    def member_grams(self, group: Group) -> Array:
        """Return the Gram of each branch or part, ``[b, s, n, n]``; Grams of concatenated gradients add up."""
        return np.stack([self.grams_of(member).sum(axis=0) for member in group.members])

    def branch_energies(self, group: Group) -> Array:
        """Return the energy of each branch or part over all replicates, ``[b]``."""
        return np.array([self.energies[list(member)].sum() for member in group.members])

    def total_energy(self, group: Group) -> float:
        """Return the energy of the accumulated gradient over all replicates; NaN if it was not watched."""
        return float("nan") if group.total is None else float(self.energies[group.total].sum())

    def with_meta(self, **meta: object) -> Recording:
        """Return a copy with entries added to ``meta``."""
        return replace(self, meta={**self.meta, **meta})

    def of_seed(self, seed: int) -> Recording:
        """Return a recording of the replicates of one seed."""
        return self.take([index for index, (other, _) in enumerate(self.replicates) if other == seed])

    def merge(self, *others: Recording, any_size: bool = False) -> Recording:
        """Return one recording of all replicates; the same as if all were recorded at once.

        Args:
            *others: recordings of the same network.
            any_size: whether the images of the recordings may have different sizes, as those of one capture may.

        Raises:
            GradlensError: the recordings differ in graph, batch size or sites, or hold the same replicate.
        """
        for other in others:
            check_alike((self.plan, other.plan), (self.n, other.n), any_size)
        recordings = (self, *others)
        halves = [recording.halves for recording in recordings if recording.halves is not None]
        labels = [recording.labels for recording in recordings if recording.labels is not None]
        return replace(
            self,
            grams=np.concatenate([recording.grams for recording in recordings], axis=1),
            inner=joined([(recording.inner, recording.grams) for recording in recordings], self.plan.groups),
            projected_errors=concatenated([recording.projected_errors for recording in recordings]),
            carried=concatenated([recording.carried for recording in recordings]),
            by_loss=merged([recording.by_loss for recording in recordings], self.plan.groups),
            dry_errors=largest([recording.dry_errors for recording in recordings]),
            labels=np.concatenate(labels) if len(labels) == len(recordings) else None,
            halves=np.concatenate(halves, axis=1) if len(halves) == len(recordings) else None,
            replicates=renumbered([(recording.replicates, recording.grams) for recording in recordings]),
            throughput={
                name: [speed for recording in recordings for speed in recording.throughput.get(name, ())]
                for name in self.throughput
            },
        )

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file: Grams as arrays, the rest as JSON in its metadata.

        Raises:
            GradlensError: the file cannot be written.
        """
        return file.write(path, *storing.stored(self))

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file that ``save`` wrote, in this format or an older one.

        Raises:
            GradlensError: the file does not exist, is not a recording, or is of a newer format.
        """
        try:
            return cls(**storing.read(*file.read(path)))
        except file.DAMAGES as error:
            raise GradlensError(f"{path} is not a gradlens recording, or is damaged: {error}") from error
