"""Image folders with one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gradlens.data.request import Request
from gradlens.data.samples import Samples
from gradlens.errors import GradlensError

NOT_IMAGES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow recognises, but cannot read alone."""
SUFFIXES = frozenset(
    suffix
    for suffix, form in Image.registered_extensions().items()
    if (form in Image.OPEN and form not in NOT_IMAGES)
    or form == "MPO"  # read as the JPEG that it begins with
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as in torchvision
MODES = {1: "L", 3: "RGB"}
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on bad files


def folder_samples(folder: Path, request: Request, skip_bad: bool) -> Samples:
    """Return images of a folder, resized by their shorter side, cropped at the centre, standardised as ImageNet.

    Args:
        folder: has one folder per class, which may contain further folders.
        request: the samples to return.
        skip_bad: replace an unreadable image by the next one in the order.

    Raises:
        GradlensError: the folder has another layout or too few images, or an image cannot be read.
    """
    if request.in_chans not in MODES:
        raise GradlensError(f"image files have 1 or 3 channels, not {request.in_chans}; use 1 or 3")
    classes, empty = _classes(folder)
    files = [(path, target) for target, paths in enumerate(classes.values()) for path in paths]
    request.require(len(files), f"{folder} has {len(files)} images")
    samples, skipped = _read(files, request, skip_bad)
    if len(samples) < request.samples:
        request.require(
            len(files) - len(skipped), f"{folder} has {len(files)} images, {len(skipped)} of them unreadable"
        )
    images, targets = zip(*samples, strict=True)
    return Samples(
        torch.stack(images),
        torch.tensor(targets),
        tuple(classes),
        len(files),
        (*(path.relative_to(folder).as_posix() for path in skipped), *empty),
    )


def _classes(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the image files by class, and the folders that hold other files only, which are no classes."""
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


def _read(
    files: Sequence[tuple[Path, int]], request: Request, skip_bad: bool
) -> tuple[list[tuple[Tensor, int]], list[Path]]:
    """Return the requested samples and the skipped files.

    With ``skip_bad`` the samples before the first requested one are read, too: otherwise skipped files would make the
    samples of a warm-up and the measured samples overlap.
    """
    samples: list[tuple[Tensor, int]] = []
    skipped: list[Path] = []
    order = request.order(len(files))
    before = request.first if skip_bad else 0
    for index in order[0 if skip_bad else request.first :]:
        if len(samples) == request.samples:
            break
        path, target = files[index]
        try:
            sample = _tensor(path, request)
        except UNREADABLE as error:
            if not skip_bad:
                raise GradlensError(
                    f"{path} cannot be read as an image ({type(error).__name__}); repair or remove it,"
                    " or skip such files with skip_bad=True"
                ) from error
            skipped.append(path)
            continue
        if before:
            before -= 1
        else:
            samples.append((sample, target))
    return samples, skipped


def _eight_bit(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey values to 8 bits, because Pillow's conversion would clip them to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image, dtype=np.int64).clip(0, 65535)
        return Image.fromarray((values // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("an image of floating-point values has no known range")
    return image.convert("RGBA") if "transparency" in image.info else image


def _tensor(path: Path, request: Request) -> Tensor:
    """Read one image ``[c, h, w]``, float32."""
    mode = MODES[request.in_chans]
    with Image.open(path) as image:
        size = (request.image_size, request.image_size)
        square = ImageOps.fit(_eight_bit(image).convert(mode), size, Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(square, dtype=np.float32) / 255.0)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    if mode == "L":
        return ((values - mean.mean()) / std.mean()).unsqueeze(0)
    return ((values - mean) / std).permute(2, 0, 1).contiguous()
