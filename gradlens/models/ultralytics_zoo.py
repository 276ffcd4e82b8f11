"""Networks and losses of the optional library ultralytics (AGPL-3.0): it is imported, none of its code is here.

Its import reads a folder of settings in the user's home, asks whether the network is up, and changes switches of other
libraries; ``quietly_imported`` gives it a temporary folder and restores the switches.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError, described
from gradlens.models.shape import InputShape
from gradlens.models.sources.steps import detection_batch, one_size
from gradlens.randomness import random_states_kept

SETTINGS: list[tempfile.TemporaryDirectory[str]] = []
"""The library's folder of settings, which lives as long as the process."""


def detector(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build the detector of a YAML file with the library's own reader.

    Args:
        name: of a file that the library contains, with the letter of a size (``yolov8n.yaml``), or a path.
        shape: ``num_classes`` replaces ``nc`` of the file; None keeps it.
        pretrained: there are no weights of a YAML file.

    Raises:
        GradlensError: the library cannot build the network.
    """
    return _built("DetectionModel", name, shape)


def classifier(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build the classifier of a YAML file (``yolov8n-cls.yaml``); parameters as those of ``detector``."""
    return _built("ClassificationModel", name, shape)


def _built(kind: str, name: str, shape: InputShape) -> nn.Module:
    with quietly_imported():
        from ultralytics.nn import tasks
        from ultralytics.utils import DEFAULT_CFG

        try:
            model: Any = getattr(tasks, kind)(name, ch=shape.in_chans, nc=shape.num_classes, verbose=False)
        except Exception as error:  # of the modules that a file names
            raise GradlensError(f"ultralytics cannot build {name}: {described(error)}") from error
        model.args = DEFAULT_CFG  # the gains of its losses, which its trainer sets
    if kind == "DetectionModel":
        shape.check_stride(name, int(model.stride.max()))
    return model  # type: ignore[no-any-return]


def detection_losses(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Return the losses of a detector of ultralytics by the library's names: ``box``, ``cls`` and ``dfl`` or ``l1``.

    The library normalises each by the scores of the assigned boxes of the whole batch and multiplies it by the number
    of images, as if losses were sums over the images. Here they are divided by it again, so that they are on the scale
    of those of torchvision's detectors; gradients and shares of the losses differ from the library's by one factor.

    Args:
        model: from ``detector``, in train mode.
        batch: (images, targets), see ``steps.detection_batch``; the images have one size.

    Raises:
        GradlensError: the batch has another form, images of several sizes, or classes that the model does not have.
    """
    images, targets = detection_batch(model, batch)
    prepared = library_batch(model, images, targets)
    criterion = model.init_criterion()  # type: ignore[operator]
    values, items = criterion(model(prepared["img"]), prepared)
    return {
        name.removesuffix("_loss"): value / len(images) for name, value in zip(items, values, strict=True)
    }


def library_batch(
    model: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return a batch in the form of ultralytics: boxes as centre and size in shares of the image, classes from 0.

    Raises:
        GradlensError: images of several sizes, or classes that the model does not have.
    """
    pixels = one_size(images, targets, int(model.model[-1].nc))  # type: ignore[index, union-attr]
    height, width = pixels.shape[-2:]
    labels = torch.cat([target["labels"] for target in targets])
    boxes = torch.cat([target["boxes"].reshape(-1, 4) for target in targets]).to(images[0])
    scale = boxes.new_tensor([width, height])
    corners = boxes[:, :2] / scale, boxes[:, 2:] / scale
    counts = torch.tensor([len(target["boxes"]) for target in targets], device=boxes.device)
    return {
        "img": pixels,
        "cls": (labels - 1).to(boxes).reshape(-1, 1),
        "bboxes": torch.cat([(corners[0] + corners[1]) / 2, corners[1] - corners[0]], dim=1),
        "batch_idx": torch.repeat_interleave(torch.arange(len(images), device=boxes.device), counts).to(
            boxes
        ),
    }


@contextmanager
def quietly_imported() -> Iterator[None]:
    """Import ultralytics and use it in the block without network, files in the home of the user, or side effects."""
    import cv2  # a dependency of the library, whose number of threads it sets
    import numpy as np

    if not SETTINGS:
        SETTINGS.append(tempfile.TemporaryDirectory(prefix="gradlens-ultralytics-"))
    environment, threads, printing = dict(os.environ), cv2.getNumThreads(), np.get_printoptions()
    options, saving = vars(torch._tensor_str.PRINT_OPTS).copy(), torch.save
    os.environ.update(YOLO_CONFIG_DIR=SETTINGS[0].name, YOLO_OFFLINE="true", YOLO_VERBOSE="false")
    try:
        with warnings.catch_warnings():
            with random_states_kept():  # weights in the block are drawn from the global state
                import ultralytics.nn.tasks  # noqa: F401
            yield
    finally:
        _restore(environment)
        cv2.setNumThreads(threads)
        np.set_printoptions(**printing)
        vars(torch._tensor_str.PRINT_OPTS).update(options)
        torch.save = saving


def _restore(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
