"""From a name to a network in train mode."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from gradlens.errors import GradlensError
from gradlens.models.checkpoint import load_checkpoint
from gradlens.models.factory_file import file_model
from gradlens.models.naming import Source, source
from gradlens.models.seeding import seeded
from gradlens.models.shape import InputShape
from gradlens.models.timm_zoo import timm_model
from gradlens.models.torchvision_zoo import torchvision_model
from gradlens.models.zero_init import lift_zero_init


def load_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    pretrained: bool = False,
    checkpoint: str | Path | None = None,
    zero_init: bool = True,
    seed: int | None = None,
) -> nn.Module:
    """The network called ``name``, in train mode on the CPU.

    Args:
        name: a timm name (``resnet50``), ``torchvision:resnet50``, or ``path/file.py:factory``,
            which runs that file and calls that function of it.
        num_classes: width of the head; None leaves what the model has.
        in_chans: channels of the images.
        image_size: side of the images in pixels, for networks that must know it; others ignore it.
        pretrained: load the weights its library offers, from the cache or the network.
        checkpoint: a file of weights to load instead (see ``load_checkpoint``).
        zero_init: False gives fresh layers that start as zeros a gain of one (see ``lift_zero_init``).
        seed: makes the fresh weights a function of it and leaves the global random state alone;
            None draws them from the global random state, as PyTorch does.

    Raises:
        GradlensError: the name is not known, the model cannot be built so, or its weights
            cannot be had or do not fit.
    """
    found = source(name)
    shape = InputShape(num_classes, in_chans, image_size)
    if pretrained and checkpoint is not None:
        raise GradlensError("pretrained weights and a checkpoint exclude each other; give one of them")
    with seeded(seed):
        model = _build(found, shape, pretrained)
    if not zero_init and not pretrained:
        lift_zero_init(model)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model.train()


def _build(found: Source, shape: InputShape, pretrained: bool) -> nn.Module:
    if found.kind == "timm":
        return timm_model(found.name, shape, pretrained)
    if found.kind == "torchvision":
        return torchvision_model(found.name, shape, pretrained)
    if pretrained:
        raise GradlensError(
            f"{found.file}:{found.name} is a file's own model, gradlens knows no pretrained weights for it;"
            " give them with --checkpoint FILE"
        )
    return file_model(Path(found.file), found.name, shape)
