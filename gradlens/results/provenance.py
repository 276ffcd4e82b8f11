"""How a result was made: the entries of its ``meta`` that gradlens itself reads, as one typed value. No pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

INSPECT, COMPARE, PATHS, STRATEGIES, WATCH = "inspect", "compare", "paths", "strategies", "watch"
"""Kinds of results."""


@dataclass(frozen=True)
class RunProvenance:
    """How a result was made; a missing entry has an empty or default value.

    Attributes:
        kind: ``inspect``, ``compare``, ``paths``, ``strategies`` or ``watch``; empty if not recorded.
        networks: display names; for a run of strategies, the name of the model.
        space: ``activations``, ``weights`` or ``both``.
        seeds: the measured seeds.
        partial: whether the run was interrupted.
        command: command line of the run; empty if it was started from Python.
        study: options by name.
    """

    kind: str = ""
    networks: tuple[str, ...] = ()
    space: str = "activations"
    seeds: tuple[int, ...] = ()
    partial: bool = False
    command: str = ""
    study: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, meta: Mapping[str, object]) -> RunProvenance:
        """Read the entries of a result's ``meta``."""
        command = str(meta.get("command") or "")
        study = meta.get("study")
        study = study if isinstance(study, Mapping) else {}
        return cls(
            kind=_kind(str(meta.get("kind") or ""), command),
            networks=_networks(meta),
            space=str(study.get("space") or meta.get("space") or cls.space),
            seeds=tuple(map(int, _texts(meta.get("seeds")))),
            partial=bool(meta.get("partial")),
            command=command,
            study=study,
        )

    @property
    def tables_of_weights(self) -> bool:
        """Whether tables without a suffix in their name describe gradients of weights."""
        return self.space == "weights"


def _kind(recorded: str, command: str) -> str:
    """Return the kind; runs of ``gradlens paths`` were once recorded as ``inspect``."""
    words = [word for word in command.split()[1:] if not word.startswith("-")]
    return PATHS if recorded == INSPECT and words[:1] == [PATHS] else recorded


def _networks(meta: Mapping[str, object]) -> tuple[str, ...]:
    return _texts(meta.get("networks")) or tuple(str(meta[key]) for key in ("a", "b") if meta.get(key))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else ()
