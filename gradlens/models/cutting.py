"""Find the stages of a network that can be made cross stage partial, and split them into their modules."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.dense import dense_block_without, is_dense_block, is_preactivated
from gradlens.models.narrowing import narrowed
from gradlens.models.trial import ERRORS, inputs_and_outputs

STAGES = re.compile(r"(?:.*[._])?(?:layer\d+|(?:stages|blocks|layers)[._]\d+|s\d+|denseblock\d+)")
NUMBERED = re.compile(r"(?:^|[._])(?:(?:stages|blocks|layers)[._]\d+|s\d+)$")


@dataclass(frozen=True)
class Cuttable:
    """A stage that can be cut.

    Attributes:
        path: module path.
        lead: modules before the cut, which stay whole.
        channels: channels of the tensor that is cut.
        rebuild: builds the block for the remaining channels from the number of channels that bypass it.
        grows: channels that the block adds to its input.
        out: channels of the stage's output.
        preactivated: whether its layers normalise before they convolve.
        pool: builds the pooling at the end of the stage.
        absorbed: path of the network's own transition after the stage; empty if there is none.
    """

    path: str
    lead: tuple[nn.Module, ...]
    channels: int
    rebuild: Callable[[int], nn.Module]
    grows: int
    out: int
    preactivated: bool
    pool: Callable[[], nn.Module]
    absorbed: str


@dataclass(frozen=True)
class Refused:
    """A stage that cannot be cut, and the reason."""

    path: str
    reason: str


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
        paths: stages by module path; None finds them by name.

    Raises:
        GradlensError: a path is not a module or is inside another, no stages are found, or the model does
            not run on the image.
    """
    if paths is None:
        paths = stage_paths(model)
        if not paths:
            raise GradlensError(
                f"found no stages in {type(model).__name__} (layer1, stages.0, denseblock1, …); name them, for example "
                f"stages={','.join(_sequences(model)) or 'body.0,body.1'}"
            )
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
    return [_examined(model, path, tensors.get(path)) for path in paths]


def _examined(model: nn.Module, path: str, tensors: tuple[Tensor, Tensor] | None) -> Cuttable | Refused:
    if tensors is None:
        return Refused(path, "it does not take one tensor and return one")
    stage = model.get_submodule(path)
    if is_dense_block(stage):
        return _dense_block(model, path, *tensors)
    return _sequence(path, stage, *tensors)


def _dense_block(model: nn.Module, path: str, incoming: Tensor, outgoing: Tensor) -> Cuttable:
    """Return how to cut a dense block, including the network's own transition after it."""
    block = model.get_submodule(path)
    before, after = incoming.shape[1], outgoing.shape[1]
    absorbed = path.replace("denseblock", "transition")
    transition = dict(model.named_modules()).get(absorbed) if absorbed != path else None
    layers = list(transition.modules()) if transition else []
    convolution = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
    pool = next((layer for layer in layers if isinstance(layer, (nn.AvgPool2d, nn.MaxPool2d))), nn.Identity())
    return Cuttable(
        path=path,
        lead=(),
        channels=before,
        rebuild=partial(dense_block_without, block),
        grows=after - before,
        out=after if convolution is None else convolution.out_channels,
        preactivated=is_preactivated(block),
        pool=partial(copy.deepcopy, pool),
        absorbed=absorbed if transition is not None else "",
    )


def _sequence(path: str, stage: nn.Module, incoming: Tensor, outgoing: Tensor) -> Cuttable | Refused:
    """Return how to cut a sequence of modules: after the last one that changes the shape."""
    attention = _attention(stage)
    if attention:
        return Refused(path, f"{attention} is attention, whose width cannot change")
    steps = list(_steps(stage))
    shapes, current, entering = [], incoming, [incoming]
    try:
        with torch.no_grad():
            for step in steps:
                current = step(current.clone())
                shapes.append(current.shape)
                entering.append(current)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        shapes = []
    if not shapes or not torch.equal(current, outgoing):
        return Refused(
            path, f"its forward does not run its modules one after another ({type(stage).__name__})"
        )
    if outgoing.dim() != 4:
        return Refused(path, f"it works on {tuple(outgoing.shape)}, not on images [n, c, h, w]")
    first = len(steps)
    while first and (shapes[first - 2] if first > 1 else incoming.shape) == outgoing.shape:
        first -= 1
    body = [step for step in steps[first:] if any(weight.dim() > 1 for weight in step.parameters())]
    if not body:
        change = f"{tuple(incoming.shape[1:])} to {tuple(outgoing.shape[1:])}"
        return Refused(
            path, f"no block after its last change of resolution or width ({change}) is left to cut"
        )
    return _cut_sequence(path, steps, first, entering[first])


def _cut_sequence(path: str, steps: list[nn.Module], first: int, entering: Tensor) -> Cuttable | Refused:
    channels = entering.shape[1]

    def rebuild(bypass: int) -> nn.Module:
        kept = [narrowed(step, channels, channels - bypass) for step in steps[first:]]
        for first_layer in kept[0].modules():
            if getattr(first_layer, "inplace", False):
                # autograd forbids in-place changes to a part of a split
                first_layer.inplace = False  # type: ignore[assignment]
            if not list(first_layer.children()):
                break
        return nn.Sequential(*kept)

    bypass = channels // 2
    try:
        with torch.no_grad():
            rebuild(bypass)(entering[:, bypass:].clone())
    except GradlensError as error:
        return Refused(path, str(error))
    except ERRORS as error:
        reason = " ".join(str(error).split())[:100]
        return Refused(
            path,
            "a block does not run at the width of a part, because it stores channel counts outside its layers "
            f"({reason})",
        )
    return Cuttable(
        path=path,
        lead=tuple(steps[:first]),
        channels=channels,
        rebuild=rebuild,
        grows=0,
        out=channels,
        preactivated=False,
        pool=nn.Identity,
        absorbed="",
    )


def _attention(stage: nn.Module) -> str:
    """Return path and class of the first attention module inside a stage, or "" if there is none."""
    names = (
        f"{path} ({type(module).__name__})"
        for path, module in stage.named_modules()
        if hasattr(module, "num_heads") or isinstance(module, nn.MultiheadAttention)
    )
    return next(names, "")


def _steps(stage: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that a stage runs one after another, including those of sequences inside it."""
    for child in stage.children():
        if isinstance(child, nn.Sequential) and not isinstance(stage, nn.Sequential):
            yield from child.children()
        else:
            yield child


def _sequences(model: nn.Module) -> list[str]:
    """Return the paths of a few sequences of blocks, which may be stages."""
    sequences = {
        path: module
        for path, module in model.named_modules()
        if path and isinstance(module, nn.Sequential) and len(module) > 1
    }
    outer = [path for path in sequences if not any(path.startswith(f"{other}.") for other in sequences)]
    return outer[:4]
