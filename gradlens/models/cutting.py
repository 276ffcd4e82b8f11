"""Which stages of a network can be made cross stage partial, and what each is made of."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.narrowing import drop_channels, narrowed

STAGES = re.compile(r"(?:.*\.)?(?:layer\d+|(?:stages|blocks|layers)\.\d+|s\d+|denseblock\d+)")
NUMBERED = re.compile(r"(?:^|\.)(?:(?:stages|blocks|layers)\.\d+|s\d+)$")
PREACTIVATED = ("norm1", "conv1")
DENSE_INPUTS = {
    # class of a dense layer: its submodules that read all that came before
    "DenseLayer": PREACTIVATED,  # timm
    "_DenseLayer": PREACTIVATED,  # torchvision
    "PeleeLayer": ("short.0.conv", "long.0.conv"),
}


@dataclass(frozen=True)
class Cuttable:
    """A stage that can be cut.

    Attributes:
        path: module path.
        lead: modules before the cut, which stay whole.
        channels: of the tensor that is cut.
        rebuild: the block for the channels left when so many go round it.
        grows: channels that the block adds to what it is given.
        out: channels of the stage's output.
        preactivated: its layers normalise before they convolve.
        pool: makes the pooling at the end of the stage.
        absorbed: path of the network's own transition behind the stage, empty where there is none.
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
    """A stage that cannot be cut, and why."""

    path: str
    reason: str


def stage_paths(model: nn.Module) -> list[str]:
    """Module paths that are stages by their names, outermost first and none inside another.

    A numbered module all of whose children are single layers is a block, not a stage of blocks.
    """
    found: list[str] = []
    for path, module in model.named_modules():
        blocks = any(True for child in module.children() for _ in child.children())
        stage = STAGES.fullmatch(path) and (blocks or not NUMBERED.search(path))
        if stage and not any(path.startswith(outer + ".") for outer in found):
            found.append(path)
    return found


def examine(model: nn.Module, image: Tensor, paths: Sequence[str] | None) -> list[Cuttable | Refused]:
    """Look at every stage while one image runs through the network.

    Args:
        model: in eval mode.
        image: ``[1, c, h, w]``.
        paths: stages by module path; None finds them by name.

    Raises:
        GradlensError: a path is no module or lies inside another, no stages are found, or the model
            does not run on the image.
    """
    if paths is None:
        paths = stage_paths(model)
        if not paths:
            raise GradlensError(
                f"no stages are found in {type(model).__name__} (layer1, stages.0, denseblock1, …); name the "
                "modules that are stages with stages=[...]"
            )
    modules = dict(model.named_modules())
    if not paths:
        raise GradlensError("stages names no module; leave it out to find the stages by their names")
    for path in paths:
        if path not in modules:
            raise GradlensError(f"there is no module {path!r}{close_matches(path, modules)}")
        outer = next((other for other in paths if path.startswith(other + ".")), None)
        if outer is not None:
            raise GradlensError(f"{path} lies inside {outer}, which is a stage too; name one of them")
    seen = _shapes_seen(model, image, paths)
    return [_examined(model, path, seen.get(path)) for path in paths]


def dense_inputs(layer: nn.Module) -> tuple[str, ...]:
    """Submodules of a dense layer that read all that came before; empty for other modules."""
    return DENSE_INPUTS.get(type(layer).__name__, ())


def _shapes_seen(model: nn.Module, image: Tensor, paths: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Input and output of each stage that takes one tensor and gives one."""
    given: dict[str, Tensor] = {}
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def enter(path: str, module: nn.Module, args: Any) -> None:
        if len(args) == 1 and isinstance(args[0], Tensor):
            given[path] = args[0].clone()  # a layer that works in place changes it

    def leave(path: str, module: nn.Module, args: Any, output: Any) -> None:
        if path in given and isinstance(output, Tensor):
            seen[path] = given[path], output.clone()

    handles: list[Any] = []
    try:
        for path in paths:
            stage = model.get_submodule(path)
            handles.append(stage.register_forward_pre_hook(partial(enter, path)))
            handles.append(stage.register_forward_hook(partial(leave, path)))
        with torch.no_grad():
            model(image)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise GradlensError(
            f"{type(model).__name__} does not run on an image {tuple(image.shape)} "
            f"({' '.join(str(error).split())[:200] or type(error).__name__}); give image_size another "
            "value: a side, or (channels, height, width)"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _examined(model: nn.Module, path: str, seen: tuple[Tensor, Tensor] | None) -> Cuttable | Refused:
    if seen is None:
        return Refused(path, "it does not take one tensor and return one")
    stage = model.get_submodule(path)
    layers = list(stage.children())
    if layers and all(dense_inputs(layer) for layer in layers):
        return _dense_block(model, path, seen)
    return _sequence(path, stage, seen)


def _dense_block(model: nn.Module, path: str, seen: tuple[Tensor, Tensor]) -> Cuttable:
    """A dense block with the transition that follows it."""
    block = model.get_submodule(path)
    before, after = (tensor.shape[1] for tensor in seen)
    absorbed = path.replace("denseblock", "transition")
    own = dict(model.named_modules()).get(absorbed) if absorbed != path else None
    convolution = next((m for m in own.modules() if isinstance(m, nn.Conv2d)), None) if own else None
    pools = [m for m in own.modules() if isinstance(m, (nn.AvgPool2d, nn.MaxPool2d))] if own else []
    names = dense_inputs(next(iter(block.children())))

    def rebuild(bypass: int) -> nn.Module:
        rebuilt = copy.deepcopy(block)
        for layer in rebuilt.children():
            drop_channels(layer, names, bypass)
        return rebuilt

    return Cuttable(
        path=path,
        lead=(),
        channels=before,
        rebuild=rebuild,
        grows=after - before,
        out=after if convolution is None else convolution.out_channels,
        preactivated=names == PREACTIVATED,
        pool=lambda: copy.deepcopy(pools[0]) if pools else nn.Identity(),
        absorbed=absorbed if own is not None else "",
    )


def _sequence(path: str, stage: nn.Module, seen: tuple[Tensor, Tensor]) -> Cuttable | Refused:
    """A sequence of modules, cut behind the last that changes the shape."""
    given, returned = seen
    attention = _attention(stage)
    if attention:
        return Refused(path, f"{attention} is attention, whose width must stay")
    steps = list(_steps(stage))
    shapes, current, entering = [], given, [given]
    try:
        with torch.no_grad():
            for step in steps:
                current = step(current.clone())
                shapes.append(current.shape)
                entering.append(current)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        shapes = []
    if not shapes or not torch.equal(current, returned):
        return Refused(path, f"its forward is not its modules one after the other ({type(stage).__name__})")
    if returned.dim() != 4:
        return Refused(path, f"it works on {tuple(returned.shape)}, not on images [n, c, h, w]")
    first = len(steps)
    while first and (shapes[first - 2] if first > 1 else given.shape) == returned.shape:
        first -= 1
    body = [step for step in steps[first:] if any(weight.dim() > 1 for weight in step.parameters())]
    if not body:
        change = f"{tuple(given.shape[1:])} to {tuple(returned.shape[1:])}"
        return Refused(
            path, f"no block behind its last change of resolution or width ({change}) is left to cut"
        )
    return _cut_sequence(path, steps, first, entering[first])


def _cut_sequence(path: str, steps: list[nn.Module], first: int, entering: Tensor) -> Cuttable | Refused:
    channels = entering.shape[1]

    def rebuild(bypass: int) -> nn.Module:
        kept = [narrowed(step, channels, channels - bypass) for step in steps[first:]]
        for first_layer in kept[0].modules():
            if getattr(first_layer, "inplace", False):
                # autograd forbids changing a part of a split in place
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
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:100]
        return Refused(
            path,
            f"a block does not run at a part's width, for it keeps channel counts outside its layers ({said})",
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
    """Path and class of the first attention inside a stage, empty where there is none."""
    found = (
        f"{path} ({type(module).__name__})"
        for path, module in stage.named_modules()
        if hasattr(module, "num_heads") or isinstance(module, nn.MultiheadAttention)
    )
    return next(found, "")


def _steps(stage: nn.Module) -> Iterator[nn.Module]:
    """The modules a stage runs one after the other, with sequences inside it opened."""
    for child in stage.children():
        if isinstance(child, nn.Sequential) and not isinstance(stage, nn.Sequential):
            yield from child.children()
        else:
            yield child
