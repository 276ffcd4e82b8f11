"""Networks that the caller supplies: a module, measured as it is, or a function that builds one for each seed."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path

from torch import nn

from gradlens.errors import GradlensError, described
from gradlens.models.checkpoint import load_checkpoint
from gradlens.models.factory_file import accepted
from gradlens.models.loading import NAME, restructured
from gradlens.models.shape import InputShape
from gradlens.models.spec import CspSpec
from gradlens.models.zero_init import lift_zero_init
from gradlens.randomness import seeded

Factory = Callable[..., nn.Module]
"""A function or class that returns a network."""
Network = str | nn.Module | Factory
"""A network to measure: a name for ``load_model``, a module, or a factory."""

SEED = "seed"
SOME_SHAPE = InputShape(10, 3, 64)
"""A shape for a network that is built to see its class."""


def supplied_model(
    network: nn.Module | Factory,
    csp: CspSpec | None,
    shape: InputShape,
    *,
    seed: int,
    image: tuple[int, int, int] | int | None = None,
    zero_init: bool = True,
    checkpoint: str | Path | None = None,
    stages: list[str] | None = None,
) -> nn.Module:
    """Return a module as it is, or the module that a factory builds after the generators are seeded.

    Args:
        network: a module, or a factory. A factory gets the seed as its parameter ``seed``, or as its one parameter
            without a default, and those of ``num_classes``, ``in_chans`` and ``image_size`` that it names.
        csp: how the network is made cross stage partial, in a copy; None leaves it as it is.
        shape: classes and images of the data.
        seed: determines the weights that a factory draws, and those of new layers.
        image: a test image for ``csp``: side, or (channels, height, width).
        zero_init: False sets zero gains of a factory's network to one; those of a module stay.
        checkpoint: a file of weights for a factory's network.
        stages: paths of the stages to cut; None finds them by name.

    Raises:
        GradlensError: the factory raises, returns no module, or has parameters without a value.
    """
    with seeded(seed):
        model = network if isinstance(network, nn.Module) else _built(network, shape, seed)
        if csp is not None:
            model = restructured(model, csp, image, stages)
    if isinstance(network, nn.Module):
        return model
    if not zero_init:
        lift_zero_init(model)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model.train()


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a module that a training may change.

    Raises:
        GradlensError: it cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # of any module's own __deepcopy__
        raise GradlensError(
            f"a {type(model).__name__} cannot be copied ({described(error)}), and a training would change it; give a "
            "function that builds it: lambda seed: Net()"
        ) from error


def title_of(network: nn.Module | Factory) -> str:
    """Return the name of a network: of its class, its factory, or for a lambda of the class that it builds."""
    if isinstance(network, nn.Module):
        return str(vars(network).get(NAME) or type(network).__name__)
    name = getattr(network, "__name__", "")
    if name and name != "<lambda>":
        return str(name)
    with seeded(0):
        return title_of(_built(network, SOME_SHAPE, 0))


def _built(factory: Factory, shape: InputShape, seed: int) -> nn.Module:
    arguments = _arguments(factory, shape, seed)
    try:
        model = factory(*arguments.args, **arguments.kwargs)
    except GradlensError:
        raise
    except Exception as error:
        raise GradlensError(f"{_title(factory)} raised {described(error)}") from error
    if not isinstance(model, nn.Module):
        raise GradlensError(
            f"{_title(factory)} returned a {type(model).__name__}; a network is a name, a torch.nn.Module, or a "
            "function that returns one, for example lambda seed: Net()"
        )
    return model


def _arguments(factory: Factory, shape: InputShape, seed: int) -> inspect.BoundArguments:
    """Return the arguments of a factory: the seed, and what it names of the data."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # a built-in without a signature
        return inspect.BoundArguments(inspect.Signature(), {})
    values: dict[str, int] = accepted(factory, shape)
    if SEED in signature.parameters:
        values[SEED] = seed
    needed = [
        name
        for name, item in signature.parameters.items()
        if item.default is item.empty and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
    ]
    missing = [name for name in needed if name not in values]
    if len(missing) == 1 and SEED not in values and not inspect.isclass(factory):
        values[missing.pop()] = seed
    if missing:
        build = f"{_title(factory)}({missing[0]}=...)" if inspect.isclass(factory) else "Net(...)"
        raise GradlensError(
            f"{_title(factory)} needs {', '.join(missing)}; give a function of the seed alone: lambda seed: {build}"
        )
    extra = {name: value for name, value in values.items() if name not in signature.parameters}
    named = {name: value for name, value in values.items() if name in signature.parameters}
    positional = [
        name for name in named if signature.parameters[name].kind is inspect.Parameter.POSITIONAL_ONLY
    ]
    return signature.bind(
        *(named[name] for name in positional),
        **{name: value for name, value in named.items() if name not in positional},
        **extra,
    )


def _title(factory: object) -> str:
    name = getattr(factory, "__name__", type(factory).__name__)
    return "the lambda" if name == "<lambda>" else str(name)
