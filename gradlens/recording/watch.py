"""What to watch in a backward pass, and how: the options of a capture as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradlens.errors import GradlensError
from gradlens.options import check, known, option

SITES = ("signals", "forks", "all")
SPACES = ("activations", "weights")
PAIRS = ("sketch", "exact")
MODES = ("train", "eval", "keep")
REDUCTIONS = ("mean", "sum")


@dataclass(frozen=True)
class Watch:
    """What to watch in each backward pass; a Recording keeps it in its provenance.

    Attributes:
        sites: ``signals`` (forks, partial splits and the signal of every weighted layer), ``forks``, ``all``
            (every edge) or a glob of module paths.
        pairs: ``sketch`` compares the branches of forks of three and more by a random projection; ``exact`` holds
            the contributions until the fork is complete (the memory of one activation each).
        mode: of the model: ``train``, ``eval`` or ``keep``.
        space: ``activations``: a signal is the gradient at the output of a weighted layer. ``weights``: the gradient
            of the layer's weight, sample by sample.
        reduction: of the loss over the batch, ``mean`` or ``sum``; Grams are of the summed loss.
        halves: also keep a Gram of every second feature of each signal, for the ceiling of similarity.
        seed: of dropout and the projections; also names the replicates.
        samples: in a batch, if that cannot be read from the batch itself.

    Raises:
        GradlensError: a value is not allowed, or halves are requested in weight space.
    """

    sites: str = option(
        "signals",
        "Where gradients are watched: forks and weighted layers, forks only, every edge of the graph, or the modules "
        "whose path matches a pattern such as 'layer3.*'.",
        metavar="signals|forks|all|GLOB",
    )
    pairs: str = option(
        "sketch",
        "Pairs of branches at forks of three and more: by a random projection with a stated error, or exactly, which "
        "needs more memory.",
        choices=PAIRS,
    )
    mode: str = option("train", "Mode of the network while it is measured.", choices=MODES)
    space: str = option(
        "activations",
        "What a signal is: the gradient at a layer's output, or that of its weights, sample by sample.",
        choices=SPACES,
    )
    reduction: str = option("mean", "Reduction of the loss over the batch.", choices=REDUCTIONS)
    halves: bool = option(False, "Also keep a Gram of every second feature of each signal.")
    seed: int = option(0, "Seed of dropout and of the projections; also names the replicates.")
    samples: int | None = option(None, "Samples in a batch, if that cannot be read from the batch itself.")

    def __post_init__(self) -> None:
        check(self)
        if self.halves and self.space == "weights":
            raise GradlensError(
                "halves are of signals at layers' outputs; capture them with space='activations'"
            )

    @property
    def modules(self) -> str | None:
        """The glob of module paths if ``sites`` is one, else None."""
        return None if self.sites in SITES else self.sites

    @property
    def of_weights(self) -> bool:
        """Whether signals are gradients of weights."""
        return self.space == "weights"


def watch_of(watch: Watch | None, options: Mapping[str, Any]) -> Watch:
    """Return a declaration with some of its options replaced.

    Args:
        watch: the declaration; None for the defaults.
        options: values by the names of the fields of ``Watch``.

    Raises:
        GradlensError: an option is not known, or its value is not allowed.
    """
    known(Watch, options)
    return replace(watch or Watch(), **options)
