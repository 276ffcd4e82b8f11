"""Networks and training loops of the tests of a watched training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gradlens.watching.rows import Row
from gradlens.watching.watching import Watching

N, STEPS = 6, 8


class Block(nn.Module):
    """A residual block with dropout."""

    def __init__(self, again: bool = False) -> None:
        super().__init__()
        self.again = again
        self.conv, self.norm, self.drop = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.1)

    def residual(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        inner = checkpoint(self.residual, x, use_reentrant=False) if self.again else self.residual(x)
        return functional.relu_(x + inner)


def network(again: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    blocks = [Block(again), Block(again)]
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )


def batches(steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(N, 3, 8, 8, generator=generator), torch.arange(N) % 5) for _ in range(steps)]


Loop = Callable[[nn.Module], None]


def plain(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for images, targets in batches():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def accumulated(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for index, (images, targets) in enumerate(batches()):
        (functional.cross_entropy(model(images), targets) / 2).backward()
        if index % 2:
            optimizer.step()
            optimizer.zero_grad()


def two_losses(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        output = model(images)
        functional.cross_entropy(output, targets).backward(retain_graph=True)
        output.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def penalised(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        images.requires_grad_(True)
        loss = functional.cross_entropy(model(images), targets)
        (slope,) = torch.autograd.grad(loss, images, create_graph=True)
        (loss + slope.square().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()


def autocast(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


LOOPS: list[Loop] = [plain, accumulated, two_losses, penalised, autocast]


def trained(loop: Loop, model: nn.Module, around: AbstractContextManager[object]) -> list[Tensor]:
    torch.manual_seed(2)
    with around:
        loop(model)
    return [*model.state_dict().values(), torch.get_rng_state()]


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooks_of(model: nn.Module) -> int:
    return sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)


def of(watching: Watching, quantity: str) -> list[Row]:
    return [row for row in watching.rows if row.quantity == quantity]
