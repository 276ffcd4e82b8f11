"""From a name to a network in train mode."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from gradlens.errors import GradlensError
from gradlens.models import peleenet
from gradlens.models.checkpoint import load_checkpoint
from gradlens.models.cspify import cspify
from gradlens.models.darknet import DarknetModel, darknet_model, load_weights, with_head_of
from gradlens.models.factory_file import file_model
from gradlens.models.naming import Source, source
from gradlens.models.peleenet import PeleeNet
from gradlens.models.shape import InputShape
from gradlens.models.spec import CspSpec, split_name
from gradlens.models.stems import cifar_stem
from gradlens.models.timm_zoo import timm_model
from gradlens.models.torchvision_zoo import torchvision_model
from gradlens.models.zero_init import lift_zero_init
from gradlens.randomness import seeded


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
        name: a timm name (``resnet50``), ``peleenet``, ``torchvision:resnet50``, ``darknet:FILE.cfg``, or
            ``path/file.py:factory``, which runs that file and calls that function of it. Behind an ``@``
            a transition strategy: ``resnet50@csp,gamma=0.25`` (see ``cspify``).
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
    base, spec = split_name(name)
    found = source(base)
    shape = InputShape(num_classes, in_chans, image_size)
    if pretrained and checkpoint is not None:
        raise GradlensError("pretrained weights and a checkpoint exclude each other; give one of them")
    if pretrained and spec is not None and (spec.strategy != "none" or spec.stem):
        raise GradlensError(f"there are no pretrained weights of {name}; leave out --pretrained")
    with seeded(seed):
        model = _build(found, shape, pretrained)
        if spec is not None:
            model = _restructured(model, spec, image_size)
    if not zero_init and not pretrained:
        lift_zero_init(model)
    if checkpoint is not None and str(checkpoint).endswith(".weights"):
        model = _weighted(model, found, shape, checkpoint)
    elif checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model.train()


def _build(found: Source, shape: InputShape, pretrained: bool) -> nn.Module:
    if found.kind == "timm":
        return timm_model(found.name, shape, pretrained)
    if found.kind == "torchvision":
        return torchvision_model(found.name, shape, pretrained)
    if pretrained:
        named = ":".join(part for part in (found.file, found.name) if part)
        raise GradlensError(
            f"gradlens knows no pretrained weights for {named}; give them with --checkpoint FILE"
        )
    if found.kind == "gradlens":
        return PeleeNet(shape.num_classes or 1000, shape.in_chans, peleenet.MODELS[found.name])
    if found.kind == "darknet":
        return darknet_model(Path(found.file), shape)
    return file_model(Path(found.file), found.name, shape)


def _weighted(model: nn.Module, found: Source, shape: InputShape, checkpoint: str | Path) -> nn.Module:
    """A darknet network with the weights of a file, which are those of the .cfg's own classes."""
    if not isinstance(model, DarknetModel):
        load_weights(model, checkpoint)  # says what such a file fits
        return model
    own = darknet_model(Path(found.file), InputShape(None, shape.in_chans, shape.image_size))
    load_weights(own, checkpoint)
    return with_head_of(own, model)


def _restructured(model: nn.Module, spec: CspSpec, image_size: int | None) -> nn.Module:
    if isinstance(model, DarknetModel) and spec.strategy != "none":
        raise GradlensError(
            "a darknet .cfg has no stages to cut: its layers stand in one row, and a CSP network is another .cfg"
        )
    if spec.stem:
        cifar_stem(model)
    return cspify(model, spec.strategy, gamma=spec.gamma, partial=spec.partial, image_size=image_size)
