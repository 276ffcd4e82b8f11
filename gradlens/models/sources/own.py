"""Names of networks that no library lists, and what builds them."""

from __future__ import annotations

PELEENETS = {"peleenet": (3, 4, 8, 6), "peleenet_small": (2, 2, 4, 3)}
"""Depths of the models that gradlens has itself; the small one, with about half the layers, is not from the paper."""
YOLOX = {f"yolox-{size}": size for size in ("n", "t", "s", "m", "l", "x")}
"""Sizes of YOLOX in libreyolo by the name of the network."""
