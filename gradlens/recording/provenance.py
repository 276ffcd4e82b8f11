"""How a recording was made: the entries of its ``meta`` that gradlens itself reads, as one typed value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gradlens.recording.causes import Causes, read_causes


@dataclass(frozen=True)
class Provenance:
    """How a recording was made; a missing entry has a default value.

    Attributes:
        network: display name of the network.
        sites: see ``Watch``.
        pairs: see ``Watch``.
        mode: see ``Watch``; ``unknown`` if not recorded.
        space: see ``Watch``.
        notes: remarks on how the network was made that affect its numbers.
        unseen_layers: trainable layers that ran but have no signal.
        unreached_layers: those that the loss does not depend on.
        frozen_layers: layers that ran, are not trained, and are not passed by any gradient.
        frozen_inside: modules that are not trained although a gradient passes through them, if they are a small part.
        partly_seen: modules of weights that other operations read, too.
        dry_samples: samples of the dry pass; 0 if there was none.
        partial: whether the capture was stopped before its end.
        zero_init: whether gains that the library initialises with zero were kept; None if unknown.
        zero_gains: names of these gains; empty for weights from a file, which are never changed.
        warmup_steps: training steps before the capture.
        own_batches: whether the caller gave the batches, so that no option sets their size.
        warmup_losses: training loss of the first warm-up step, and the mean of the last few, by seed.
        warmup_loss: training loss at which the warm-up was to end; 0 if it had a fixed number of steps.
        warmup_steps_taken: steps of the warm-up, by seed, if it could end early.
        dead_causes: by name of a dead signal, where its gradient ends; empty if not recorded.
        stored_weights: whether the weights come from a file, so that they are the same for every seed.
    """

    network: str = "model"
    sites: str = "signals"
    pairs: str = "sketch"
    mode: str = "unknown"
    space: str = "activations"
    notes: tuple[str, ...] = ()
    unseen_layers: tuple[str, ...] = ()
    unreached_layers: tuple[str, ...] = ()
    frozen_layers: tuple[str, ...] = ()
    frozen_inside: tuple[str, ...] = ()
    partly_seen: tuple[str, ...] = ()
    dry_samples: int = 0
    partial: bool = False
    zero_init: bool | None = None
    zero_gains: tuple[str, ...] = ()
    warmup_steps: int = 0
    stored_weights: bool = False
    own_batches: bool = False
    dead_causes: Causes = field(default_factory=dict)
    warmup_losses: tuple[tuple[float, float], ...] = ()
    warmup_loss: float = 0.0
    warmup_steps_taken: tuple[int, ...] = ()

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Provenance:
        """Read the entries of a recording's ``meta``."""
        known = {entry.name: meta[entry.name] for entry in fields(cls) if meta.get(entry.name) is not None}
        lists = {name: tuple(map(str, known[name])) for name in _LISTS if name in known}
        causes = read_causes(meta.get("dead_causes") or {})
        name = meta.get("network") or meta.get("model_class") or cls.network
        return cls(**{**known, **lists, "dead_causes": causes, "network": str(name)})

    @property
    def start(self) -> str:
        """What became of the gains that the library initialises with zero; empty if there are none."""
        if not self.zero_gains:
            return ""
        return (
            f"gains that the library initialises with zero are {'kept' if self.zero_init else 'set to one'}"
        )

    @property
    def of_weights(self) -> bool:
        """Whether the signals are gradients of weights."""
        return self.space == "weights"


_LISTS = (
    "notes",
    "zero_gains",
    "unseen_layers",
    "unreached_layers",
    "frozen_layers",
    "frozen_inside",
    "partly_seen",
)
