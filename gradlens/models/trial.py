"""Run a network on one image to record the inputs and outputs of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradlens.errors import GradlensError
from gradlens.randomness import random_states_kept
from gradlens.signatures import needed_inputs

ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""Exceptions that layers raise for tensors of a wrong shape."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode for the block; modes and random states are restored after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with random_states_kept():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def image_for(model: nn.Module, image_size: int | tuple[int, int, int] | None) -> Tensor:
    """Return a random image of a size that the network accepts.

    It has the channels of the first convolution or, if the network does not run on those, the channels that
    its configuration names (a space-to-depth stem first folds pixels into channels).

    Raises:
        GradlensError: the network has no convolution.
    """
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise GradlensError(f"{type(model).__name__} has no convolution; there are no channels to cut")
    config = getattr(model, "pretrained_cfg", None) or {}
    configured = config.get("input_size", (3, 64, 64))
    side = configured[-1] if config.get("fixed_input_size") else 64
    if isinstance(image_size, int):
        side = image_size
    shapes = (
        [image_size]
        if isinstance(image_size, tuple)
        else [(c, side, side) for c in (first.in_channels, configured[0])]
    )
    generator = torch.Generator()
    images = [torch.rand(1, *shape, generator=generator.manual_seed(0)).to(first.weight) for shape in shapes]
    return next((image for image in images if len(set(shapes)) == 1 or _runs(model, image)), images[0])


def inputs_and_outputs(
    model: nn.Module, image: Tensor, paths: Sequence[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return input and output of each module that takes one tensor and returns one.

    Raises:
        GradlensError: the model does not run on the image.
    """
    inputs: dict[str, Tensor] = {}
    tensors: dict[str, tuple[Tensor, Tensor]] = {}

    def enter(path: str, module: nn.Module, args: tuple[object, ...]) -> None:
        if len(args) == 1 and isinstance(args[0], Tensor):
            inputs[path] = args[0].clone()  # an in-place layer would change it

    def leave(path: str, module: nn.Module, args: object, output: object) -> None:
        if path in inputs and isinstance(output, Tensor):
            tensors[path] = inputs[path], output.clone()

    handles: list[RemovableHandle] = []
    try:
        for path in paths:
            stage = model.get_submodule(path)
            handles.append(stage.register_forward_pre_hook(partial(enter, path)))
            handles.append(stage.register_forward_hook(partial(leave, path)))
        with torch.no_grad():
            model(image)
    except ERRORS as error:
        raise GradlensError(
            f"{type(model).__name__} does not run on an image {tuple(image.shape)} "
            f"({' '.join(str(error).split())[:200] or type(error).__name__}); {_advice(model)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return tensors


def _advice(model: nn.Module) -> str:
    """Return what to do if a network does not run on one image."""
    needed = needed_inputs(model)
    if len(needed) > 1:
        return (
            f"it takes {len(needed)} inputs ({', '.join(needed)}), and stages are cut with one test image; cut the "
            "part that takes one image, for example model.backbone = cspify(model.backbone)"
        )
    return "give another image_size=, a side or (channels, height, width)"


def _runs(model: nn.Module, image: Tensor) -> bool:
    with evaluating(model), torch.no_grad():
        try:
            model(image)
        except ERRORS:
            return False
        return True
