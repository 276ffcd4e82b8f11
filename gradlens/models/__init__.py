"""Networks by name: models, weights, transition strategies and warm-up."""

from gradlens.models.checkpoint import load_checkpoint
from gradlens.models.cspify import StageNotCut, cspify
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
