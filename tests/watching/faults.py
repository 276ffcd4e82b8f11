"""A network with planted faults, and its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.watching.watching import Watching, watch

N = 8
SAMPLE = 2
"""The sample in which a value that is not finite is born."""


class Net(nn.Module):
    """Two residual blocks whose first branch is scaled, detached or broken from a step on."""

    def __init__(self, fault: str = "", at: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fault, self.at, self.step = fault, at, -1
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def broken(self, x: Tensor) -> Tensor:
        if self.step < self.at:
            return x
        kept = (torch.arange(len(x)) != SAMPLE).to(x).reshape(-1, 1, 1, 1)
        match self.fault:
            case "zero":
                return x * 0
            case "small":
                return x * 1e-4
            case "detached":
                return x.detach()
            case "sqrt":
                return x + (x * kept).abs().sqrt()
            case "log":
                return x + (x * kept).abs().log()
            case "masked log":
                return x + torch.where(kept > 0, (x * kept).abs().log(), 0.0)
            case "clamped":
                return x + (x / kept).clamp(-1, 1)
            case "mask":
                mask = kept.expand_as(x)
                return x + (x * mask).sum((1, 2, 3), keepdim=True) / mask.sum((1, 2, 3), keepdim=True)
            case "attention":
                return x.masked_fill(torch.arange(8).reshape(1, 8, 1, 1) < 3, -torch.inf).softmax(1)
            case "empty attention":
                return x.masked_fill(kept == 0, -torch.inf).softmax(1)
            case "large":
                return x * 1e5
        return x

    def forward(self, x: Tensor) -> Tensor:
        self.step += 1
        x = self.stem(x).relu()
        x = x + self.broken(self.first(x))
        x = x + self.second(x).relu()
        return self.head(x.mean((2, 3)))


def images(steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(N, 3, 16, 16, generator=generator) for _ in range(steps)]


def train(model: nn.Module, steps: int, rate: float = 0.05, dtype: torch.dtype | None = None) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for batch in images(steps):
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            loss = functional.cross_entropy(model(batch), torch.arange(N) % 5)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def watched(
    model: nn.Module, steps: int = 8, rate: float = 0.05, dtype: torch.dtype | None = None
) -> Watching:
    with watch(model, every=1) as watching:
        train(model, steps, rate, dtype)
    return watching
