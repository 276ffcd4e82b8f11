"""Find the stages of a network that can be made cross stage partial: as named, by their names, or by shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.attending import attention_in
from gradlens.models.cutting import Cuttable, Refused, dense_block_cut, sequence_cut
from gradlens.models.dense import is_dense_block
from gradlens.models.finding import Found, stages_by_shape
from gradlens.models.trial import inputs_and_outputs

STAGES = re.compile(r"(?:.*[._])?(?:layer\d+|(?:stages|blocks|layers)[._]\d+|s\d+|denseblock\d+)")
NUMBERED = re.compile(r"(?:^|[._])(?:(?:stages|blocks|layers)[._]\d+|s\d+)$")


def stage_paths(model: nn.Module) -> list[str]:
    """Return the module paths that are named like stages, without those inside another stage.

    A numbered module whose children are all single layers is a block, not a stage of blocks.
    """
    paths: list[str] = []
    for path, module in model.named_modules():
        blocks = any(True for child in module.children() for _ in child.children())
        stage = STAGES.fullmatch(path) and (blocks or not NUMBERED.search(path))
        if stage and not any(path.startswith(outer + ".") for outer in paths):
            paths.append(path)
    return paths


def examine(model: nn.Module, image: Tensor, paths: Sequence[str] | None) -> list[Cuttable | Refused]:
    """Run one image through the network, and return for each stage how to cut it, or why it cannot be cut.

    Args:
        model: in eval mode.
        image: ``[1, c, h, w]``.
        paths: stages by module path; None finds them by name, or else by the shapes of their blocks.

    Raises:
        GradlensError: a path is not a module or is inside another, no stages are found, or the model does
            not run on the image.
    """
    if paths is None:
        return _examined_unnamed(model, image)
    modules = dict(model.named_modules())
    if not paths:
        raise GradlensError("stages is empty; leave it out to find the stages by name")
    for path in paths:
        if path not in modules:
            raise GradlensError(f"there is no module {path!r}{close_matches(path, modules)}")
        outer = next((other for other in paths if path.startswith(other + ".")), None)
        if outer is not None:
            raise GradlensError(f"{path} is inside {outer}, which is also in stages; name one of them")
    tensors = inputs_and_outputs(model, image, paths)
    return [_examined(model, path, tensors.get(path), whole=True) for path in paths]


def _examined_unnamed(model: nn.Module, image: Tensor) -> list[Cuttable | Refused]:
    """Find the stages by their names; if no module has such a name, by the shapes of their blocks."""
    names = stage_paths(model)
    tensors = inputs_and_outputs(model, image, names)
    if names:
        return [_examined(model, path, tensors.get(path)) for path in names]
    stages = stages_by_shape(model, image)
    if not stages:
        raise GradlensError(
            f"found no stages in {type(model).__name__} (layer1, stages.0, denseblock1, …, or blocks whose output has "
            f"the shape of their input); name them, for example stages={','.join(_sequences(model)) or 'body.0,body.1'}"
        )
    paths = [path for stage in stages for path in (stage.path, *stage.rest[-1:])]
    tensors = inputs_and_outputs(model, image, paths)
    return [_examined_found(model, stage, tensors) for stage in stages]


def _examined_found(
    model: nn.Module, stage: Found, tensors: Mapping[str, tuple[Tensor, Tensor]]
) -> Cuttable | Refused:
    if stage.reason:
        return Refused(stage.path, stage.reason)
    if not stage.rest:
        return _examined(model, stage.path, tensors.get(stage.path), whole=True)
    run = nn.Sequential(*(model.get_submodule(path) for path in (stage.path, *stage.rest)))
    examined = sequence_cut(stage.path, run, tensors[stage.path][0], tensors[stage.rest[-1]][1])
    return replace(examined, joined=stage.rest) if isinstance(examined, Cuttable) else examined


def _examined(
    model: nn.Module, path: str, tensors: tuple[Tensor, Tensor] | None, whole: bool = False
) -> Cuttable | Refused:
    """Return how to cut a stage; with ``whole``, a module that does not run its modules in sequence may be a block."""
    if tensors is None:
        return Refused(path, "it does not take one tensor and return one")
    stage = model.get_submodule(path)
    if is_dense_block(stage):
        return dense_block_cut(model, path, *tensors)
    examined = sequence_cut(path, stage, *tensors)
    keeps = tensors[0].shape == tensors[1].shape
    if isinstance(examined, Refused) and whole and keeps and not attention_in(stage):
        return sequence_cut(path, nn.Sequential(stage), *tensors)
    return examined


def _sequences(model: nn.Module) -> list[str]:
    """Return the paths of a few sequences of blocks, which may be stages."""
    sequences = {
        path: module
        for path, module in model.named_modules()
        if path and isinstance(module, nn.Sequential) and len(module) > 1
    }
    outer = [path for path in sequences if not any(path.startswith(f"{other}.") for other in sequences)]
    return outer[:4]
