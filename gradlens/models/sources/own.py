"""Names of the networks that gradlens has itself."""

from __future__ import annotations

PELEENETS = {"peleenet": (3, 4, 8, 6), "peleenet_small": (2, 2, 4, 3)}
"""Depths of the models that gradlens has itself; the small one, with about half the layers, is not from the paper."""
