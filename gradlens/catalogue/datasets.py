"""The data sets that have a name, and the error for data that does not exist."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from gradlens.errors import GradlensError, close_matches

CLASSIFICATION, DETECTION = "classification", "detection"
"""Tasks: batches of (images, classes), and of (list of images, list of targets with boxes and labels)."""
SEGMENTATION, VIDEO, FLOW = "segmentation", "video", "flow"
"""Tasks: batches of (images, classes of pixels), (clips, classes), and (pairs of images, motion)."""
FRAMES = 8
"""Frames of a clip."""


COCO = "coco"
"""Start of the name of a COCO file."""
NARROW = "boxes narrower than a pixel"
"""Key of ``left_out`` for boxes of the samples that were read; the other counts are of the whole file."""
DETECTOR_DEFAULTS = {"image_size": 96, "batch_size": 8}
"""Defaults of a study on data for detectors."""


class DataSet(NamedTuple):
    """A data set that has a name.

    Attributes:
        reader: dotted name of the function that returns its samples.
        size: number of its samples; None if it is unlimited.
        task: what a network learns of it.
        least: least ``image_size``.
        options: form of the options after its name; empty if it has none.
    """

    reader: str
    size: int | None = None
    task: str = CLASSIFICATION
    least: int = 1
    options: str = ""


DATASETS = {
    "digits": DataSet("gradlens.data.digits.digit_samples", 1797),
    "random": DataSet("gradlens.data.noise.noise_samples"),
    "scenes": DataSet(
        "gradlens.data.scenes.scene_samples", 716, task=DETECTION, least=32, options="sizes=mixed"
    ),
    "clips": DataSet("gradlens.data.moving.clip_samples", 1797, task=VIDEO, least=16),
    "motion": DataSet("gradlens.data.moving.flow_samples", 1797, task=FLOW, least=16),
}
"""Data sets by name; the option ``data`` of ``Study`` describes each."""


def data_set(name: str, names: Collection[str] = tuple(DATASETS)) -> str:
    """Return the data set that a name means, with or without options; empty if it means none.

    Raises:
        GradlensError: the data set has no options.

    >>> data_set("scenes:sizes=mixed"), data_set("photos")
    ('scenes', '')
    """
    kind, colon, _ = name.partition(":")
    kind = kind.strip()
    if name in names:
        return name
    if not colon or kind not in names or Path(name).is_dir():
        return ""
    if kind in DATASETS and not DATASETS[kind].options:
        raise GradlensError(f"{name!r} has options, and {kind} has none; write {kind}")
    return kind


def task_of(name: str) -> str:
    """Return what a network learns of data, by the name of the data.

    >>> task_of("coco:boxes.json"), task_of("photos")
    ('detection', 'classification')
    """
    kind = name.partition(":")[0].strip()
    detection = kind == COCO or (kind in DATASETS and DATASETS[kind].task == DETECTION)
    return DETECTION if detection and not Path(name).is_dir() else CLASSIFICATION


def defaults_of(name: str) -> dict[str, int]:
    """Return the options of a study that are smaller by default for this data, because detectors are large.

    >>> defaults_of("digits")
    {}
    """
    return dict(DETECTOR_DEFAULTS) if task_of(name) == DETECTION else {}


def check_data(name: str, names: Collection[str] = tuple(DATASETS), others: Collection[str] = ()) -> None:
    """Check that data is a known data set or an existing folder; a misspelt name may also mean one of ``others``.

    Raises:
        GradlensError: it is neither.
    """
    if data_set(name, names) or (name.strip() and Path(name).is_dir()):
        return
    allowed = f"give {', '.join(names)}, or the path of an image folder"
    if name == "folder":
        raise GradlensError(f"there is no folder {name!r} here; {allowed}")
    if name.strip() and Path(name).exists():
        raise GradlensError(f"data {name!r} is a file; {allowed}")
    near = close_matches(name.partition(":")[0], [*names, *others])
    raise GradlensError(f"there is no data set and no folder {name!r}; {allowed}{near}")
