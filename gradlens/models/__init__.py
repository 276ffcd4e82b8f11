"""Networks by name: models, weights, transition strategies and warm-up.

Public names load on first use, so the name of a network can be checked (``spec``, ``naming``) without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.exports import exports

if TYPE_CHECKING:
    from gradlens.models.checkpoint import load_checkpoint
    from gradlens.models.cross_stage import StageNotCut, cspify
    from gradlens.models.families import FAMILIES
    from gradlens.models.loading import load_model
    from gradlens.models.naming import model_names
    from gradlens.models.transitions import TRANSITIONS
    from gradlens.models.warmup import warm_up
    from gradlens.models.width import narrow_to_flops
    from gradlens.models.zero_init import lift_zero_init, zero_gains

__all__ = [
    "FAMILIES",
    "TRANSITIONS",
    "StageNotCut",
    "cspify",
    "lift_zero_init",
    "load_checkpoint",
    "load_model",
    "model_names",
    "narrow_to_flops",
    "warm_up",
    "zero_gains",
]

_MODULES = {
    "FAMILIES": "families",
    "TRANSITIONS": "transitions",
    "StageNotCut": "cross_stage",
    "cspify": "cross_stage",
    "lift_zero_init": "zero_init",
    "load_checkpoint": "checkpoint",
    "load_model": "loading",
    "model_names": "naming",
    "narrow_to_flops": "width",
    "warm_up": "warmup",
    "zero_gains": "zero_init",
}

__getattr__ = exports(__name__, _MODULES)
