"""Find the stages of a network by the shapes of its blocks, if no module is named like a stage.

A block is a module with several convolutions, one of them at least with a kernel larger than one position, whose output
has the shape of its input. Blocks that follow each other at one shape are a stage: a sequence of their own (RegNet,
ConvNeXt and EfficientNet of torchvision), or a run in a flat list (MobileNet, the networks of ultralytics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradlens.models.attending import attention_in
from gradlens.models.trial import ERRORS

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Shapes = tuple[torch.Size, torch.Size]


@dataclass(frozen=True)
class Found:
    """A stage found by shapes.

    Attributes:
        path: module path of the stage, or of the first block of a run.
        rest: module paths of the other blocks of a run.
        reason: why it cannot be cut; empty if it may be.
    """

    path: str
    rest: tuple[str, ...] = ()
    reason: str = ""


def stages_by_shape(model: nn.Module, image: Tensor) -> list[Found]:
    """Return the stages of the backbone, one per shape, in the order in which they run.

    The backbone ends where the resolution grows again, as in the neck of a detector.

    Args:
        model: in eval mode.
        image: ``[1, c, h, w]``.
    """
    calls = _calls(model, image)
    order = {path: index for index, path in enumerate(calls)}
    runs: list[list[str]] = []
    refused: list[Found] = []
    for path, reason in sorted(_blocks(model, "", calls), key=lambda block: order[block[0]]):
        if reason:
            refused.append(Found(path, reason=reason))
        elif runs and _neighbours(model, runs[-1][-1], path) and calls[runs[-1][-1]] == calls[path]:
            runs[-1].append(path)
        else:
            runs.append([path])
    kept = _backbone(runs, calls)
    shapes = {calls[run[0]][1] for run in kept}
    last = order[kept[-1][0]] if kept else len(order)
    stages = [_chained(model, image, _stage(model, run, calls)) for run in kept]
    stages += [one for one in refused if calls[one.path][1] not in shapes and order[one.path] < last]
    return sorted(stages, key=lambda stage: order[stage.path])


def _calls(model: nn.Module, image: Tensor) -> dict[str, Shapes]:
    """Return input and output shape of each module that runs once, from one image to one, in order of return."""
    shapes: dict[str, Shapes] = {}
    several: set[str] = set()
    handles = []

    def leave(path: str) -> object:
        def hook(module: nn.Module, args: tuple[object, ...], output: object) -> None:
            if path in shapes:
                several.add(path)
            images = [value for value in (*args, output) if isinstance(value, Tensor) and value.dim() == 4]
            if len(args) == 1 and len(images) == 2 and len(images[0]) == len(image):
                shapes[path] = images[0].shape, images[1].shape

        return hook

    try:
        for path, module in model.named_modules():
            handles.append(module.register_forward_hook(leave(path)))
        with torch.no_grad():
            model(image)
    except ERRORS:
        return {}  # the trial run of the stages reports the error
    finally:
        for handle in handles:
            handle.remove()
    return {path: shape for path, shape in shapes.items() if path not in several}


def _blocks(model: nn.Module, path: str, calls: Mapping[str, Shapes]) -> Iterator[tuple[str, str]]:
    """Yield the outermost blocks below a module, with the reason why one cannot be cut, or ""."""
    for name, child in model.get_submodule(path).named_children():
        inner = f"{path}.{name}".strip(".")
        shapes = calls.get(inner)
        sequence = isinstance(child, CONTAINERS)
        inside = []
        if sequence or shapes is None or shapes[0][2:] != shapes[1][2:]:
            inside = list(_blocks(model, inner, calls))
            yield from inside
        plain = not sequence or (not inside and shapes is not None and shapes[0] == shapes[1])
        if plain and shapes is not None and shapes[0][2:] == shapes[1][2:] and _convolves(child):
            attention = attention_in(child)
            change = f"it changes its width inside ({shapes[0][1]} to {shapes[1][1]} channels)"
            width = change if shapes[0] != shapes[1] else ""
            yield inner, f"{attention} is attention, whose width cannot change" if attention else width


def _convolves(module: nn.Module) -> bool:
    layers = [layer for layer in module.modules() if isinstance(layer, CONVOLUTIONS)]
    linear = sum(isinstance(layer, nn.Linear) for layer in module.modules())
    return len(layers) + linear > 1 and any(size > 1 for layer in layers for size in layer.kernel_size)


def _neighbours(model: nn.Module, first: str, second: str) -> bool:
    """Return whether two modules are children of one module, one directly after the other."""
    parent, _, name = first.rpartition(".")
    other, _, following = second.rpartition(".")
    names = [child for child, _ in model.get_submodule(parent).named_children()]
    return parent == other and names.index(following) == names.index(name) + 1


def _backbone(runs: Sequence[list[str]], calls: Mapping[str, Shapes]) -> list[list[str]]:
    """Return the longest run of each shape, up to the first that has a higher resolution than one before."""
    by_shape: dict[torch.Size, list[str]] = {}
    area: float = float("inf")
    for run in runs:
        shape = calls[run[0]][1]
        if shape[2] * shape[3] > area:
            break
        area = shape[2] * shape[3]
        if len(run) > len(by_shape.get(shape, ())):
            by_shape[shape] = run
    return sorted(by_shape.values(), key=runs.index)


def _stage(model: nn.Module, run: Sequence[str], calls: Mapping[str, Shapes]) -> Found:
    """Return the sequence that a run ends, if it is one of its own, else the run."""
    parent = run[0].rpartition(".")[0]
    sequence = model.get_submodule(parent)
    names = [f"{parent}.{name}" for name, _ in sequence.named_children()]
    whole = parent in calls and isinstance(sequence, nn.Sequential) and names[-1] == run[-1]
    before = names[: names.index(run[0])] if whole else []
    if whole and len(before) < 2:
        return Found(parent)
    return Found(run[0], tuple(run[1:]))


def _chained(model: nn.Module, image: Tensor, stage: Found) -> Found:
    """Return the longest part of a run whose blocks read nothing but the block before, and are read by nothing else."""
    if not stage.rest:
        return stage
    expected = _fingerprints(model, image)
    parts: list[list[str]] = [[stage.path]]
    for path in stage.rest:
        if _same(model, image, [*parts[-1], path], expected):
            parts[-1].append(path)
        else:
            parts.append([path])
    first, *rest = max(parts, key=len)
    return Found(first, tuple(rest))


def _same(model: nn.Module, image: Tensor, run: Sequence[str], expected: dict[str, list[float]]) -> bool:
    """Return whether all other layers compute the same if the first block of a run does the work of all."""
    blocks = [model.get_submodule(path) for path in run]
    joined = [nn.Sequential(*blocks), *(nn.Identity() for _ in blocks[1:])]
    try:
        for path, old, new in zip(run, blocks, joined, strict=True):
            put(model, path, old, new)
        found = _fingerprints(model, image)
    except ERRORS:
        return False
    finally:
        for path, old in zip(run, blocks, strict=True):
            put(model, path, old, old)
    return all(
        found.get(path) == values
        for path, values in expected.items()
        if not any(path == block or path.startswith(f"{block}.") for block in run)
    )


def _fingerprints(model: nn.Module, image: Tensor) -> dict[str, list[float]]:
    """Return the mean square of what each layer returns, at each call."""
    sums: dict[str, list[float]] = {}
    handles = []

    def leave(path: str) -> object:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor):
                sums.setdefault(path, []).append(float(output.double().square().mean()))

        return hook

    try:
        for path, module in model.named_modules():
            if not list(module.children()):
                handles.append(module.register_forward_hook(leave(path)))
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def put(model: nn.Module, path: str, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the position of another; it gets the numbers and texts by which a network finds its modules.

    The modules of ultralytics hold there which other modules they read.
    """
    for name, value in vars(old).items():
        plain = isinstance(value, (int, str)) or (
            isinstance(value, (list, tuple)) and not name.startswith("_")
        )
        if plain and not name.startswith("_") and name not in vars(new) and not hasattr(type(new), name):
            setattr(new, name, value)
    parent, _, last = path.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
