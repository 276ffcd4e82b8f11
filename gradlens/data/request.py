"""The requested number and size of images, and the selection of their samples. No torch, so it is checked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlens.errors import GradlensError
from gradlens.options import SEED_LIMIT

CLASSES = 10
SMALLEST_BATCH = 4  # the unbiased HSIC divides by n - 3
LEAST = {"batches": 1, "start": 0, "image_size": 1, "in_chans": 1, "seed": 0, "num_classes": 2}


@dataclass(frozen=True)
class Request:
    """The batches that ``load_data`` returns.

    Attributes:
        batch_size: samples ``n`` per batch.
        batches: number of batches.
        start: number of batches to skip at the start of the order.
        image_size: height and width in pixels.
        in_chans: channels ``c``.
        seed: determines the order.
        num_classes: number of classes of random targets.
        data: name of the data, with its options.

    Raises:
        GradlensError: a number is out of range.
    """

    batch_size: int
    batches: int
    start: int
    image_size: int
    in_chans: int
    seed: int
    num_classes: int = CLASSES
    data: str = ""

    def __post_init__(self) -> None:
        if self.batch_size < SMALLEST_BATCH:
            raise GradlensError(
                f"the batch size is {self.batch_size}; similarity between gradients (unbiased HSIC)"
                f" needs at least {SMALLEST_BATCH} samples per batch"
            )
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise GradlensError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.seed >= SEED_LIMIT:
            raise GradlensError(f"seed is {self.seed}; it must be below {SEED_LIMIT}")

    @property
    def first(self) -> int:
        """Number of samples before the first requested one."""
        return self.start * self.batch_size

    @property
    def samples(self) -> int:
        """Number of requested samples."""
        return self.batches * self.batch_size

    def order(self, total: int) -> list[int]:
        """Return the order of ``total`` samples, which the seed determines: that of ``torch.randperm`` on the CPU.

        It is a shuffle (Fisher and Yates 1938; Durstenfeld 1964) by the Mersenne Twister (Matsumoto and Nishimura
        1998), which NumPy has, too.
        """
        twister = np.random.RandomState(self.seed)  # seeded as in PyTorch by one 32-bit number
        draws = twister.randint(0, 1 << 32, size=max(total - 1, 0), dtype=np.uint32)
        order = list(range(total))
        for first, draw in enumerate(map(int, draws)):
            other = first + draw % (total - first)
            order[first], order[other] = order[other], order[first]
        return order

    def require_size(self, least: int, name: str) -> None:
        """Raise a GradlensError unless the images are at least as large as the data need."""
        if self.image_size < least:
            raise GradlensError(f"image_size is {self.image_size}; it must be at least {least} for {name}")

    def require(self, usable: int, description: str) -> None:
        """Raise a GradlensError unless ``usable`` samples are enough; ``description`` begins its message."""
        if usable < self.first + self.samples:
            reserved = f" after {self.start} reserved ones" if self.start else ""
            raise GradlensError(
                f"{description}, but {self.batches} batches of {self.batch_size}{reserved} need"
                f" {self.first + self.samples}; lower batches={self.batches} or batch_size={self.batch_size}"
            )
