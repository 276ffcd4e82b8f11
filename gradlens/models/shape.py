"""The numbers of classes and channels and the image size for which a model is built."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.errors import GradlensError


@dataclass(frozen=True)
class InputShape:
    """The classes and images for which a model is built.

    Attributes:
        num_classes: width of the head; None keeps the model's default.
        in_chans: channels of the images.
        image_size: side of the images in pixels; None keeps the model's default.
    """

    num_classes: int | None
    in_chans: int
    image_size: int | None

    def __post_init__(self) -> None:
        for name in ("num_classes", "in_chans", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise GradlensError(f"{name} is {value}; it must be at least 1")

    def check_stride(self, name: str, stride: int) -> None:
        """Check that a network of this name can take the image size.

        Raises:
            GradlensError: the size is not a multiple of the largest stride.
        """
        size = self.image_size
        if size is not None and size % stride:
            raise GradlensError(
                f"{name} takes images whose size is a multiple of {stride}, and image_size is {size}; use "
                f"image_size={-(-size // stride) * stride}"
            )
