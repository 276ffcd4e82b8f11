"""The four versions of a similarity: of energy or of direction, and given the loss or not."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.errors import GradlensError, close_matches


@dataclass(frozen=True)
class Version:
    """One version of a similarity between gradients.

    Attributes:
        direction: from Grams of the samples' unit gradients, instead of the gradients themselves (energy).
        given_loss: after partialling out the loss signal.
    """

    direction: bool = False
    given_loss: bool = False

    @property
    def label(self) -> str:
        """Return the value of a table's column ``version``.

        >>> Version(given_loss=True).label
        'energy given loss'
        """
        return ("direction" if self.direction else "energy") + (" given loss" if self.given_loss else "")

    @property
    def column(self) -> str:
        """Return the name of a table's column of this version.

        >>> Version(direction=True, given_loss=True).column
        'direction_given_loss'
        """
        return self.label.replace(" ", "_")

    @property
    def title(self) -> str:
        """Return the version as figures write it.

        >>> Version(given_loss=True).title
        'energy, given the loss'
        """
        return ("direction" if self.direction else "energy") + (", given the loss" if self.given_loss else "")


ENERGY = Version()
DIRECTION = Version(direction=True)
ENERGY_GIVEN_LOSS = Version(given_loss=True)
DIRECTION_GIVEN_LOSS = Version(direction=True, given_loss=True)
VERSIONS = (ENERGY, DIRECTION, ENERGY_GIVEN_LOSS, DIRECTION_GIVEN_LOSS)


def version_named(name: str) -> Version:
    """Return the version with this name: that of its column, or its label.

    Raises:
        GradlensError: there is no such version.

    >>> version_named("direction given loss") == version_named("direction_given_loss") == DIRECTION_GIVEN_LOSS
    True
    """
    columns = {version.column: version for version in VERSIONS}
    column = name.strip().replace(" ", "_").replace("-", "_")
    if column not in columns:
        raise GradlensError(
            f"no version {name!r} of similarity; choose from {', '.join(columns)}{close_matches(column, columns)}"
        )
    return columns[column]
