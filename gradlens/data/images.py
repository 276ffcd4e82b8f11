"""The image files of a folder with one folder per class. No torch, so a folder is checked at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gradlens.errors import GradlensError

NOT_IMAGES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow recognises, but cannot read alone."""
SUFFIXES = frozenset(
    suffix
    for suffix, form in Image.registered_extensions().items()
    if (form in Image.OPEN and form not in NOT_IMAGES)
    or form == "MPO"  # read as the JPEG that it begins with
)
MODES = {1: "L", 3: "RGB"}
"""Modes of Pillow by the number of channels."""
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on bad files


def image_classes(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the image files by class, and the folders that hold other files only, which are no classes.

    Raises:
        GradlensError: the folder cannot be read, or has another layout.
    """
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        classes = {path.name: _images(path) for path in folders}
    except OSError as error:
        raise GradlensError(f"{folder} cannot be read: {error.strerror}") from error
    empty = [f"{path.name}/" for path in folders if not classes[path.name] and _holds_files(path)]
    classes = {name: paths for name, paths in classes.items() if paths}
    if classes:
        return classes, empty
    layout = f"gradlens expects one folder per class: {folder.name}/CLASS/IMAGE.png"
    if _images(folder):
        raise GradlensError(f"{folder} contains images but no class folders; {layout}")
    if folders:
        raise GradlensError(
            f"{folder} has {len(folders)} folders but no images in them; {layout}, in a format that Pillow reads"
        )
    raise GradlensError(f"{folder} has neither class folders nor images; {layout}")


def _holds_files(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_image(path))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def unreadable(path: Path, error: Exception) -> GradlensError:
    """Return the error for a file that is no image."""
    return GradlensError(
        f"{path} cannot be read as an image ({type(error).__name__}); repair or remove it,"
        " or skip such files with skip_bad=True"
    )


def eight_bit(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey values to 8 bits, because Pillow's conversion would clip them to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image, dtype=np.int64).clip(0, 65535)
        return Image.fromarray((values // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("an image of floating-point values has no known range")
    return image.convert("RGBA") if "transparency" in image.info else image
