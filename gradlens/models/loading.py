"""Build networks by name."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradlens.errors import GradlensError, ModelNote
from gradlens.models.checking import check_network
from gradlens.models.checkpoint import load_checkpoint
from gradlens.models.cross_stage import cspify
from gradlens.models.darknet import DarknetModel, darknet_model, load_weights, with_head_of
from gradlens.models.naming import Source
from gradlens.models.shape import InputShape
from gradlens.models.spec import CspSpec, NetworkSpec
from gradlens.models.stems import cifar_stem
from gradlens.models.trial import evaluating, image_for
from gradlens.models.width import forward_flops, narrow_to_flops
from gradlens.models.zero_init import lift_zero_init
from gradlens.options import ZERO_INIT
from gradlens.randomness import seeded

NAME = "gradlens_name"
"""Attribute of a module that holds the name by which ``load_model`` made it; recordings are named after it."""


def load_model(
    name: str | NetworkSpec,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    pretrained: bool = False,
    checkpoint: str | Path | None = None,
    zero_init: bool = ZERO_INIT,
    seed: int | None = None,
    stages: Sequence[str] | None = None,
) -> nn.Module:
    """Build a network by name, in train mode on the CPU.

    Args:
        name: a timm name (``resnet50``), ``peleenet``, a name with the prefix of a source (``torchvision:resnet50``,
            ``fcos:resnet50``, ``darknet:FILE.cfg``; see ``gradlens.models.sources.ADAPTERS``), or
            ``path/file.py:factory``, which runs that file and calls its function. A transition strategy
            may follow after an ``@``: ``resnet50@csp,gamma=0.25`` (see ``cspify``), or ``resnet50@narrow,flops=csp``,
            the model narrowed to the FLOPs of ``resnet50@csp`` (see ``narrow_to_flops``).
        num_classes: width of the head; None keeps the model's default.
        in_chans: channels of the images.
        image_size: side of the images in pixels, for networks of fixed input size; others ignore it.
        pretrained: load the library's pretrained weights, from the cache or the internet.
        checkpoint: a file of weights to load instead (see ``load_checkpoint``).
        zero_init: keep gains that the library initialises with zero; otherwise they are set to one (see
            ``lift_zero_init``). Pretrained weights and those of a checkpoint are never changed.
        seed: determines the initial weights and leaves the global random state unchanged; None draws them
            from the global random state, as PyTorch does.
        stages: paths of the modules that a transition strategy cuts; None finds them by name or shape.

    Raises:
        GradlensError: the name is unknown, the model cannot be built for this shape, or its weights are
            not available or do not fit.

    Warns:
        ModelNote: an optional library builds the model; its licence.
    """
    network = NetworkSpec.parse(name) if isinstance(name, str) else name
    source = network.source
    shape = InputShape(num_classes, in_chans, image_size)
    check_network(network, checkpoint, pretrained)
    with seeded(seed):
        model = source.build(shape, pretrained)
        if network.csp is not None:
            model = _inside(model, source.adapter.body, network.csp, image_size, stages)
        if network.twin is not None and source.adapter.body:
            raise GradlensError(
                f"{network} cannot be narrowed: the layers of a detector that read its backbone have fixed widths; "
                f"compare with {network.base}"
            )
        if network.twin is not None:
            model = _narrowed(model, network.twin, image_size, stages)
    if not (zero_init or pretrained or checkpoint is not None):
        lift_zero_init(model)
    if checkpoint is not None and str(checkpoint).endswith(".weights"):
        model = _with_darknet_weights(model, source, shape, checkpoint)
    elif checkpoint is not None:
        load_checkpoint(model, checkpoint)
    setattr(model, NAME, str(network))
    if source.adapter.packages:
        text = f"{network.base} is built by {source.adapter.library}, which has the licence {source.adapter.licence}"
        warnings.warn(text, ModelNote, stacklevel=2)
    return model.train()


def _with_darknet_weights(
    model: nn.Module, source: Source, shape: InputShape, checkpoint: str | Path
) -> nn.Module:
    """Load a ``.weights`` file, whose classifier has as many classes as the .cfg."""
    if not isinstance(model, DarknetModel):
        load_weights(model, checkpoint)  # its error names the models that such a file fits
        return model
    weighted = darknet_model(Path(source.name), InputShape(None, shape.in_chans, shape.image_size))
    load_weights(weighted, checkpoint)
    return with_head_of(weighted, model)


def restructured(
    model: nn.Module,
    csp: CspSpec,
    image_size: int | tuple[int, int, int] | None,
    stages: Sequence[str] | None = None,
) -> nn.Module:
    """Return a copy of a model that is cross stage partial.

    Raises:
        GradlensError: the model has no stages that can be cut.
    """
    if isinstance(model, DarknetModel) and csp.strategy != "none":
        raise GradlensError(
            "a darknet .cfg has no stages to cut: its layers form one flat list; write the CSP network as a .cfg"
        )
    if csp.stem:
        cifar_stem(model)
    return cspify(
        model,
        csp.strategy,
        gamma=csp.gamma,
        partial=csp.partial,
        cut=csp.cut,
        stages=stages,
        image_size=image_size,
    )


def _inside(
    model: nn.Module, body: str, csp: CspSpec, image_size: int | None, stages: Sequence[str] | None
) -> nn.Module:
    """Return a model with cross stage partial stages; with a path ``body``, only that module is restructured.

    Raises:
        GradlensError: the module has no stages that can be cut, or its features have other shapes afterwards.
    """
    if not body:
        return restructured(model, csp, image_size, stages)
    paths = None if stages is None else [path.removeprefix(f"{body}.") for path in stages]
    before = model.get_submodule(body)
    after = restructured(before, csp, image_size, paths)
    holder, _, name = body.rpartition(".")
    pyramid: Any = model.get_submodule(holder)
    if _shapes(after, image_size) == _shapes(before, image_size):
        setattr(pyramid, name, after)
    elif hasattr(pyramid, "with_body"):  # the strategy absorbed the transitions between dense blocks
        setattr(model, holder, pyramid.with_body(after))
    else:
        raise GradlensError(
            f"the features of the backbone have other shapes with {csp}; name stages that keep them with stages="
        )
    return model


def _shapes(body: nn.Module, image_size: int | None) -> list[torch.Size]:
    """Return the shapes of the features of a backbone."""
    with evaluating(body), torch.no_grad():
        features = body(image_for(body, image_size))
    tensors = features.values() if isinstance(features, Mapping) else features
    return [feature.shape for feature in tensors]


def _narrowed(
    model: nn.Module, csp: CspSpec, image_size: int | None, stages: Sequence[str] | None
) -> nn.Module:
    """Narrow a model to the FLOPs of the same model with a transition strategy."""
    if isinstance(model, DarknetModel):
        raise GradlensError("a darknet .cfg has fixed widths; write the narrower network as a .cfg")
    with seeded(0):  # the twin's weights do not matter, and must not change those drawn later
        twin = restructured(copy.deepcopy(model), csp, image_size, stages)
    if csp.stem:
        cifar_stem(model)
    return narrow_to_flops(model, forward_flops(twin, image_size), image_size=image_size)
