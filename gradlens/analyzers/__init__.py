"""Recording → Table: an analyzer is a frozen dataclass of its parameters with ``__call__``."""

from __future__ import annotations

from collections.abc import Callable

from gradlens.analyzers.branches import Branches, Shares
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.cost import Cost, Throughput
from gradlens.analyzers.diagnosis import Diagnosis
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.exactness import Exactness
from gradlens.analyzers.extra import Canonicals, Nulls
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.map import MapEdges, MapNodes
from gradlens.analyzers.paths import PathLengths, Paths
from gradlens.analyzers.structure import Structure
from gradlens.analyzers.weights import NoiseScale, Readers, Reuse
from gradlens.recording import Recording
from gradlens.results import Table

ANALYZERS: dict[str, Callable[[Recording], Table | None]] = {
    "duplication": Duplication(),
    "correlation": Correlation(),
    "branches": Branches(),
    "shares": Shares(),
    "flow": Flow(),
    "structure": Structure(),
    "paths": Paths(),
    "path_lengths": PathLengths(),
    "noise": NoiseScale(),
    "readers": Readers(),
    "reuse": Reuse(),
    "diagnosis": Diagnosis(),
    "cost": Cost(),
    "throughput": Throughput(),
    "exactness": Exactness(),
    "map_nodes": MapNodes(),
    "map_edges": MapEdges(),
}
"""Analyzers by table name; they return None if the recording has no data for the table."""

ON_REQUEST: dict[str, Callable[[Recording], Table | None]] = {"null": Nulls(), "canonical": Canonicals()}
"""Analyzers that take longer, by table name; they run only on request."""

_WEIGHTS = "was recorded without weight space; capture again with space='weights'"
_SIGNALS = "holds fewer than two signals; capture again with sites='signals'"
_FORKS = "holds no fork and no partial split: the network has none, or they were not watched"
WANTING: dict[str, str] = {
    **dict.fromkeys(("noise", "reuse", "readers"), _WEIGHTS),
    **dict.fromkeys(("duplication", "correlation", "null", "canonical"), _SIGNALS),
    **dict.fromkeys(("branches", "shares"), _FORKS),
    "exactness": "holds no sum that could be checked",
    "cost": "holds no costs; capture again with costs=True",
    "throughput": "holds no speeds; capture again with throughput=5",
}
"""By table name, what a recording lacks for which an analyzer has no table."""

STUDY_TABLES = (
    "summary",
    "comparison",
    "strategies",
    "differences",
    "trajectory",
    "learning",
    "cross",
    "networks",
    "contrasts",
)
"""Tables that a study makes of several recordings or of the analyzers' tables."""

__all__ = ["ANALYZERS", "ON_REQUEST", "STUDY_TABLES", "WANTING"]
