"""Which anchor at which cell is responsible for which object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gradlens.models.darknet.boxes import overlap
from gradlens.models.darknet.truths import Truths


@dataclass(frozen=True)
class Pairs:
    """Pairs of a responsible anchor and an object; an anchor may be responsible for several.

    Attributes:
        image: ``[k]``.
        anchor: ``[k]``, its number among those of the head.
        row: ``[k]``, of the cell.
        column: ``[k]``.
        truth: ``[k]``, the number of the object.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    truth: Tensor

    @property
    def cells(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Index of the pairs' places in maps ``[n, anchors, h, w]``."""
        return self.image, self.anchor, self.row, self.column

    def of(self, maps: Tensor) -> Tensor:
        """Return the values ``[k, values]`` of the pairs in maps ``[n, anchors, values, h, w]``."""
        return maps[self.image, self.anchor, :, self.row, self.column]

    def filled(self, truths: Truths) -> tuple[Pairs, Truths, Tensor]:
        """Return pairs and objects of which there is at least one, and 1, or 0 if they are a stand-in.

        So a loss of a batch without objects has the same operations, and no tensor is empty.
        """
        present = truths.boxes.new_tensor(float(len(self.image) > 0))
        if len(self.image):
            return self, truths, present
        zero = self.image.new_zeros(1)
        box = truths.boxes.new_tensor([[0.5, 0.5, 0.1, 0.1]])
        return Pairs(zero, zero, zero, zero, zero), Truths(zero, box, zero), present

    def places(self) -> tuple[Tensor, Tensor]:
        """Return the number of each pair's cell and anchor among those that occur ``[k]``, and how often each does."""
        if not len(self.image):  # ``unique`` refuses it
            return self.image, self.image
        _, number, counts = torch.stack(self.cells).unique(dim=1, return_inverse=True, return_counts=True)
        return number, counts

    def last(self) -> Pairs:
        """Return only the last pair of each anchor and cell."""
        number, counts = self.places()
        last = torch.full_like(counts, -1).scatter_reduce(
            0, number, torch.arange(len(number), device=number.device), "amax"
        )
        return Pairs(*(values[last] for values in (*self.cells, self.truth)))


def by_shape(truths: Truths, chosen: Tensor, height: int, width: int) -> Pairs:
    """Return the pairs of the objects' own cells.

    Args:
        truths: the objects.
        chosen: ``[t, anchors]``, whether an anchor of the head is responsible for an object.
        height: cells of a column.
        width: cells of a row.
    """
    truth, anchor = chosen.nonzero(as_tuple=True)
    cells = (truths.boxes[:, :2] * truths.boxes.new_tensor([width, height])).long()[truth]
    cells = torch.minimum(
        cells, cells.new_tensor([width - 1, height - 1])
    )  # a centre may be rounded up to the edge
    return Pairs(truths.images[truth], anchor, cells[:, 1], cells[:, 0], truth)


def shape_overlaps(sizes: Tensor, anchors: Tensor, kind: str = "iou") -> Tensor:
    """Return the overlaps ``[t, anchors]`` of boxes of one centre.

    Args:
        sizes: ``[t, 2]``.
        anchors: ``[anchors, 2]`` or ``[t, anchors, 2]``.
        kind: see ``overlap``.
    """
    objects, shapes = (torch.cat([torch.zeros_like(each), each], dim=-1) for each in (sizes, anchors))
    return overlap(objects[:, None], shapes, kind)


def best_overlaps(boxes: Tensor, truths: Truths) -> tuple[Tensor, Tensor]:
    """Return the IoU of each box with the object of its image that it overlaps most, and that object's number.

    Args:
        boxes: ``[n, anchors, h, w, 4]``.
        truths: the objects.

    Returns:
        ``[n, anchors, h, w]`` twice; 0 and 0 in an image without objects.
    """
    best = boxes.new_zeros(boxes.shape[:-1])
    number = torch.zeros_like(best, dtype=torch.long)
    for image in range(len(boxes)):
        members = (truths.images == image).nonzero()[:, 0]
        if len(members):
            best[image], index = overlap(boxes[image, ..., None, :], truths.boxes[members]).max(-1)
            number[image] = members[index]
    return best, number
