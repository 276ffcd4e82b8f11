"""The options of a capture as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradlens.errors import GradlensError
from gradlens.options import SAMPLES, WATCHING, check, check_names, documented, option, options_of

SITES = ("signals", "forks", "all")
SPACES = ("activations", "weights")
PAIRS = ("sketch", "exact")
MODES = ("train", "eval", "keep")
REDUCTIONS = ("mean", "sum")
Options = Mapping[str, Any]
"""Values of options by name; ``check`` checks their types."""


@documented
@dataclass(frozen=True)
class Watch:
    """What to watch in each backward pass; a recording stores it in its ``meta``.

    Raises:
        GradlensError: a value is not allowed, or halves are requested in weight space.
    """

    sites: str = option(
        "signals",
        "Where gradients are watched: forks and weighted layers, forks only, every edge of the graph, or the modules "
        "whose path matches a pattern such as 'layer3.*'.",
        group=WATCHING,
        metavar="signals|forks|all|GLOB",
    )
    pairs: str = option(
        "sketch",
        "Cosines at forks of three or more branches: by random projection (standard error about 0.09), or exactly, "
        "which needs more memory.",
        group=WATCHING,
        choices=PAIRS,
    )
    mode: str = option(
        "train",
        "Mode of the network while it is measured.",
        group=SAMPLES,
        choices=MODES,
        python_only=("keep",),
    )
    space: str = option(
        "activations",
        "Gradients that count as signals: those at the outputs of layers, or those of their weights, sample by sample.",
        group=WATCHING,
        choices=SPACES,
    )
    by_loss: bool = option(
        True,
        "Measure each loss by itself if a step returns several, and how their gradients agree.",
        off="Measure only the sum of the losses if a step returns several.",
        group=WATCHING,
        flag="losses",
        either=True,
    )
    reduction: str = option("mean", "Reduction of the loss over the batch.", choices=REDUCTIONS)
    halves: bool = option(False, "Also keep a Gram of every second feature of each signal.")
    seed: int = option(0, "Seed of dropout and of the projections; also names the replicates.")
    samples: int | None = option(None, "Samples per batch, if the batch itself does not show it.")

    def __post_init__(self) -> None:
        check(self)
        if self.halves and self.space == "weights":
            raise GradlensError("halves=True needs signals at the outputs of layers; use space='activations'")

    @property
    def modules(self) -> str | None:
        """The glob of module paths if ``sites`` is one, else None."""
        return None if self.sites in SITES else self.sites

    @property
    def of_weights(self) -> bool:
        """Whether signals are gradients of weights."""
        return self.space == "weights"


def watch_of(watch: Watch | None, options: Options, others: Iterable[str] = ()) -> Watch:
    """Return a declaration with some of its options replaced.

    Args:
        watch: the declaration; None for the defaults.
        options: values by the names of the fields of ``Watch``.
        others: further parameters of the caller, to suggest for misspelt names.

    Raises:
        GradlensError: the declaration is none, an option is not known, or its value is not allowed.
    """
    if watch is not None and not isinstance(watch, Watch):
        name = next(iter([*others, "sites"]))
        raise GradlensError(
            f"the argument of type {type(watch).__name__} stands where a gl.Watch belongs; give it by name, such as "
            f"{name}=..."
        )
    check_names(options, [*options_of(Watch), *others])
    return replace(watch or Watch(), **options)
