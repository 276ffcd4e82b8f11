"""The loss of a ``[yolo]`` layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gradlens.models.darknet.boxes import overlap
from gradlens.models.darknet.heads import DetectionHead
from gradlens.models.darknet.responsible import Pairs, best_overlaps, by_shape, shape_overlaps
from gradlens.models.darknet.sections import Yolo
from gradlens.models.darknet.truths import Truths

FOCAL_ALPHA = 0.5  # of darknet; the published value is 0.25


def yolo_loss(
    head: DetectionHead, section: Yolo, raw: Tensor, truths: Truths, image: Tensor
) -> dict[str, Tensor]:
    r"""Return the losses of one scale, summed over the images (Redmon & Farhadi 2018, arXiv 1804.02767, section 2).

    Box of the anchor with size (a, b) at cell (i, j) of a map of w × h cells, with s = ``scale_x_y``:
    x = (i + s σ(x') − (s − 1)/2) / w, y likewise, width = a exp(w') / W; with ``new_coords`` width = a (2 σ(w'))² / W
    (Wang, Bochkovskiy & Liao 2021, arXiv 2011.08036).

    Responsible for an object, at the cell of its centre: of all anchors of the network the one whose shape overlaps
    it most, and all others whose shape overlaps it by more than ``iou_thresh``. A box with a better IoU than
    ``truth_thresh`` is responsible as well.

    - ``box``: of responsible anchors ``iou_normalizer`` · (1 − IoU), with the kind of IoU in ``iou_loss``. ``mse``:
      (2 − width · height) · ``iou_normalizer`` · [s BCE(σ(x'), x*) + s BCE(σ(y'), y*) + (w* − w')²/2 + (h* − h')²/2],
      with * the values that give the object's box. The boxes of one anchor and cell are summed and divided by the
      number of their classes.
    - ``objectness``: ``obj_normalizer`` · BCE, target 1 for responsible anchors, 0 for others. Others with an IoU above
      ``ignore_thresh`` have none. With ``objectness_smooth`` the target is IoU² above ``ignore_thresh``, else 0.
    - ``class``: of responsible anchors ``cls_normalizer`` · Σ BCE, smoothed to y (1 − ε) + ε/2. With ``focal_loss``
      each BCE is α (1 − p)² BCE, p the probability of its target (Lin et al. 2017, arXiv 1708.02002).

    ``counters_per_class`` weights objects by the largest count over that of their class.

    Darknet has no such function: it writes deltas, *minus* the gradient, at the layer's input. They equal minus the
    gradient of these losses for objectness, class and ``mse``, so BCE becomes (t − p)²/2 if ``new_coords`` follows a
    logistic convolution, whose own derivative darknet applies. For IoU losses darknet leaves out the derivatives of
    σ, s, a and w; here the gradient is that of the loss. Darknet's ``max_delta`` clips deltas, which no loss does.

    Args:
        head: the layer.
        section: its options.
        raw: ``[n, anchors (5 + classes), h, w]``, its input.
        truths: the objects of the batch.
        image: ``[2]``, width and height of the images in pixels.

    Returns:
        Scalars ``box``, ``objectness``, ``class``.
    """
    maps = _Maps(section, head.by_anchor(raw), section.new_coords and head.activated, image)
    with torch.no_grad():
        best, nearest = best_overlaps(maps.boxes(), truths)
        pairs = _responsible(maps, truths, best, nearest)
        weights = _class_weights(section, raw)
    objectness = _objectness_loss(maps, pairs, best, truths, weights)
    pairs, truths, present = pairs.filled(truths)
    centres, sizes, _, classes = pairs.of(maps.values).split([2, 2, 1, section.classes], dim=1)
    return {
        "box": section.weight * present * _box_loss(maps, pairs, centres, sizes, truths, weights),
        "objectness": section.weight * objectness,
        "class": section.weight * present * _class_loss(maps, pairs, classes, truths, weights),
    }


@dataclass(frozen=True)
class _Maps:
    """The values of one scale by anchor ``[n, anchors, 5 + classes, h, w]``; ``activated``: they are logistic."""

    section: Yolo
    values: Tensor
    activated: bool
    image: Tensor

    @property
    def cells(self) -> Tensor:
        """Width and height of the map in cells, ``[2]``."""
        return self.values.new_tensor([self.values.shape[4], self.values.shape[3]])

    @property
    def anchors(self) -> Tensor:
        """All anchors of the network as shares of the image, ``[A, 2]``."""
        return self.values.new_tensor(self.section.anchors) / self.image

    def probability(self, values: Tensor) -> Tensor:
        """Return values behind the logistic function."""
        return values if self.activated else values.sigmoid()

    def boxes(self) -> Tensor:
        """Return all boxes as shares of the image, ``[n, anchors, h, w, 4]``."""
        values, (height, width) = self.values.movedim(2, -1), self.values.shape[3:]
        rows, columns = (torch.arange(length, device=values.device).to(values) for length in (height, width))
        corners = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1)
        anchors = self.anchors[list(self.section.mask)][:, None, None]
        return self.decoded(values[..., :2], values[..., 2:4], corners, anchors)

    def decoded(self, centres: Tensor, sizes: Tensor, corners: Tensor, anchors: Tensor) -> Tensor:
        """Return the boxes ``[..., 4]`` of values ``[..., 2]`` and ``[..., 2]`` at cells with upper left corners."""
        positions = (corners + self.reached(centres)) / self.cells
        factors = (2 * self.probability(sizes)).square() if self.section.new_coords else sizes.exp()
        return torch.cat([positions, factors * anchors], dim=-1)

    def reached(self, centres: Tensor) -> Tensor:
        """Return the position of centres in their cell, s σ(x') − (s − 1)/2."""
        scale = self.section.scale_x_y
        return scale * self.probability(centres) - (scale - 1) / 2

    def entropy(self, values: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each value: binary cross-entropy, or (t − p)²/2 of logistic values."""
        if self.activated:
            return (targets - values).square() / 2
        return functional.binary_cross_entropy_with_logits(values, targets, reduction="none")


def _responsible(maps: _Maps, truths: Truths, best: Tensor, nearest: Tensor) -> Pairs:
    section, (height, width) = maps.section, maps.values.shape[3:]
    mask = torch.tensor(section.mask, device=best.device)
    chosen = shape_overlaps(truths.boxes[:, 2:], maps.anchors).argmax(1)[:, None] == mask
    if section.iou_thresh < 1:
        shapes = shape_overlaps(truths.boxes[:, 2:], maps.anchors, section.iou_thresh_kind)
        chosen |= shapes[:, mask] > section.iou_thresh
    pairs = by_shape(truths, chosen, height, width)
    if section.truth_thresh >= 1:
        return pairs
    cells = (best > section.truth_thresh).nonzero(as_tuple=True)
    both = torch.cat([torch.stack([*pairs.cells, pairs.truth]), torch.stack([*cells, nearest[cells]])], dim=1)
    return Pairs(*both.unique(dim=1))


def _class_weights(section: Yolo, raw: Tensor) -> Tensor:
    """Return the weight of an object of each class, ``[classes]``."""
    if section.counts is None:
        return raw.new_ones(section.classes)
    counts = raw.new_tensor(section.counts)
    return counts.max() / counts


def _labels(section: Yolo, pairs: Pairs, truths: Truths) -> tuple[Tensor, Tensor]:
    """Return the classes of all objects at each pair's anchor and cell, ``[k, classes]``, and their number, ``[k]``."""
    place, counts = pairs.places()
    labels = truths.boxes.new_zeros(len(counts), section.classes)
    labels[place, truths.classes[pairs.truth]] = 1
    return labels[place], counts[place]


def _box_loss(
    maps: _Maps, pairs: Pairs, centres: Tensor, sizes: Tensor, truths: Truths, weights: Tensor
) -> Tensor:
    section, targets = maps.section, truths.boxes[pairs.truth]
    corners = torch.stack([pairs.column, pairs.row], dim=1).to(targets)
    anchors = maps.anchors[list(section.mask)][pairs.anchor]
    if section.iou_loss == "mse":
        losses = _coordinate_losses(
            maps, centres, sizes, targets[:, :2] * maps.cells - corners, targets[:, 2:] / anchors
        )
        losses = (2 - targets[:, 2:].prod(1)) * losses
    else:
        losses = 1 - overlap(maps.decoded(centres, sizes, corners, anchors), targets, section.iou_loss)
    labels, _ = _labels(section, pairs, truths)
    shares = weights[truths.classes[pairs.truth]] / labels.sum(1)
    return section.box_weight * (shares * losses).sum()


def _coordinate_losses(maps: _Maps, centres: Tensor, sizes: Tensor, inside: Tensor, ratios: Tensor) -> Tensor:
    """Return the loss of each pair with ``mse``, for objects at ``inside`` their cell and ``ratios`` to the anchor."""
    section, scale = maps.section, maps.section.scale_x_y
    if section.new_coords:
        of_centres = (inside - maps.reached(centres)).square() / 2
        of_sizes = (ratios.sqrt() / 2 - maps.probability(sizes)).square() / 2
    else:
        shares = (inside + (scale - 1) / 2) / scale
        of_centres = scale * functional.binary_cross_entropy_with_logits(centres, shares, reduction="none")
        of_sizes = (ratios.log() - sizes).square() / 2
    return (of_centres + of_sizes).sum(1)


def _objectness_loss(maps: _Maps, pairs: Pairs, best: Tensor, truths: Truths, weights: Tensor) -> Tensor:
    section = maps.section
    overlapping = best > section.ignore_thresh
    if section.objectness_smooth:
        targets, factors = (
            torch.where(overlapping, best.square(), torch.zeros_like(best)),
            torch.ones_like(best),
        )
    else:
        targets, factors = torch.zeros_like(best), (~overlapping).to(best.dtype)
        targets[pairs.cells] = 1
        factors[pairs.cells] = 0
        factors.index_put_(pairs.cells, _largest(pairs, weights[truths.classes[pairs.truth]]))
    return section.objectness_weight * (factors * maps.entropy(maps.values[:, :, 4], targets)).sum()


def _largest(pairs: Pairs, weights: Tensor) -> Tensor:
    """Return for each pair the largest weight at its anchor and cell."""
    place, counts = pairs.places()
    largest = weights.new_zeros(len(counts)).scatter_reduce(0, place, weights, "amax")
    return largest[place]


def _class_loss(maps: _Maps, pairs: Pairs, classes: Tensor, truths: Truths, weights: Tensor) -> Tensor:
    section = maps.section
    labels, count = _labels(section, pairs, truths)
    targets = labels * (1 - section.label_smooth_eps) + section.label_smooth_eps / 2
    losses = maps.entropy(classes, targets)
    if section.focal:
        probability = maps.probability(classes)
        missing = torch.where(labels > 0, 1 - probability, probability)
        losses = FOCAL_ALPHA * missing.square() * losses
    factors = torch.where(labels > 0, weights, torch.ones_like(labels))
    return section.class_weight * (factors * losses / count[:, None]).sum()
