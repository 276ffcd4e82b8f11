"""A study from options that may be objects: batches, loaders, and functions for the step and the loss."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, cast

from torch import Tensor, nn
from torch.utils.data import Dataset

from gradlens.data import SuppliedBatches
from gradlens.data.checks import check_input
from gradlens.data.supplied import length_of
from gradlens.errors import BATCHES, GradlensError, callers_errors
from gradlens.hooks.samples import batch_size
from gradlens.hooks.steps import Loss, step_of
from gradlens.metrics.hsic import FEWEST
from gradlens.models.factory_file import file_function
from gradlens.models.supplied import Network
from gradlens.options import options_of
from gradlens.randomness import seeded
from gradlens.recording.watch import watch_of
from gradlens.studies.objects import Supply
from gradlens.studies.options import FUNCTIONS, Study, study_of, with_defaults

DEFAULTS = {name: declared.default for name, declared in options_of(Study).items()}
PYTHON_ONLY = ("samples", "reduction")
"""Options of ``Watch`` about the batches and the loss of the caller."""


def supplied_study(options: Mapping[str, object], networks: Iterable[Network] = ()) -> Study:
    """Make a study from options by name, in which batches, loaders and functions are objects.

    Networks that are modules have the same weights for every seed, so that the default is one seed, whose intervals
    are over batches.

    Args:
        options: fields of ``Study`` and of its ``Watch``, ``PYTHON_ONLY``, and ``losses``: functions of (output,
            target) by name.
        networks: the networks to measure.

    Raises:
        GradlensError: an option is not known, its value is not allowed, or two options contradict each other.
    """
    values = _with_losses(with_defaults(options))
    watching = {name: values.pop(name) for name in PYTHON_ONLY if name in values}
    samples = cast(int | None, watching.get("samples"))
    functions = {name: _function(name, values) for name in FUNCTIONS}
    if isinstance(values.get("stages"), (list, tuple)):
        values["stages"] = ",".join(map(str, values["stages"]))  # type: ignore[call-overload]
    source, whole = _source(values)
    if values.get("input"):
        _use_input(values, source)
    if any(isinstance(network, nn.Module) for network in networks):
        values.setdefault("seeds", 1)
    batches = None if source is None else _supplied(source, whole, samples, values)
    study = study_of(values)
    study = replace(study, watch=watch_of(study.watch, watching))
    return replace(study, supply=Supply(batches, **functions))


def _with_losses(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options with a step that computes the losses by name, if there are some."""
    values = {**options}
    losses = cast(Mapping[str, Loss] | None, values.pop("losses", None))
    if losses is not None:
        if values.get("step") or values.get("loss"):
            raise GradlensError("give loss=, losses= or step=, not both: a step computes its own losses")
        step = step_of(None, None, losses)
        step.__qualname__ = f"losses {', '.join(map(str, losses))}"
        values["step"] = step
    return values


def _function(name: str, values: dict[str, object]) -> Callable[..., Any] | None:
    """Return the function of an option, and replace the function by its description."""
    value = values.get(name)
    if not value:
        values[name] = ""
        return None
    if isinstance(value, str):
        return file_function(value, name)
    if not callable(value):
        arguments = "(model, batch)" if name == "step" else "(output, target)"
        raise GradlensError(
            f"{name}= is a {type(value).__name__}; give a function of {arguments} that returns the loss"
        )
    values[name] = str(getattr(value, "__qualname__", type(value).__name__))
    return value


def _source(values: dict[str, object]) -> tuple[Iterable[object] | None, bool]:
    """Return the supplied batches, or None, and whether all of them are measured.

    Raises:
        GradlensError: both options have batches, or an option has a value of another kind.
    """
    data, batches = values.get("data", ""), values.get("batches", 1)
    whole = not isinstance(batches, numbers.Integral)
    for name, value in (("data", data), ("batches", batches)):
        number_or_name = isinstance(value, str if name == "data" else numbers.Integral)
        if isinstance(value, (Dataset, Tensor, Mapping, str)) and not number_or_name:
            raise GradlensError(
                f"{name}= is a {type(value).__name__}; give a list of batches, or DataLoader(dataset, batch_size=32, "
                "drop_last=True)"
            )
        if not number_or_name and not isinstance(value, Iterable):
            kind = "a name, a folder" if name == "data" else "a number"
            raise GradlensError(
                f"{name}= is a {type(value).__name__}; give {kind}, or batches in a list or a DataLoader"
            )
    if not isinstance(data, str) and whole:
        raise GradlensError(
            "data= and batches= are both batches; give one, or data= with a number of batches="
        )
    if isinstance(data, str) and whole and data not in ("", DEFAULTS["data"]):
        raise GradlensError(
            f"data={data!r} has batches of its own; leave it out, or give a number of batches="
        )
    source = batches if whole else None if isinstance(data, str) else data
    return source, whole  # type: ignore[return-value]


def _use_input(values: dict[str, object], source: object) -> None:
    data = "" if source is not None else str(values.get("data", DEFAULTS["data"]))
    check_input(str(values["input"]), data)
    values["data"] = values["input"]


def _supplied(
    source: Iterable[object], whole: bool, samples: int | None, values: dict[str, object]
) -> SuppliedBatches:
    """Read the first batch, and describe the batches by the options of a study, in place."""
    length, default = length_of(source), int(DEFAULTS["batches"])  # type: ignore[call-overload]
    wanted = None if whole else int(values.get("batches", default))  # type: ignore[call-overload]
    if length is None:
        source = iter(source)
    with seeded(0), callers_errors(BATCHES):
        kept = list(islice(source, wanted)) if isinstance(source, Iterator) else []
        first = kept[0] if kept else next(iter(source), None)
    if first is None:
        raise GradlensError("there are no batches to measure; give at least one")
    if isinstance(first, Tensor) and not values.get("step"):
        raise GradlensError(
            "the first item of the batches is a tensor, not (inputs, targets); give a list of batches, [(inputs, "
            "targets), ...], or a step= of a tensor"
        )
    n = samples or batch_size(first)
    batches = SuppliedBatches(source, n, first, kept)
    if whole or "batches" not in values:
        available = len(kept) if length is None else length
        values["batches"] = available if whole else min(default, available)
    values["data"] = batches.name
    if n >= FEWEST:
        values["batch_size"] = n  # a smaller one is refused by the capture, with the reason
    if batches.image is not None:
        values["image_size"] = batches.image[1]
    return batches
