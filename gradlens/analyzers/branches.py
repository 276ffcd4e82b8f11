"""The branches of forks, the parts of partial splits, and the inputs of their merges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.replicates import HALF_WIDTHS, over_replicates
from gradlens.analyzers.similarity import similarity_of
from gradlens.catalogue.versions import VERSIONS
from gradlens.graph.plan import Group
from gradlens.metrics import coherence, cosine_sums, energy_shares, polarisation_error
from gradlens.recording import Recording
from gradlens.recording.products import completed, polarised
from gradlens.results import Table

Array = NDArray[np.float64]
LARGEST_ERROR = 0.01
"""Largest error of a cosine from rounding at which it is shown."""
LOST = "one branch is so much smaller than the other that rounding hides their cosine; capture with pairs='exact'"


@dataclass(frozen=True)
class Branches:
    """Similarity of each pair of branches of a fork, split or merge of the network, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without forks and partial splits."""
        if not recording.plan.network_groups:
            return None
        rows = [
            row
            for index, group in recording.plan.network_groups.items()
            for row in _pair_rows(recording, index, group)
        ]
        return Table(
            "branches",
            pd.DataFrame(rows),
            "Similarity of the gradients that reach a tensor, or its parts, along two branches.",
            how=(
                f"CKA as for signals. {HALF_WIDTHS} The cosine is between contributions to one tensor, which "
                "have the same shape: for two branches from the Gram of their sum, or from the contributions if one is "
                "much smaller than the other; for more, from a seeded "
                "random-sign sketch (standard error about 0.09 per sample before averaging) unless recorded with "
                "pairs=exact. Parts of a partial split have no cosine: their channels do not correspond. Forks inside "
                "the loss are in the table exactness only."
            ),
            units={"cosine": "mean over samples, -1 to 1", "energy": "CKA", "direction": "CKA"},
        )


@dataclass(frozen=True)
class Shares:
    """Energy share of each branch and coherence of each fork, of all samples of a seed, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without forks and partial splits."""
        if not recording.plan.network_groups:
            return None
        return Table(
            "shares",
            pd.DataFrame(_share_rows(recording)),
            "Share of the gradient's energy that comes along each branch.",
            how=(
                "tr K_a / Σ_b tr K_b, summed over the samples and batches of a seed; coherence ‖Σ g_b‖² / Σ ‖g_b‖² of "
                "a fork from the Gram of the accumulated gradient: the number of branches if all are equal, "
                f"1 if orthogonal, near 0 if they cancel. Means over seeds. {HALF_WIDTHS}"
            ),
            units={"share": "0 to 1", "coherence": "0 to the number of branches"},
        )


def _pair_rows(recording: Recording, index: int, group: Group) -> Iterator[dict[str, object]]:
    """Yield the rows of one fork, split or merge."""

    def measure(replicate: Recording) -> dict[str, Array]:
        values = similarity_of(replicate, group.members)
        return {
            **values.columns(),
            "cosine": _cosines(replicate, index),
            "dead": values.dead.astype(float),
            "unusable": values.unusable.astype(float),
        }

    values = over_replicates(measure, recording)
    means, widths = values.means, values.half_widths
    dead, unusable = (np.asarray(values.per_seed[name].all(axis=0)) for name in ("dead", "unusable"))
    watched = group.where == "fork" and bool(np.isfinite(means["cosine"]).any())
    cosines = _cosines(recording, index)
    error = _rounding(recording, index, group)
    lost = error > LARGEST_ERROR
    exact = watched and not lost and (len(group.members) == 2 or recording.provenance.pairs == "exact")
    columns = [version.column for version in VERSIONS]
    for a, b in itertools.combinations(range(len(group.members)), 2):
        yield {
            **_site(recording, group),
            "branch_a": group.labels[a],
            "branch_b": group.labels[b],
            **{column: means[column][a, b] for column in columns},
            **{f"{column}_reach": widths[column][a, b] for column in columns},
            "cosine": np.nan if lost else cosines[a, b],
            "cosine_reach": np.nan if lost else widths["cosine"][a, b],
            "cosine_exact": exact,
            "reason": _reason(group, dead, unusable, (a, b)) or (LOST if lost else ""),
        }


@cached_by_recording
def _share_rows(recording: Recording) -> list[dict[str, object]]:
    rows = []
    for group in recording.plan.network_groups.values():
        replicated = over_replicates(partial(_shares, group=group), recording)
        values, widths = replicated.means, replicated.half_widths
        rows += [
            {
                **_site(recording, group),
                "branch": label,
                "share": values["share"][branch],
                "share_reach": widths["share"][branch],
                "coherence": float(values["coherence"]),
                "coherence_reach": float(widths["coherence"]),
                "weighted_layers": weighted,
                "reason": _share_reason(recording, group),
            }
            for branch, (label, weighted) in enumerate(zip(group.labels, group.weighted, strict=True))
        ]
    return rows


def _share_reason(recording: Recording, group: Group) -> str:
    """Return why a group has no shares or no coherence; empty if it has both."""
    energies = recording.branch_energies(group)
    if not np.isfinite(energies).all():
        return "a branch has no sample axis"
    if not energies.any():
        return "every branch is exactly zero at this state"
    if group.where != "fork":
        return "coherence: parts and inputs of a merge are side by side, not added up"
    return ""


def _shares(recording: Recording, group: Group) -> dict[str, Array]:
    """Return the shares of the branches ``[b]`` and the coherence of the fork ``[]``, over all given replicates."""
    energies = recording.branch_energies(group)
    value = coherence(recording.total_energy(group), energies) if group.where == "fork" else np.nan
    return {"share": np.asarray(energy_shares(energies)), "coherence": np.asarray(value)}


def _cosines(recording: Recording, index: int) -> Array:
    """Return the mean cosine of each pair of contributions of a fork, ``[b, b]``; NaN if it has none."""
    whole, replicates = recording.origin
    values, counts = (sums[replicates].sum(axis=0) for sums in _cosine_sums(whole)[index])
    np.fill_diagonal(counts, 0)
    return np.asarray(np.divide(values, counts, out=np.full_like(values, np.nan), where=counts > 0))


@cached_by_recording
def _cosine_sums(recording: Recording) -> dict[int, tuple[Array, NDArray[np.intp]]]:
    """Return, by group, ``cosine_sums`` of its contributions in each replicate, ``[s, b, b]``; 0 if it has none."""
    groups = recording.plan.network_groups
    forks = {
        index: group for index, group in groups.items() if group.where == "fork" and group.total is not None
    }
    known = completed(recording.inner, recording.grams, forks)
    sums = {}
    for index, group in groups.items():
        shape = (len(recording.replicates), len(group.members), len(group.members))
        none = np.zeros(shape), np.zeros(shape, dtype=np.intp)
        sums[index] = cosine_sums(known[index]) if index in known else none
    return sums


def _rounding(recording: Recording, index: int, group: Group) -> float:
    """Return the error of the cosine of two branches whose inner products follow from Grams; 0 for others."""
    inner = None if index in recording.inner else polarised(recording.grams, group)
    return 0.0 if inner is None else polarisation_error(inner)


def _site(recording: Recording, group: Group) -> dict[str, object]:
    """Return the columns that name a fork, split or merge."""
    return {
        "network": recording.name,
        "stage": group.stage,
        "site": group.site,
        "kind": group.kind,
        "where": group.where,
    }


def _reason(
    group: Group, dead: NDArray[np.bool_], unusable: NDArray[np.bool_], branches: tuple[int, int]
) -> str:
    """Return why two branches have no similarity; empty if they have one."""
    for branch in branches:
        if dead[branch]:
            return f"{group.labels[branch]} is exactly zero at this state"
        if unusable[branch]:
            return f"{group.labels[branch]} has no sample axis, or does not vary over samples"
    return ""
