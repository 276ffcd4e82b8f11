"""The branches of forks, the parts of partial splits, and what enters their merges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.replicates import REACH, over_replicates
from gradlens.analyzers.similarity import VERSIONS, similarity
from gradlens.graph.plan import Group
from gradlens.metrics import coherence, energy_shares, mean_cosine, pair_inner_products
from gradlens.recording import Recording
from gradlens.results import Table

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Branches:
    """Similarity of every two branches of a fork, split or merge, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for a network without forks and partial splits."""
        if not recording.plan.groups:
            return None
        rows = [
            row
            for index, group in enumerate(recording.plan.groups)
            for row in self._pairs(recording, index, group)
        ]
        return Table(
            "branches",
            pd.DataFrame(rows),
            "Similarity of the gradients that reach a tensor, or its parts, along two ways.",
            how=(
                f"CKA as for signals. {REACH} The cosine is taken between "
                "contributions to one tensor, which share a space: exact for two branches (from the Gram of "
                "their sum), from a seeded sketch of 256 buckets for more (standard error at most 0.09 a sample "
                "before averaging) unless recorded with pairs=exact. Parts of a partial split have no cosine: "
                "their channels do not correspond."
            ),
            units={"cosine": "mean over samples, -1 to 1", "energy": "CKA", "direction": "CKA"},
        )

    def _pairs(self, recording: Recording, index: int, group: Group) -> list[dict[str, Any]]:
        count = len(group.members)
        found = []

        def measure(own: Recording) -> dict[str, Array]:
            found.append(similarity(own.member_grams(group), own.loss_gram))
            return {**found[-1].versions, "cosine": _cosines(own, index, group)}

        matrices, reach = over_replicates(measure, recording)
        dead = np.all([one.dead for one in found], axis=0)
        unusable = np.all([one.unusable for one in found], axis=0)
        watched = group.where == "fork" and bool(np.isfinite(matrices["cosine"]).any())
        cosines = _cosines(recording, index, group)
        exact = count == 2 or recording.provenance.pairs == "exact"
        return [
            {
                **_place(recording, group),
                "branch_a": group.labels[a],
                "branch_b": group.labels[b],
                **{version.replace(" ", "_"): matrices[version][a, b] for version in VERSIONS},
                **{f"{version.replace(' ', '_')}_reach": reach[version][a, b] for version in VERSIONS},
                "cosine": cosines[a, b],
                "cosine_reach": reach["cosine"][a, b],
                "cosine_exact": exact and watched,
                "reason": _reason(group, dead, unusable, a, b),
            }
            for a in range(count)
            for b in range(a + 1, count)
        ]


@dataclass(frozen=True)
class Shares:
    """Energy share of each branch and coherence of each fork, over all replicates."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for a network without forks and partial splits."""
        if not recording.plan.groups:
            return None
        rows = []
        for group in recording.plan.groups:
            found = _shares(recording, group)
            _, reach = over_replicates(partial(_shares, group=group), recording)
            for branch, (label, weighted) in enumerate(zip(group.labels, group.weighted, strict=True)):
                rows.append(
                    {
                        **_place(recording, group),
                        "branch": label,
                        "share": found["share"][branch],
                        "share_reach": reach["share"][branch],
                        "coherence": float(found["coherence"]),
                        "coherence_reach": float(reach["coherence"]),
                        "weighted_layers": weighted,
                    }
                )
        return Table(
            "shares",
            pd.DataFrame(rows),
            "Share of the gradient's energy that comes along each branch.",
            how=(
                "tr K_a / Σ_b tr K_b, summed over samples and replicates; coherence ‖Σ g_b‖² / Σ ‖g_b‖² of a "
                "fork from the Gram of the accumulated gradient: the number of branches when all are equal, "
                f"1 when orthogonal, near 0 when they cancel. {REACH}"
            ),
            units={"share": "0 to 1", "coherence": "0 to the number of branches"},
        )


def _shares(recording: Recording, group: Group) -> dict[str, Array]:
    """Shares of the branches ``[b]`` and coherence of the fork ``[]``, over all replicates."""
    energies = np.array([recording.energies[list(member)].sum() for member in group.members])
    total = np.nan if group.total is None else float(recording.energies[group.total].sum())
    coherent = coherence(total, energies) if group.where == "fork" else np.nan
    return {"share": np.asarray(energy_shares(energies)), "coherence": np.asarray(coherent)}


def _cosines(recording: Recording, index: int, group: Group) -> Array:
    """Mean cosine of every two contributions of a fork, ``[b, b]``; NaN elsewhere."""
    count = len(group.members)
    inner = inner_products(recording, index, group)
    found = np.full((count, count), np.nan)
    for a, b in itertools.combinations(range(count), 2):
        found[a, b] = found[b, a] = np.nan if inner is None else mean_cosine(inner, a, b)
    return found


def inner_products(recording: Recording, index: int, group: Group) -> Array | None:
    """Per-sample inner products of a fork's contributions, ``[s, b, b, n]``; None elsewhere."""
    if group.where != "fork" or group.total is None:
        return None
    if index in recording.inner:
        return np.asarray(recording.inner[index])
    if len(group.members) != 2:
        return None
    norms = np.diagonal(recording.member_grams(group), axis1=-2, axis2=-1)
    total = np.diagonal(recording.grams[group.total], axis1=-2, axis2=-1)
    return pair_inner_products(total, norms.transpose(1, 0, 2))


def _place(recording: Recording, group: Group) -> dict[str, Any]:
    return {
        "network": recording.name,
        "stage": group.stage,
        "site": group.site,
        "kind": group.kind,
        "where": group.where,
    }


def _reason(group: Group, dead: Any, unusable: Any, a: int, b: int) -> str:
    for branch in (a, b):
        if dead[branch]:
            return f"{group.labels[branch]} is exactly zero at this state"
        if unusable[branch]:
            return f"{group.labels[branch]} has no sample axis, or does not vary over samples"
    return ""
