"""How a stage can be made cross stage partial: its modules before the cut, and the block that is rebuilt narrower."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.attending import attention_in
from gradlens.models.dense import dense_block_without, is_preactivated
from gradlens.models.narrowing import narrowed
from gradlens.models.trial import ERRORS


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
        joined: paths of further blocks of the stage, which follow ``path`` in a flat list.
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
    joined: tuple[str, ...] = ()

    @property
    def end(self) -> str:
        """Path of the module that returns the output of the stage."""
        return self.absorbed or (self.joined[-1] if self.joined else self.path)


@dataclass(frozen=True)
class Refused:
    """A stage that cannot be cut, and the reason."""

    path: str
    reason: str


def dense_block_cut(model: nn.Module, path: str, incoming: Tensor, outgoing: Tensor) -> Cuttable:
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


def sequence_cut(path: str, stage: nn.Module, incoming: Tensor, outgoing: Tensor) -> Cuttable | Refused:
    """Return how to cut a sequence of modules: after the last one that changes the shape."""
    attention = attention_in(stage)
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


def _steps(stage: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that a stage runs one after another, including those of sequences inside it."""
    for child in stage.children():
        if isinstance(child, nn.Sequential) and not isinstance(stage, nn.Sequential):
            yield from child.children()
        else:
            yield child
