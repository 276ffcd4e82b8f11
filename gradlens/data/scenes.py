"""Scenes composed of scikit-learn's digits: several digits on a textured canvas, with boxes, labels and masks.

Each digit of the data set is used in at most one scene of a seed, so the digits of different scenes are disjoint: a
network that is trained on some batches and scored on others has not seen the digits of the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gradlens.catalogue.datasets import DATASETS, DETECTION
from gradlens.data.digits import handwritten
from gradlens.data.forms import Scenes
from gradlens.data.request import Request
from gradlens.data.samples import Samples

Array = NDArray[np.float32]
NAME = "scenes"
COUNTS = (1, 2, 3, 4)
"""Digits of a scene; each occurs once in a block of four scenes."""
TALLEST, SHORTEST = 0.5, 0.2
"""Height of a digit, as shares of the shorter side of the image."""
LEAST_HEIGHT = 6
"""Height in pixels below which a digit that does not fit is left out."""
NARROWER = 0.75
"""Least height or width of an image with mixed sizes, as a share of the requested one."""
OCTAVES = (2, 4, 8, 16, 32)
"""Cells along a side of the canvas in each layer of its texture."""
DARK, BRIGHT = (0.1, 0.5), (0.7, 1.0)
"""Range of the canvas and of the ink."""
INK = 0.5
"""Share of ink from which a pixel belongs to a digit."""
NOISE = 0.02
"""Standard deviation of the noise of a pixel."""


class Digit(NamedTuple):
    """A digit, cut to its ink.

    Attributes:
        ink: ``[h, w]`` in [0, 1].
        label: from 1 (the digit 0) to 10.
    """

    ink: Array
    label: int


def scene_samples(request: Request) -> Samples:
    """Return scenes ``[c, h, w]`` in [0, 1], and targets as torchvision's detectors take them.

    A target has ``boxes`` ``[k, 4]`` float32, the corners (x, y, x, y) in pixels of the box that is tight around the
    ink; ``labels`` ``[k]`` int64 from 1 to 10; ``masks`` ``[k, h, w]`` uint8. Digits do not overlap.

    Source of the digits: E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI.

    Raises:
        GradlensError: more scenes are requested than exist, the images are too small, or an option is not known.
    """
    form, entry = Scenes.parse(request.data), DATASETS[NAME]
    request.require_size(entry.least, NAME)
    request.require(entry.size or 0, f"{NAME} has {entry.size} samples")
    digits = _digits()
    order = request.order(len(digits))
    images: list[Tensor] = []
    targets: list[dict[str, Tensor]] = []
    for index in range(request.first, request.first + request.samples):
        members = [digits[order[position]] for position in _members(request.seed, index)]
        random = np.random.default_rng([request.seed, index])
        shape = (request.in_chans, *_size(form, request.image_size, random))
        image, target = scene(members, shape, random)
        images.append(image)
        targets.append(target)
    return Samples(images, targets, tuple(map(str, range(10))), entry.size, task=DETECTION)


def scene(
    digits: Sequence[Digit], shape: tuple[int, int, int], random: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return one image ``[c, h, w]`` with digits of random height, place and colour, and its target."""
    image = _canvas(shape, random)
    occupied = np.zeros(shape[1:], bool)
    masks, labels = [], []
    for digit, ink, (top, left) in _placed(digits, occupied, random):
        rows, columns = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
        colour = random.uniform(*BRIGHT, size=(shape[0], 1, 1)).astype(np.float32)
        image[:, rows, columns] += (colour - image[:, rows, columns]) * ink
        mask = np.zeros(shape[1:], np.uint8)
        mask[rows, columns] = ink >= INK
        masks.append(mask)
        labels.append(digit.label)
    image += NOISE * random.standard_normal(shape, dtype=np.float32)
    target = {
        "boxes": torch.tensor([_box(mask) for mask in masks], dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(np.stack(masks)),
    }
    return torch.from_numpy(image.clip(0, 1)), target


def _digits() -> list[Digit]:
    images, labels = handwritten()
    digits = []
    for image, label in zip(images.astype(np.float32) / 16, labels, strict=True):
        rows, columns = np.flatnonzero((image >= INK).any(1)), np.flatnonzero((image >= INK).any(0))
        ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        digits.append(Digit(ink, int(label) + 1))
    return digits


def _members(seed: int, index: int) -> range:
    """Return the positions of the digits of a scene in the order of the seed."""
    block, number = divmod(index, len(COUNTS))
    counts = np.random.default_rng([seed, block, 1]).permutation(COUNTS).tolist()
    first = block * sum(COUNTS) + sum(counts[:number])
    return range(first, first + counts[number])


def _size(form: Scenes, side: int, random: np.random.Generator) -> tuple[int, int]:
    """Return height and width of an image."""
    if form.sizes == "equal":
        return side, side
    least = max(DATASETS[NAME].least, round(NARROWER * side))
    height, width = random.integers(least, side, size=2, endpoint=True).tolist()
    return height, width


def _canvas(shape: tuple[int, int, int], random: np.random.Generator) -> Array:
    """Return a dark texture ``[c, h, w]``: noise of several scales, the finer the fainter."""
    texture = np.zeros(shape, np.float32)
    for cells in OCTAVES:
        for channel in texture:
            channel += _resized(random.random((cells, cells), np.float32), shape[1:]) / cells**0.5
    low, high = float(texture.min()), float(texture.max())
    return DARK[0] + (DARK[1] - DARK[0]) * (texture - low) / (high - low)


def _placed(
    digits: Sequence[Digit], occupied: NDArray[np.bool_], random: np.random.Generator
) -> Iterator[tuple[Digit, Array, tuple[int, int]]]:
    """Yield digits with their ink at its size, and its upper left corner; no two overlap.

    A digit that fits nowhere is made smaller, and left out if it cannot be; the first always fits.
    """
    side = min(occupied.shape)
    for digit in digits:
        height = round(side * float(np.exp(random.uniform(np.log(SHORTEST), np.log(TALLEST)))))
        while height >= LEAST_HEIGHT:
            ink = _enlarged(digit.ink, height)
            corners = _free(occupied, ink.shape)
            if len(corners):
                top, left = map(int, corners[random.integers(len(corners))])
                occupied[top : top + ink.shape[0], left : left + ink.shape[1]] = True
                yield digit, ink, (top, left)
                break
            height = int(0.8 * height)


def _enlarged(ink: Array, height: int) -> Array:
    """Return ink of a height, cut to the pixels that belong to the digit."""
    width = max(3, round(height * ink.shape[1] / ink.shape[0]))
    larger = _resized(ink, (height, width))
    rows, columns = np.flatnonzero((larger >= INK).any(1)), np.flatnonzero((larger >= INK).any(0))
    return larger[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free(occupied: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the upper left corners ``[places, 2]`` of the free rectangles of a size."""
    height, width = size
    sums = np.pad(occupied.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    taken = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    return np.argwhere(taken == 0)


def _resized(grey: Array, size: tuple[int, ...]) -> Array:
    height, width = size
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))


def _box(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the corners (x, y, x, y) of the box that is tight around a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
