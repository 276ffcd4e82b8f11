"""How many images of which size are asked for, and which samples that makes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gradlens.errors import GradlensError

SMALLEST_BATCH = 4  # the unbiased HSIC divides by n - 3
SEED_LIMIT = 2**32


@dataclass(frozen=True)
class Request:
    """What ``load_data`` was asked for.

    Attributes:
        batch_size: samples ``n`` a batch.
        batches: how many batches.
        start: how many batches of the same order come before them.
        image_size: height and width in pixels.
        in_chans: channels ``c``.
        seed: of the order.

    Raises:
        GradlensError: a number is out of range.
    """

    batch_size: int
    batches: int
    start: int
    image_size: int
    in_chans: int
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size < SMALLEST_BATCH:
            raise GradlensError(
                f"the batch size is {self.batch_size}; similarity between gradients (unbiased HSIC)"
                f" needs at least {SMALLEST_BATCH} samples a batch"
            )
        for name, least in (("batches", 1), ("start", 0), ("image_size", 1), ("in_chans", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise GradlensError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.seed >= SEED_LIMIT:
            raise GradlensError(f"seed is {self.seed}; it must be below {SEED_LIMIT}")

    @property
    def first(self) -> int:
        """How many samples come before the first one that is wanted."""
        return self.start * self.batch_size

    @property
    def wanted(self) -> int:
        """How many samples are wanted."""
        return self.batches * self.batch_size

    def order(self, total: int) -> list[int]:
        """The order of ``total`` samples, a function of the seed."""
        generator = torch.Generator().manual_seed(self.seed)
        return list(map(int, torch.randperm(total, generator=generator)))

    def require(self, usable: int, what: str) -> None:
        """Raise a GradlensError unless ``usable`` samples are enough."""
        if usable < self.first + self.wanted:
            before = f" after {self.start} that are set apart" if self.start else ""
            raise GradlensError(
                f"{what}, but {self.batches} batches of {self.batch_size}{before} need"
                f" {self.first + self.wanted}; lower the number of batches or the batch size"
            )
