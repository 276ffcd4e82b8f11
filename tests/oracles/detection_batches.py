"""Batches for detectors in the form of torchvision, and a small file of ultralytics."""

from __future__ import annotations

import torch
from torch import Tensor

SIDE = 64
YAML = """nc: 3
scales:
  n: [0.33, 0.25, 1024]
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, C2f, [32, True]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, C2f, [64, True]]
head:
  - [[2, 4], 1, Detect, [nc]]
"""
Batch = tuple[list[Tensor], list[dict[str, Tensor]]]


def batch_of(n: int = 4, seed: int = 0) -> Batch:
    """Images with two boxes each; torchvision's labels begin at 1."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.rand(3, SIDE, SIDE, generator=generator) for _ in range(n)]
    boxes = torch.tensor([[4.0, 6.0, 30.0, 28.0], [20.0, 10.0, 60.0, 50.0]])
    return images, [{"boxes": boxes.clone(), "labels": torch.tensor([1, 3])} for _ in range(n)]
