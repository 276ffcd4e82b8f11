"""The end of a detector: maps whose channels are the boxes, objectness and classes of each anchor."""

from __future__ import annotations

from torch import Tensor, nn

from gradlens.models.darknet.sections import Detection

NUMBERS = 5
"""Values of an anchor before its classes: x, y, width, height, objectness."""


class DetectionHead(nn.Module):
    """A ``[yolo]`` or ``[region]``, which passes its input on unchanged; its loss reads that.

    Attributes:
        section: classes, anchors and weights of the loss.
        activated: whether the convolution before it is logistic.
    """

    def __init__(self, section: Detection, activated: bool) -> None:
        super().__init__()
        self.section, self.activated = section, activated

    @property
    def channels(self) -> int:
        """Channels that the layer reads: 5 and the classes for each of its anchors."""
        return head_channels(self.section, self.section.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw outputs ``[n, anchors (5 + classes), h, w]``."""
        return x

    def by_anchor(self, raw: Tensor) -> Tensor:
        """Return raw outputs as ``[n, anchors, 5 + classes, h, w]``."""
        n, channels, height, width = raw.shape
        anchors = len(self.section.mask)
        return raw.reshape(n, anchors, channels // anchors, height, width)

    def extra_repr(self) -> str:
        """Show the anchors and classes."""
        return f"anchors={[self.section.anchors[index] for index in self.section.mask]}, classes={self.section.classes}"


def head_channels(section: Detection, classes: int) -> int:
    """Return the channels of a head's input: 5 and the classes for each anchor."""
    return len(section.mask) * (NUMBERS + classes)
