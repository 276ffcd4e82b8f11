"""Narrow a whole network until its forward pass needs as many FLOPs as another network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.counting import meta_flops
from gradlens.models.narrowing import channel_multiples, resize, scaled
from gradlens.models.trial import ERRORS, evaluating, image_for

TOLERANCE = 0.01
"""Largest relative difference of FLOPs between a narrowed network and its target."""
CLOSE = 0.002
"""Relative difference at which the search ends."""
HALVINGS = 24
"""Steps of the search for the common factor of all widths."""

Sizes = dict[int, int]
"""New number of channels for each number of channels that layers of the network return."""


def narrow_to_flops(
    model: nn.Module, flops: int, *, image_size: int | tuple[int, int, int] | None = None
) -> nn.Module:
    """Return a copy of a network that is narrowed until its forward pass needs a number of FLOPs.

    All layers stay. The numbers of channels that they return are scaled by one factor and rounded (to multiples of the
    groups of grouped convolutions), then raised in turn by one step where the target allows it; equal numbers stay
    equal. The classifier keeps its classes. Weights are the last channels of the original ones, scaled to keep the
    variance of a layer's output, as in ``cspify``.

    Args:
        model: its layers can be narrowed, and it runs on an image in eval mode.
        flops: FLOPs of one image, counted by ``torch.utils.flop_counter`` (one multiply-add is 2).
        image_size: size of the image: side, or (channels, height, width); None uses the model's configuration, else 64.

    Raises:
        GradlensError: the network cannot be narrowed, needs no more FLOPs than ``flops``, or no widths come within
            1 % of them.
    """
    image = image_for(model, image_size)
    trial = _Trial.of(model, image)
    full = trial.flops({size: size for size in trial.multiples})
    if flops >= full:
        raise GradlensError(
            f"{type(model).__name__} needs {_giga(full)} GFLOPs, not more than the {_giga(flops)} of the network to "
            "match; only a more expensive network can be narrowed to it"
        )
    sizes = _sizes_for(trial, flops)
    reached = trial.flops(sizes)
    if abs(reached / flops - 1) > TOLERANCE:
        raise GradlensError(
            f"narrowing {type(model).__name__} reaches {_giga(reached)} GFLOPs, but the network to match needs "
            f"{_giga(flops)}, and {reached / flops - 1:+.1%} is more than 1 %; use a larger image or another gamma"
        )
    rebuilt = copy.deepcopy(model)
    with evaluating(rebuilt), _resizing(rebuilt, trial, sizes), torch.no_grad():
        rebuilt(image)
    return rebuilt


def forward_flops(model: nn.Module, image_size: int | tuple[int, int, int] | None = None) -> int:
    """Return the FLOPs of the forward pass of one image in eval mode; one multiply-add is 2."""
    image = image_for(model, image_size)
    with evaluating(model), torch.no_grad():
        return _counted(lambda: model(image))


@dataclass(frozen=True)
class _Trial:
    """A network without values, whose widths are tried.

    Attributes:
        model: on the meta device.
        image: on the meta device.
        head: path of the last layer with a weight, whose outputs stay.
        multiples: for each number of channels that layers return, what its new number is a multiple of.
    """

    model: nn.Module
    image: Tensor
    head: str
    multiples: Mapping[int, int]

    @classmethod
    def of(cls, model: nn.Module, image: Tensor) -> _Trial:
        """Run the network once to see which of its layers runs last.

        Raises:
            GradlensError: it does not run, or some of its layers do not run in eval mode.
        """
        trial = copy.deepcopy(model).to("meta").eval()
        ran: list[str] = []
        handles = [
            layer.register_forward_pre_hook(lambda module, args, path=path: ran.append(path))
            for path, layer in _layers(trial).items()
        ]
        blank = image.to("meta")
        meta_flops(lambda: _run(trial, blank, "does not run without values, so its widths cannot be tried"))
        for handle in handles:
            handle.remove()
        idle = [path for path in _layers(trial) if path not in ran]
        if idle:
            raise GradlensError(
                f"{idle[0]} of {type(model).__name__} does not run in eval mode, so it has no width"
            )
        multiples = channel_multiples(trial)
        outputs = [_outputs(layer) for path, layer in _layers(trial).items() if path != ran[-1]]
        return cls(trial, blank, ran[-1], {size: multiples.get(size, 1) for size in outputs})

    def flops(self, sizes: Sizes) -> int:
        """Return the FLOPs of the forward pass at other widths.

        Raises:
            GradlensError: the network does not run at these widths.
        """
        problem = "does not run at another width, because it stores channel counts elsewhere"
        with _restored(self.model), _resizing(self.model, self, sizes):
            return meta_flops(lambda: _run(self.model, self.image, problem))

    def scaled(self, factor: float) -> Sizes:
        """Return all widths scaled by one factor and rounded to their multiples."""
        return {size: scaled(size, factor, multiple) for size, multiple in self.multiples.items()}


def _counted(run: Callable[[], object]) -> int:
    """Return the FLOPs of what runs."""
    from torch.utils.flop_counter import FlopCounterMode  # slow to import, and few networks need it

    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _sizes_for(trial: _Trial, flops: int) -> Sizes:
    """Return the widths whose FLOPs come closest to a number from below."""
    low, high, reached = 0.0, 1.0, 0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        needed = trial.flops(trial.scaled(middle))
        low, high, reached = (middle, high, needed) if needed <= flops else (low, middle, reached)
        if reached >= flops * (1 - CLOSE) or trial.scaled(low) == trial.scaled(high):
            break
    return trial.scaled(low) if reached >= flops * (1 - CLOSE) else _grown(trial, trial.scaled(low), flops)


def _grown(trial: _Trial, sizes: Sizes, flops: int) -> Sizes:
    """Raise one width after another by its smallest step, until no step fits or the FLOPs are close."""
    growing = True
    while growing:
        growing = False
        for size, multiple in trial.multiples.items():
            wider = {**sizes, size: sizes[size] + multiple}
            needed = trial.flops(wider) if wider[size] < size else flops + 1
            if needed <= flops:
                sizes, growing = wider, True
                if needed >= flops * (1 - CLOSE):
                    return sizes
    return sizes


@contextmanager
def _resizing(model: nn.Module, trial: _Trial, sizes: Sizes) -> Iterator[None]:
    """Resize each layer when it runs for the first time: its inputs to what reaches it, its outputs to ``sizes``."""

    def count(size: int) -> int:
        return sizes.get(size, size)

    done: set[str] = set()

    def enter(path: str, module: nn.Module, args: tuple[object, ...]) -> None:
        if path in done or not args or not isinstance(args[0], Tensor):
            return
        done.add(path)
        axis = -1 if isinstance(module, nn.Linear) else 1
        outputs = _outputs(module) if path == trial.head else None
        resize(path, module, count, inputs=args[0].shape[axis], outputs=outputs)

    handles = [
        module.register_forward_pre_hook(partial(enter, path))
        for path, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    """Put back the attributes, parameters and buffers of all modules after the block; a copy would take longer."""
    names = [
        kind for module in model.modules() for kind in (vars(module), module._parameters, module._buffers)
    ]
    before = [dict(kind) for kind in names]
    try:
        yield
    finally:
        for kind, values in zip(names, before, strict=True):
            kind.clear()
            kind.update(values)


def _run(model: nn.Module, image: Tensor, failure: str) -> None:
    try:
        with torch.no_grad():
            model(image)
    except GradlensError as error:
        raise GradlensError(f"{type(model).__name__} cannot be narrowed: {error}") from error
    except (*ERRORS, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:100]
        raise GradlensError(f"{type(model).__name__} cannot be narrowed: it {failure} ({reason})") from error


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the convolutions and linear layers by path."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return {path: module for path, module in model.named_modules() if isinstance(module, kinds)}


def _outputs(layer: nn.Module) -> int:
    """Return the channels that a layer of ``_layers`` returns."""
    return int(layer.weight.shape[0])  # type: ignore[index]


def _giga(flops: float) -> str:
    return f"{flops / 1e9:.4g}"
