"""The quantities of a signal and of a box of the network map: one entry each, with the words of the tables."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.catalogue.losses import CONFLICT_OF, SHARE_OF
from gradlens.catalogue.quantities import QUANTITIES, quantity
from gradlens.catalogue.versions import VERSIONS, Version

WEIGHTS = "weights_"
"""Start of the name of a quantity that was measured at the gradients of weights."""


@dataclass(frozen=True)
class SignalQuantity:
    """A number of one signal: a column of the table ``flow``.

    Attributes:
        name: of the column.
        title: in figures and on the map.
        logarithmic: drawn as its logarithm.
    """

    name: str
    title: str
    logarithmic: bool = False

    @property
    def axis(self) -> str:
        """The title of what is drawn."""
        return f"log10 of the {self.title}" if self.logarithmic else self.title


SIGNAL_QUANTITIES = (
    SignalQuantity("rms", "RMS gradient per sample and element", logarithmic=True),
    SignalQuantity("norm", "norm per sample", logarithmic=True),
    SignalQuantity("effective_rank", "effective rank"),
    SignalQuantity("stable_rank", "stable rank"),
    SignalQuantity("participation_ratio", "participation ratio"),
    SignalQuantity("diversity", "gradient diversity"),
    SignalQuantity("stiffness_within", "stiffness within classes"),
    SignalQuantity("stiffness_across", "stiffness across classes"),
    SignalQuantity("confusion", "gradient confusion"),
)


@dataclass(frozen=True)
class MapQuantity:
    """A number that can colour the map: a column of the table ``map_nodes``.

    Attributes:
        name: of the column.
        title: as in the tables.
        logarithmic: coloured by its logarithm.
        summed: of several layers the sum, else the mean.
        similar: a similarity or a share, coloured from 0 to 1.
    """

    name: str
    title: str
    logarithmic: bool = False
    summed: bool = False
    similar: bool = False

    @property
    def of_weights(self) -> MapQuantity:
        """The same quantity of the gradients of weights."""
        return MapQuantity(
            WEIGHTS + self.name,
            f"{self.title}, gradients of weights",
            self.logarithmic,
            self.summed,
            self.similar,
        )


def alike_column(version: Version) -> str:
    """Return the column with the similarity of a signal to the others of its stage.

    >>> alike_column(Version(direction=True, given_loss=True))
    'alike_direction_given_loss'
    """
    return "_".join(["alike", *["direction"] * version.direction, *["given_loss"] * version.given_loss])


def _alike(version: Version) -> MapQuantity:
    similarity = next((entry for entry in QUANTITIES if entry.mean and entry.version == version), None)
    title = similarity.title if similarity else f"Mean similarity, {version.title}"
    return MapQuantity(alike_column(version), f"{title} (CKA with its stage)", similar=True)


def _cost(name: str) -> MapQuantity:
    entry = quantity(name)
    return MapQuantity(name, entry.title if entry else name, logarithmic=True, summed=True)


MAP_QUANTITIES = (
    *(_alike(version) for version in VERSIONS),
    *(
        MapQuantity(entry.name, entry.title, entry.logarithmic)
        for entry in SIGNAL_QUANTITIES
        if entry.name in ("rms", "effective_rank", "diversity", "stiffness_across")
    ),
    *(_cost(name) for name in ("flops", "parameters")),
)
"""In the order of the menu: similarities, the quantities of a signal, costs."""
OF_LOSSES = {SHARE_OF: "Share of the energy: loss ", CONFLICT_OF: "Samples in conflict: "}
"""Start of the title by the start of the column, of quantities of losses, whose names are those of a run."""
_BY_NAME = {entry.name: entry for entry in MAP_QUANTITIES}


def map_quantity(column: str) -> MapQuantity | None:
    """Return the entry of a column of ``map_nodes``, or None.

    >>> map_quantity("alike_given_loss").title, map_quantity("site")
    ('Mean similarity, given the loss (CKA with its stage)', None)
    >>> map_quantity("share of box").title, map_quantity("conflict of cls | box").title
    ('Share of the energy: loss box', 'Samples in conflict: cls | box')
    """
    for start, title in OF_LOSSES.items():
        if column.startswith(start):
            return MapQuantity(column, f"{title}{column.removeprefix(start)}", similar=True)
    return _BY_NAME.get(column)
