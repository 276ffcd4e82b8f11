"""Loading of batches by the name of a data set or the path of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from gradlens.catalogue.datasets import COCO, check_data, data_set
from gradlens.catalogue.datasets import DATASETS as NAMED
from gradlens.catalogue.named import named
from gradlens.data.batches import Batches, fingerprint
from gradlens.data.checks import too_large
from gradlens.data.coco import is_coco
from gradlens.data.coco_samples import coco_samples
from gradlens.data.folder import folder_samples
from gradlens.data.noise import token_samples
from gradlens.data.request import CLASSES, Request
from gradlens.data.samples import Samples
from gradlens.data.tokens import TOKENS, Tokens, is_tokens

Reader = Callable[[Request], Samples]
DATASETS = {name: cast(Reader, named(entry.reader)) for name, entry in NAMED.items()}
"""Readers by the name of the data set; a program may add its own."""


def load_data(
    name: str,
    *,
    batch_size: int = 32,
    batches: int = 4,
    image_size: int = 64,
    seed: int = 0,
    skip_bad: bool = False,
    start: int = 0,
    in_chans: int = 3,
    num_classes: int = 0,
) -> Batches:
    """Return batches of a seeded selection of samples; equal arguments return equal tensors.

    Args:
        name: ``digits``, ``random``, the path of a folder with one folder of images per class, random tokens with
            class targets: ``tokens:length=32,vocabulary=100``, or ``scenes`` of several digits for detectors, with
            ``scenes:sizes=mixed`` of different sizes, or a COCO file of boxes: ``coco:annotations.json,images=DIR``.
        batch_size: samples ``n`` per batch, at least 4.
        batches: number of batches.
        image_size: height and width in pixels.
        seed: determines the order of the samples; the global random state is neither used nor changed.
        skip_bad: skip images that cannot be read (``identity["skipped"]`` names them).
        start: number of batches to skip at the start of the order, such as those of a warm-up.
        in_chans: channels; image files have 1 or 3.
        num_classes: classes of the targets of random data; 0 for 10.

    Raises:
        GradlensError: no such data exists, it is too small, an image cannot be read, or a number is out of range.
    """
    classes = num_classes or CLASSES
    request = Request(batch_size, batches, start, image_size, in_chans, seed, classes, name)
    try:
        samples = _samples(name, request, skip_bad)
    except (MemoryError, RuntimeError) as error:
        if "memory" not in str(error) and not isinstance(error, MemoryError):
            raise
        raise too_large(request) from error
    items = samples.batches(batch_size)
    identity = {
        "name": name,
        "seed": seed,
        "samples": request.samples,
        "batches": batches,
        "batch_size": batch_size,
        "start": start,
        "total": samples.total,
        "classes": len(samples.class_names),
        "sha256": fingerprint(items),
        "skipped": list(samples.skipped),
        **({"left_out": dict(samples.left_out)} if samples.left_out else {}),
    }
    described = str(Tokens.parse(name, request.num_classes)) if is_tokens(name) else ""
    return Batches(
        items,
        len(samples.class_names),
        samples.class_names,
        in_chans,
        image_size,
        identity,
        described,
        samples.task,
    )


def _samples(name: str, request: Request, skip_bad: bool) -> Samples:
    if data_set(name, DATASETS):
        return DATASETS[data_set(name, DATASETS)](request)
    if is_coco(name):
        return coco_samples(request, skip_bad)
    if is_tokens(name):
        return token_samples(Tokens.parse(name, request.num_classes), request)
    check_data(name, DATASETS, [TOKENS, COCO])
    return folder_samples(Path(name), request, skip_bad)
