"""Inner products at forks of two branches, from the Grams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gradlens.graph.plan import Group
from gradlens.metrics import pair_inner_products
from gradlens.recording.merging import concatenated

Array = NDArray[np.float64]


def polarised(grams: Array, group: Group) -> Array | None:
    """Return the per-sample inner products of a fork's two contributions, ``[s, 2, 2, n]``; None for other groups.

    Args:
        grams: ``[p, s, n, n]`` by probe.
        group: a group of the plan.
    """
    if group.where != "fork" or group.total is None or len(group.members) != 2:
        return None
    members = np.stack([grams[list(member)].sum(axis=0) for member in group.members])
    norms, total = (np.diagonal(values, axis1=-2, axis2=-1) for values in (members, grams[group.total]))
    return pair_inner_products(total, norms.transpose(1, 0, 2))


def joined(
    recordings: Sequence[tuple[Mapping[int, Array], Array]], groups: Sequence[Group]
) -> dict[int, Array]:
    """Return the inner products, over all recordings, of the groups for which one of them has recorded some.

    Args:
        recordings: inner products by group and Grams ``[p, s, n, n]`` of each.
        groups: groups of the plan.
    """
    indices = sorted({index for inner, _ in recordings for index in inner})
    wanted = {index: groups[index] for index in indices}
    return concatenated([completed(inner, grams, wanted) for inner, grams in recordings])


def completed(inner: Mapping[int, Array], grams: Array, groups: Mapping[int, Group]) -> dict[int, Array]:
    """Return the inner products of all these groups, in their order: the recorded ones, else from the Grams."""
    values = {index: inner.get(index, polarised(grams, group)) for index, group in groups.items()}
    return {index: value for index, value in values.items() if value is not None}
