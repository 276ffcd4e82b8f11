"""Images and boxes of a COCO file: ``coco:annotations.json``, with the images beside it or in a named folder.

The file is read without torch, so that it is checked at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gradlens.catalogue.datasets import COCO
from gradlens.errors import GradlensError

FORM = "coco:annotations.json,images=DIR"
LISTS = ("images", "annotations", "categories")


class Box(NamedTuple):
    """A box of an image, as corners in its pixels, and its label from 1."""

    corners: tuple[float, float, float, float]
    label: int


class Picture(NamedTuple):
    """An image file with its boxes."""

    path: Path
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Coco:
    """What a COCO file says.

    Attributes:
        file: the file.
        pictures: images in the order of their ids, those without boxes included.
        class_names: names of the categories in the order of their ids; label 1 is the first.
        left_out: numbers of annotations that were left out, by reason.
    """

    file: Path
    pictures: tuple[Picture, ...]
    class_names: tuple[str, ...]
    left_out: Mapping[str, int]


def is_coco(name: str) -> bool:
    """Return whether the name of data is that of a COCO file.

    >>> is_coco("coco:train.json"), is_coco("photos")
    (True, False)
    """
    return name.partition(":")[0].strip() == COCO and not Path(name).is_dir()


def read_coco(name: str) -> Coco:
    """Read the file that a name of data means.

    Crowds and boxes without area are left out; boxes are cut at the edges of their image.

    Args:
        name: ``coco:annotations.json``, or ``coco:annotations.json,images=DIR``.

    Raises:
        GradlensError: a file is missing or is no COCO file, or an annotation has no such image or category.
    """
    file, folder = _paths(name)
    document = _document(file)
    images = {_entry(file, image, "images", "id"): image for image in document["images"]}
    categories = sorted(document["categories"], key=lambda item: int(_entry(file, item, "categories", "id")))
    labels = {category["id"]: label for label, category in enumerate(categories, start=1)}
    boxes, left_out = _boxes(file, document["annotations"], images, labels)
    pictures = tuple(
        Picture(folder / str(_entry(file, image, "images", "file_name")), tuple(boxes[number]))
        for number, image in sorted(images.items(), key=lambda item: str(item[0]).zfill(20))
    )
    if not any(picture.boxes for picture in pictures):
        raise GradlensError(f"{file} has {len(pictures)} images and no boxes; a detector needs some")
    if not any(picture.path.is_file() for picture in pictures):
        raise GradlensError(
            f"there is no image {pictures[0].path}; name the folder of the images: coco:{file},images=DIR"
        )
    names = tuple(str(category.get("name", category["id"])) for category in categories)
    return Coco(file, pictures, names, left_out)


def _boxes(
    file: Path, annotations: Sequence[Mapping[str, Any]], images: Mapping[Any, Any], labels: Mapping[Any, int]
) -> tuple[dict[Any, list[Box]], dict[str, int]]:
    """Return the boxes by image, and the numbers of annotations that were left out, by reason."""
    boxes: dict[Any, list[Box]] = {number: [] for number in images}
    left_out: dict[str, int] = {}
    for annotation in annotations:
        box = _box(file, annotation, images, labels)
        if box is not None and not annotation.get("iscrowd"):
            boxes[annotation["image_id"]].append(box)
        else:
            reason = "crowds" if annotation.get("iscrowd") else "boxes without area"
            left_out[reason] = left_out.get(reason, 0) + 1
    return boxes, left_out


def _paths(name: str) -> tuple[Path, Path]:
    text = name.partition(":")[2].strip()
    path, _, folder = text.partition(",images=")
    if "," in path and not Path(path).is_file():
        raise GradlensError(f"{path.partition(',')[2]!r} in {name!r} is not understood; write {FORM}")
    file = Path(path.strip())
    if not path.strip():
        raise GradlensError(f"{name!r} names no file of annotations; write {FORM}")
    if file.is_dir():
        raise GradlensError(f"{file} is a folder; name its file of annotations: {FORM}")
    if not file.is_file():
        raise GradlensError(f"there is no file {path.strip()!r}; write {FORM}")
    images = Path(folder.strip()) if folder.strip() else file.parent
    if not images.is_dir():
        raise GradlensError(f"there is no folder {str(images)!r} for the images of {file}")
    return file, images


def _document(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise GradlensError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise GradlensError(f"{file} is not JSON ({' '.join(str(error).split())[:100]})") from error
    lacking = [
        key for key in LISTS if not isinstance(document, dict) or not isinstance(document.get(key), list)
    ]
    if lacking:
        raise GradlensError(
            f"{file} is no COCO file of objects: it has no list {', '.join(lacking)}; it needs {', '.join(LISTS)}"
        )
    for key in LISTS:
        if not all(isinstance(entry, dict) for entry in document[key]):
            raise GradlensError(f"{file} is no COCO file: an entry of {key} is no object")
    return document  # type: ignore[no-any-return]


def _entry(file: Path, item: Mapping[str, Any], key: str, name: str) -> Any:
    value = item.get(name)
    if value is None or isinstance(value, (list, dict)) or (key == "categories" and not _whole(value)):
        raise GradlensError(f"{file} is no COCO file: an entry of {key} has {name} {value!r}")
    return value


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _box(
    file: Path, annotation: Mapping[str, Any], images: Mapping[Any, Any], labels: Mapping[Any, int]
) -> Box | None:
    """Return the box of an annotation, cut at the edges of its image; None if nothing is left of it."""
    image = images.get(_entry(file, annotation, "annotations", "image_id"))
    category = _entry(file, annotation, "annotations", "category_id")
    name = f"annotation {annotation.get('id', '?')} of {file}"
    if image is None:
        raise GradlensError(f"{name} is of image {annotation['image_id']!r}, which the file does not list")
    if category not in labels:
        known = ", ".join(map(str, list(labels)[:8])) + (", ..." if len(labels) > 8 else "")
        raise GradlensError(f"{name} has category {category!r}; the file lists {known or 'none'}")
    values = annotation.get("bbox")
    if not _numbers(values):
        raise GradlensError(f"{name} has bbox {values!r}; it must be [x, y, width, height] in pixels")
    left, top, width, height = map(float, values)  # type: ignore[arg-type]
    right, bottom = left + width, top + height
    if _numbers([image.get("width"), image.get("height")], 2):
        right, bottom = min(right, float(image["width"])), min(bottom, float(image["height"]))
    left, top = max(left, 0.0), max(top, 0.0)
    return Box((left, top, right, bottom), labels[category]) if right > left and bottom > top else None


def _numbers(values: object, count: int = 4) -> bool:
    return (
        isinstance(values, Sequence)
        and len(values) == count
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    )
