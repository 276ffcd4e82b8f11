"""Losses of networks whose training step is not one call with a cross entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradlens.detection import check_boxes
from gradlens.devices import beside
from gradlens.errors import GradlensError
from gradlens.standard import segmentation_losses

DISCOUNT = 0.8
"""Factor from one refinement of the flow to the one before (Teed & Deng 2020, arXiv 2003.12039, equation 7)."""
Target = Mapping[str, Tensor]


def segmentation(model: nn.Module, batch: Any) -> Mapping[str, Tensor]:
    """Return the cross entropy of each head of a segmentation network, over all pixels.

    Args:
        model: returns a mapping with ``out`` and perhaps ``aux``, logits ``[n, classes, h, w]``.
        batch: (images ``[n, 3, h, w]``, classes of the pixels ``[n, h, w]``), or a detection batch with masks.

    Raises:
        GradlensError: the network returns something else.
    """
    images, targets = batch
    if not isinstance(targets, Tensor):
        images, targets = detection_batch(model, batch)
        targets = torch.stack([class_map(target) for target in targets])
        images = torch.stack(images)
    losses = segmentation_losses(model(images), targets)
    if losses is None:
        raise GradlensError(f"{type(model).__name__} returns no logits of the size of the maps of classes")
    return losses


def optical_flow(model: nn.Module, batch: Any) -> Tensor:
    """Return the sequence loss of RAFT (Teed & Deng 2020, equation 7).

    ``sum_i 0.8^(N - i) |flow - flow_i|``, averaged over samples, components and pixels.

    Args:
        model: takes two images and returns the flow ``[n, 2, h, w]`` in pixels after each refinement.
        batch: (pairs of images ``[n, 2, 3, h, w]`` in [0, 1], flow ``[n, 2, h, w]`` in pixels).
    """
    pairs, flow = batch
    first, second = (2 * pairs - 1).unbind(1)  # torchvision's presets scale to [-1, 1]
    refined = model(first, second)
    weights = [DISCOUNT ** (len(refined) - 1 - index) for index in range(len(refined))]
    return torch.stack(
        [weight * (guess - flow).abs().mean() for weight, guess in zip(weights, refined, strict=True)]
    ).sum()


def detection_batch(model: nn.Module, batch: Any) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Return images ``[3, h, w]`` and targets on the device of the model.

    Raises:
        GradlensError: the batch has another form, or a target does not fit its image (see ``check_boxes``).
    """
    if not _is_detection(batch):
        raise GradlensError(
            f"{type(model).__name__} learns from boxes, and a batch is not (images, targets) with a dict of boxes and "
            "labels for each image; use data='scenes', or give such batches as data="
        )
    images, targets = batch
    check_boxes(images, targets)
    return beside(model, list(images)), beside(model, list(targets))


def one_size(images: Sequence[Tensor], targets: Sequence[Target], classes: int) -> Tensor:
    """Return images of a network that takes one size as one tensor ``[n, 3, h, w]``.

    Raises:
        GradlensError: images of several sizes, or labels outside 1 to ``classes``.
    """
    sizes = {tuple(image.shape) for image in images}
    if len(sizes) > 1:
        raise GradlensError(
            f"the images of a batch have {len(sizes)} sizes, and this network takes one; resize them to one size"
        )
    labels = torch.cat([target["labels"].flatten() for target in targets])
    if len(labels) and not (int(labels.min()) >= 1 and int(labels.max()) <= classes):
        raise GradlensError(
            f"the labels are {int(labels.min())} to {int(labels.max())}, and the network has the classes 1 to "
            f"{classes} (0 is the background); use num_classes="
        )
    return torch.stack(list(images))


def class_map(target: Target) -> Tensor:
    """Return the class of each pixel, ``[h, w]``, from masks ``[k, h, w]``; 0 is the background, later masks win.

    Raises:
        GradlensError: the target has no masks.
    """
    if "masks" not in target:
        raise GradlensError("the targets have no masks, which segmentation learns from; use data='scenes'")
    masks, labels = target["masks"].bool(), target["labels"]
    pixels = torch.zeros(masks.shape[1:], dtype=torch.long, device=masks.device)
    for mask, label in zip(masks, labels, strict=True):
        pixels[mask] = label
    return pixels


def _is_detection(batch: Any) -> bool:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Sequence)):
        return False
    return all(isinstance(target, Mapping) for target in batch[1])
