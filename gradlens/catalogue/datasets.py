"""The data sets that have a name, and the error for data that does not exist."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from gradlens.errors import GradlensError, close_matches


class DataSet(NamedTuple):
    """A data set that has a name.

    Attributes:
        reader: dotted name of the function that returns its samples.
        size: number of its samples; None if it is unlimited.
    """

    reader: str
    size: int | None = None


DATASETS = {
    "digits": DataSet("gradlens.data.digits.digit_samples", 1797),
    "random": DataSet("gradlens.data.noise.noise_samples"),
}
"""Data sets by name; the option ``data`` of ``Study`` describes each."""


def check_data(name: str, names: Collection[str] = tuple(DATASETS), others: Collection[str] = ()) -> None:
    """Check that data is a known data set or an existing folder; a misspelt name may also mean one of ``others``.

    Raises:
        GradlensError: it is neither.
    """
    if name in names or (name.strip() and Path(name).is_dir()):
        return
    allowed = f"give {', '.join(names)}, or the path of an image folder"
    if name == "folder":
        raise GradlensError(f"there is no folder {name!r} here; {allowed}")
    if name.strip() and Path(name).exists():
        raise GradlensError(f"data {name!r} is a file; {allowed}")
    raise GradlensError(
        f"there is no data set and no folder {name!r}; {allowed}{close_matches(name, [*names, *others])}"
    )
