"""Check the data of a study before torch is loaded: do its samples exist, can they be read, do they fit into memory?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from gradlens.catalogue.datasets import COCO, DATASETS, DETECTION, check_data, data_set
from gradlens.data.coco import is_coco, read_coco
from gradlens.data.forms import Scenes
from gradlens.data.images import UNREADABLE, eight_bit, image_classes, unreadable
from gradlens.data.request import Request
from gradlens.data.tokens import FORM, TOKENS, Tokens, is_tokens
from gradlens.errors import GradlensError, close_matches
from gradlens.memory import free_bytes
from gradlens.numbers import scaled

SECONDS = 0.7
"""Processor time after which the files that are left are not read in advance."""
COPIES = 2
"""Copies of all images that loading them needs at once."""
ELEMENT = 4
"""Bytes of a float32."""


def check_samples(name: str, requests: Sequence[Request], skip_bad: bool = False) -> None:
    """Check that the requested samples exist and fit into memory, and read their files in advance for a short time.

    Args:
        name: of a data set, a folder, or tokens.
        requests: the samples of each seed.
        skip_bad: files that cannot be read are skipped.

    Raises:
        GradlensError: bad input, in one sentence.
    """
    if is_tokens(name):
        Tokens.parse(name)
        return
    if is_coco(name):
        coco = read_coco(name)
        for request in requests:
            request.require(len(coco.pictures), f"{coco.file} has {len(coco.pictures)} images")
        _check_memory(requests)
        if not skip_bad:
            _check_readable([picture.path for picture in coco.pictures], requests)
        return
    check_data(name, others=[TOKENS, COCO])
    known = data_set(name)
    if not known:
        classes, _ = image_classes(Path(name))
        files = [path for paths in classes.values() for path in paths]
        if len(classes) < 2:
            raise single_class(name)
        for request in requests:
            request.require(len(files), f"{name} has {len(files)} images")
        _check_memory(requests)
        if not skip_bad:
            _check_readable(files, requests)
        return
    _check_data_set(known, requests)
    _check_memory(requests)


def _check_data_set(name: str, requests: Iterable[Request]) -> None:
    entry = DATASETS[name]
    for request in requests:
        if entry.task == DETECTION:
            Scenes.parse(request.data)
        request.require_size(entry.least, name)
        if entry.size is not None:
            request.require(entry.size, f"{name} has {entry.size} samples")


def check_input(text: str, data: str) -> None:
    """Check a description of random inputs of another form than images, and that no other data is named.

    Raises:
        GradlensError: the form is not known, or data is named too.
    """
    if data not in (next(iter(DATASETS)), "random"):
        raise GradlensError("input= makes random inputs; leave out data=, or leave out input=")
    if not is_tokens(text):
        kind = text.partition(":")[0]
        raise GradlensError(f"input={text!r} is not known; give input={FORM}{close_matches(kind, [TOKENS])}")
    Tokens.parse(text)


def single_class(name: str) -> GradlensError:
    """Return the error for data of one class."""
    return GradlensError(
        f"{name} has one class, so the cross entropy is 0 and there is no gradient; use two or more classes"
    )


def too_large(request: Request, needed: str = "") -> GradlensError:
    """Return the error for images that do not fit into memory."""
    size = f"{request.image_size} x {request.image_size}"
    return GradlensError(
        f"{request.samples} images of {size} do not fit into memory{needed}; use a smaller image_size= or batch_size="
    )


def in_bytes(size: float) -> str:
    r"""Return an amount of memory as text.

    >>> in_bytes(3 * 2**30)
    '3.00\u202fGiB'
    """
    return scaled(float(size), 1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _check_memory(requests: Iterable[Request]) -> None:
    free = free_bytes()
    if free is None:
        return
    for request in requests:
        needed = COPIES * ELEMENT * request.samples * request.in_chans * request.image_size**2
        if needed > free:
            raise too_large(request, f" ({in_bytes(needed)} are needed, {in_bytes(free)} are free)")


def _check_readable(files: Sequence[Path], requests: Iterable[Request]) -> None:
    """Read the requested files in order, small where the format can be read so; the others are read with the data."""
    end = time.process_time() + SECONDS
    for request in requests:
        for index in request.order(len(files))[request.first : request.first + request.samples]:
            if time.process_time() > end:
                return
            try:
                with Image.open(files[index]) as image:
                    image.draft("RGB", (32, 32))
                    eight_bit(image)
                    image.load()
            except UNREADABLE as error:
                raise unreadable(files[index], error) from error
