"""The tables of results: one entry each, in the order of the page.

A new table of a recording is one entry in ``TABLES`` and a file in ``gradlens/analyzers/``; its plot is a file in
``gradlens/plots/`` that the entry names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SUFFIX = "_weights"
"""Suffix of the tables of weight space in a result of both spaces."""


class Need(Enum):
    """What a recording must hold for a table; the value ends the sentence "this recording ..." if it does not."""

    WEIGHTS = "was recorded without weight space; capture again with space='weights'"
    SIGNALS = "holds fewer than two signals; capture again with sites='signals'"
    FORKS = "holds no fork and no partial split: the network has none, or they were not watched"
    SOURCES = "is of a network without such a source: no layer reads several, or no source has two readers"
    STEPS = "is of a network without a recurrence, or was not recorded with the signals of activations"
    COSTS = "holds no costs; capture again with costs=True"
    SPEEDS = "holds no speeds; capture again with throughput=5"
    SUMS = "holds no sum that could be checked"
    LOSSES = "was recorded with one loss; capture with losses={...} or a step that returns several, and by_loss=True"
    NOTHING = "lacks the data for it"


class PagePosition(Enum):
    """Position of a table on the page; tables with a figure come first."""

    NORMAL = 1
    LATE = 2


@dataclass(frozen=True)
class About:
    """The description of a table.

    Attributes:
        name: key in ``Result.tables``.
        title: on the page.
        analyzer: class below ``gradlens.analyzers`` that makes it; empty if a study makes it from several recordings.
        plot: its ``Plot`` below ``gradlens.plots``; empty if it has no figure.
        option: option of a study that requests it; empty if it is always made.
        needs: what a recording must hold; an error names the first one.
        each_space: whether a result of both spaces holds one such table per space, or only one.
        in_paths: position among the tables of a result about paths; 0 if it is not one of them.
        position: on the page.
        leads: rank of its figure among those that can carry the finding at the top of the page; 0 if it is none.
    """

    name: str
    title: str
    analyzer: str = ""
    plot: str = ""
    option: str = ""
    needs: tuple[Need, ...] = ()
    each_space: bool = True
    in_paths: int = 0
    position: PagePosition = PagePosition.NORMAL
    leads: int = 0

    def missing(self, space: object) -> str:
        """Return why a recording in ``space`` has no such table: the end of the sentence "this recording ..."."""
        unmet = [need for need in self.needs if need is not Need.WEIGHTS or space != "weights"]
        return (*unmet, Need.NOTHING)[0].value


# fmt: off
TABLES: tuple[About, ...] = (
    About("networks", "All numbers of the networks", plot="trade_off.TRADE_OFF"),
    About("contrasts", "Each network against the first", plot="forest.FOREST", leads=3),
    About("effects", "Effects of transitions and of the cut", plot="forest.EFFECTS", leads=2),
    About("strategies", "Strategies against their cost", plot="trade_off.TRADE_OFF"),
    About("differences", "Pairs of strategies", plot="forest.FOREST", leads=4),
    About("trajectory", "During training", plot="training.TRAJECTORY", leads=5),
    About("stages_along", "Stages along the training", plot="watched.STAGES", each_space=False, leads=10),
    About("branches_along", "Branches along the training", plot="watched.BRANCHES_ALONG", each_space=False),
    About("alarms", "Alarms of the training", each_space=False),
    About("losses_along", "Ledger of the losses during training"),
    About("learning", "Duplication and accuracy"),
    About("duplication", "Duplication by stage", "duplication.Duplication", "duplication.DUPLICATION",
          needs=(Need.SIGNALS,), leads=6),
    About("rarefaction", "Distinct signals among m", "rarefaction.Rarefaction", "rarefaction.RAREFACTION",
          needs=(Need.SIGNALS,)),
    About("lags", "Similarity by distance", "rarefaction.Lags", "rarefaction.LAGS", needs=(Need.SIGNALS,)),
    About("correlation", "Correlation of the signals", "correlation.Correlation", "correlation.CORRELATION",
          needs=(Need.SIGNALS,)),
    About("cross", "Network against network", plot="correlation.CROSS"),
    About("branches", "Correlation of the branches", "branches.Branches", "branches.BRANCHES", needs=(Need.FORKS,),
          each_space=False),
    About("shares", "Shares of the branches", "branches.Shares", "shares.SHARES", needs=(Need.FORKS,), each_space=False,
          in_paths=4),
    About("flow", "Gradient flow over depth", "flow.Flow", "flow.FLOW", leads=9),
    About("losses", "Ledger of the losses", "losses.Ledger", "losses.LEDGER", needs=(Need.LOSSES,), leads=1),
    About("conflicts", "Conflict between losses", "conflicts.Conflicts", "conflicts.CONFLICTS", needs=(Need.LOSSES,)),
    About("duplication_by_loss", "Duplication by loss", "loss_duplication.DuplicationByLoss",
          "given_losses.GIVEN_LOSSES", needs=(Need.LOSSES, Need.SIGNALS)),
    About("efficiency", "Cost and speed beside duplication by loss", plot="efficiency.EFFICIENCY", each_space=False),
    About("times", "Gradient along time", "times.Times", "times.TIMES", needs=(Need.STEPS,), each_space=False),
    About("structure", "Duplication by structure", "structure.Structure", "paths.STRUCTURE",
          each_space=False, in_paths=1, leads=8),
    About("paths", "Gradient paths over depth", "paths.Paths", "paths.PATHS", each_space=False, in_paths=2,
          leads=7),
    About("path_lengths", "Lengths of the gradient's paths", "paths.PathLengths", "paths.LENGTHS", each_space=False,
          in_paths=3),
    About("noise", "Signal and noise of the weight gradients", "weights.NoiseScale", needs=(Need.WEIGHTS,),
          each_space=False),
    About("readers", "Duplication between the readers of a source", "weights.Readers",
          needs=(Need.WEIGHTS, Need.SOURCES), each_space=False),
    About("reuse", "Reuse of the sources", "weights.Reuse", "reuse.REUSE", needs=(Need.WEIGHTS, Need.SOURCES),
          each_space=False),
    About("diagnosis", "All conspicuous layers and branches", "diagnosis.Diagnosis"),
    About("cost", "Cost by stage", "cost.Cost", "cost.COST", needs=(Need.COSTS,), each_space=False),
    About("throughput", "Speed", "cost.Throughput", "cost.THROUGHPUT", needs=(Need.SPEEDS,), each_space=False),
    About("null", "Duplication against its null", "extra.Nulls", option="null", needs=(Need.SIGNALS,)),
    About("canonical", "Canonical correlations of the signals", "extra.Canonicals", option="cca",
          needs=(Need.SIGNALS,)),
    About("exactness", "Exactness of the capture", "exactness.Exactness", needs=(Need.SUMS,),
          each_space=False, in_paths=5, position=PagePosition.LATE),
    About("loss_sums", "Exactness of the losses", "loss_sums.LossSums", needs=(Need.LOSSES,), each_space=False,
          position=PagePosition.LATE),
    About("map_nodes", "Operations on the map", "map.MapNodes", position=PagePosition.LATE),
    About("map_edges", "Connections on the map", "map.MapEdges", each_space=False, position=PagePosition.LATE),
    About("comparison", "All numbers of the comparison", position=PagePosition.LATE),
    About("summary", "All numbers of the summary", position=PagePosition.LATE),
)
# fmt: on


def kind(name: str) -> str:
    """Return the name of a table without the suffix of its space.

    >>> kind("correlation_weights"), kind("correlation")
    ('correlation', 'correlation')
    """
    return name.removesuffix(SUFFIX)


def tables_with(chosen: Callable[[About], object]) -> tuple[About, ...]:
    """Return the entries for which ``chosen`` is true, in the order of the page.

    >>> [entry.name for entry in tables_with(lambda entry: entry.option)]
    ['null', 'canonical']
    """
    return tuple(entry for entry in TABLES if chosen(entry))


def about(name: str) -> About:
    """Return the entry of a table in either space; a default entry if the table is not in the catalogue.

    >>> about("duplication_weights").title, about("hard_samples").title
    ('Duplication by stage', 'Hard samples')
    """
    base = kind(name)
    return _BY_NAME.get(base) or About(base, base.replace("_", " ").capitalize())


_BY_NAME = {entry.name: entry for entry in TABLES}
