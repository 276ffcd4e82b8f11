"""The modules of a detector's backbone: those whose operations are all in stages of the backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlens.graph.owners import Owner
from gradlens.graph.stage_order import LAST, Part, part_of


def backbone_modules(owners: Sequence[Owner], stages: Sequence[str]) -> frozenset[str]:
    """Return the modules of the backbone; none if the network has no other part than a backbone and a head.

    A module that also has operations of another part, itself or in a submodule, does not belong to it.

    Args:
        owners: owner of each node.
        stages: stage of each node.
    """
    if all(part_of(stage) is Part.BACKBONE or stage in LAST for stage in stages):
        return frozenset()
    inside: set[str] = set()
    outside: set[str] = {""}
    for owner, stage in zip(owners, stages, strict=True):
        (inside if part_of(stage) is Part.BACKBONE else outside).update(_with_parents(owner.module))
    return frozenset(inside - outside)


def _with_parents(module: str) -> Iterator[str]:
    """Yield the path of a module and of all modules that contain it.

    >>> list(_with_parents("body.layer1.0"))
    ['body', 'body.layer1', 'body.layer1.0']
    """
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
