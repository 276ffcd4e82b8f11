"""The part that each probe plays in the sums that are checked."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from gradlens.graph.plan import Plan


class Role(NamedTuple):
    """The role of a probe in a group: one of its members, or the total (``member`` is -1)."""

    group: int
    member: int


def roles(plan: Plan) -> dict[int, list[Role]]:
    """Return, by probe, the groups whose sum is checked; merges have no sum."""
    table: dict[int, list[Role]] = defaultdict(list)
    for index, group in enumerate(plan.groups):
        if group.total is None:
            continue
        for member, probes in enumerate(group.members):
            for number in probes:
                table[number].append(Role(index, member))
        table[group.total].append(Role(index, -1))
    return table


def projected_features(plan: Plan, n: int) -> int:
    """Return the number of signs that a projection needs for this plan."""
    sizes = [1]
    for number in roles(plan):
        probe = plan.probes[number]
        sizes.append(probe.elements(n if probe.sampled else 1))
    return max(sizes)
