"""The options of a study and of its training. No torch, because the command line needs them for its help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from gradlens.catalogue import TABLES
from gradlens.catalogue.datasets import defaults_of
from gradlens.errors import GradlensError
from gradlens.options import (
    EXTRAS,
    SAMPLES,
    STARTING,
    TRAINING,
    ZERO_INIT,
    build,
    check,
    check_names,
    documented,
    option,
    options_of,
)
from gradlens.recording import Watch
from gradlens.studies.objects import NO_SUPPLY, Supply

BOTH = "both"
"""Value of ``space`` that requests one measurement per space."""

FUNCTIONS = ("step", "loss")
"""Options that are functions of the caller, or name one in a file."""
SCHEDULES = ("cosine", "constant")

WATCHED = tuple(name for name, declared in options_of(Watch).items() if declared.group)
"""Options of ``Watch`` that a study accepts; it sets the other options itself."""


@documented
@dataclass(frozen=True)
class Study:
    """How each network is measured: the options of ``compare``, ``inspect``, ``paths`` and ``strategies``.

    The attribute ``watch`` holds the options of the capture, ``supply`` the functions and batches of the caller. In
    Python, ``data`` may be batches in any iterable, for example a ``DataLoader``, of which the first ``batches`` are
    measured and the others are left for warm-up and training; ``batches`` may be such an iterable itself, of which all
    are measured. Each seed sees the same batches, unless the loader shuffles. ``step`` and ``loss`` may be functions,
    ``stages`` a list; ``samples`` is the number of samples per batch if a batch does not show it, and ``reduction``
    is ``sum`` if the loss is a sum over the samples.

    Raises:
        GradlensError: a value is not allowed.
    """

    data: str = option(
        "digits",
        "digits (bundled), random (noise), scenes (several digits with boxes, for detectors), coco:FILE.json (a COCO "
        "file of boxes), clips (moving digits), motion (two images and the motion between them, for optical flow), or "
        "a folder with one folder of images per class.",
        group=SAMPLES,
        metavar="NAME|DIR",
    )
    image_size: int = option(64, "Height and width of the images in pixels.", group=SAMPLES, least=1)
    batch_size: int = option(32, "Samples per batch; at least 4.", group=SAMPLES, least=4)
    batches: int = option(4, "Batches that are measured for each seed.", group=SAMPLES, least=1)
    input: str = option(
        "",
        "Inputs of another form than images: random tokens with class targets.",
        group=SAMPLES,
        metavar="tokens:length=32,vocabulary=100",
    )
    step: str = option(
        "",
        "Function of (model, batch) that returns the loss, or several by name, for networks with several inputs or "
        "outputs; the file is RUN.",
        group=SAMPLES,
        metavar="FILE.py:FN",
    )
    loss: str = option(
        "",
        "Function of (output, target) that returns the loss, instead of cross entropy; the file is RUN.",
        group=SAMPLES,
        metavar="FILE.py:FN",
    )
    num_classes: int = option(
        0,
        "Classes of the networks' heads; 0 takes those of the checkpoint, else those of the data.",
        group=SAMPLES,
        least=0,
    )
    stages: str = option(
        "",
        "Module paths of the stages that a transition strategy cuts, such as body.0,body.1; needed for networks whose "
        "stages are not found.",
        group=SAMPLES,
        metavar="LIST",
    )
    seeds: int = option(
        3,
        "Number of seeds; each sets fresh weights and the choice of samples, and intervals are over the seeds.",
        group=SAMPLES,
        least=1,
    )
    watch: Watch = field(default_factory=Watch)
    warmup_steps: int = option(
        0, "Steps of SGD, on other batches, before measuring.", group=STARTING, least=0
    )
    warmup_loss: float = option(
        0.0,
        "End the warm-up when the training loss, its mean over five steps, has fallen to this; then networks are "
        "compared at the same loss. warmup_steps is the largest number of steps; 0 takes them all.",
        group=STARTING,
        least=0,
    )
    zero_init: bool = option(
        ZERO_INIT,
        "Keep gains (often of the last normalisation of a block) that the library initialises with zero; otherwise "
        "they are set to one, so that every layer is live. Loaded weights are never changed.",
        off="Set gains that the library initialises with zero to one.",
        group=STARTING,
    )
    pretrained: bool = option(False, "Load the pretrained weights of timm or torchvision.", group=STARTING)
    skip_bad: bool = option(False, "Skip images that cannot be read.", group=SAMPLES)
    throughput: bool = option(
        True, "Time the network on the first seed.", off="Do not time the network.", group=EXTRAS
    )
    null: bool = option(
        False,
        "Also compute duplication after shuffling samples (permutation null), and the similarity of two halves of "
        "each signal.",
        group=EXTRAS,
    )
    cca: bool = option(False, "Also SVCCA and PWCCA of each pair of signals.", group=EXTRAS)
    supply: Supply = NO_SUPPLY

    def __post_init__(self) -> None:
        check(self)
        if self.step and self.loss:
            raise GradlensError("give either loss= or step=, not both: a step computes its own loss")
        if self.warmup_loss and not self.warmup_steps:
            raise GradlensError(
                "warmup_loss ends a warm-up early; also give its largest number of steps, for example warmup_steps=500"
            )

    @property
    def extra(self) -> list[str]:
        """Names of the requested extra tables."""
        return [entry.name for entry in TABLES if entry.option and getattr(self, entry.option)]

    def flat(self) -> dict[str, object]:
        """Return all options by name, as results and finished cells store them; objects by their description."""
        return {name: getattr(self.watch if name in WATCHED else self, name) for name in NAMES}


def _flat_names() -> tuple[str, ...]:
    names: list[str] = []
    for entry in fields(Study):
        if entry.name != "supply":
            names += WATCHED if entry.name == "watch" else (entry.name,)
    return tuple(names)


NAMES = _flat_names()
"""Options of a study, including those of its ``Watch``."""


def with_defaults(options: Mapping[str, object]) -> dict[str, object]:
    """Return options without those that are None, and with the defaults that depend on the data.

    >>> with_defaults({"data": "scenes", "image_size": None, "batch_size": 4})
    {'image_size': 96, 'batch_size': 4, 'data': 'scenes'}
    """
    data, chosen = options.get("data"), {name: value for name, value in options.items() if value is not None}
    return {**(defaults_of(data) if isinstance(data, str) else {}), **chosen}


def study_of(options: Mapping[str, object]) -> Study:
    """Make a study from options by name.

    Raises:
        GradlensError: an option is not known, or its value is not allowed.
    """
    options = with_defaults(options)
    check_names(options, NAMES)
    watch = build(Watch, {name: value for name, value in options.items() if name in WATCHED})
    return build(Study, {**{k: v for k, v in options.items() if k not in WATCHED}, "watch": watch})


@documented
@dataclass(frozen=True)
class Training:
    """How a network is trained between two measurements.

    Raises:
        GradlensError: a value is not allowed.
    """

    steps: int = option(
        0,
        "Also measure during and after this many steps of SGD, on samples that are not measured.",
        group=TRAINING,
        flag="train-steps",
        least=0,
    )
    lr: float = option(0.02, "Learning rate of the first step.", group=TRAINING, least=0)
    momentum: float = option(0.9, "Momentum of SGD.", group=TRAINING, least=0, most=1)
    weight_decay: float = option(5e-4, "Weight decay of SGD.", group=TRAINING, least=0)
    schedule: str = option(
        "cosine",
        "Learning rate over the steps: cosine decay to 0 (Loshchilov & Hutter 2017), or constant.",
        group=TRAINING,
        choices=SCHEDULES,
    )
    snapshots: int = option(
        4, "Number of measurements after the first, evenly spaced over the training.", group=TRAINING, least=1
    )
    evaluate: bool = option(
        False, "Also measure loss and accuracy on held-out samples.", group=TRAINING, flag="eval"
    )

    def __post_init__(self) -> None:
        check(self)
        if self.evaluate and not self.steps:
            raise GradlensError(
                "held-out accuracy of an untrained network has no meaning; also train it, for example with steps=200"
            )

    def stops(self) -> list[int]:
        """Steps after which the network is measured, 0 and the last included."""
        return sorted({round(self.steps * index / self.snapshots) for index in range(self.snapshots + 1)})

    def rate(self, step: int) -> float:
        """Learning rate of a step; the first step is 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2
