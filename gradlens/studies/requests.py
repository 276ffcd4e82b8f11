"""Check a request before torch is loaded, so that a typo is answered at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from gradlens.models.checking import check_network, check_task
from gradlens.models.files import check_function
from gradlens.models.spec import NetworkSpec, csp_specs
from gradlens.studies.options import BOTH, FUNCTIONS, Study, study_of

if TYPE_CHECKING:
    from gradlens.data.request import Request


def check_request(
    models: Sequence[str], checkpoints: Sequence[str | Path | None], options: Mapping[str, object]
) -> None:
    """Check the numbers, the names, the files and the data of a study, without loading a library.

    Args:
        models: names of all networks.
        checkpoints: file of weights or None per network; may be shorter.
        options: options of the study by name.

    Raises:
        GradlensError: bad input, in one sentence.
    """
    from gradlens.data.checks import check_input, check_samples  # numpy and Pillow, which help does not need

    both = options.get("space") == BOTH
    study = study_of({name: value for name, value in options.items() if not (both and name == "space")})
    networks = [NetworkSpec.parse(model) for model in models]
    for network, checkpoint in zip_longest(networks, checkpoints):
        check_network(network, checkpoint, study.pretrained)
        if not (study.step or study.loss):
            check_task(network, study.data)
    for name in FUNCTIONS:
        if getattr(study, name):
            check_function(getattr(study, name), name)
    if study.input:
        check_input(study.input, study.data)
    else:
        check_samples(study.data, [_request(study, seed) for seed in range(study.seeds)], study.skip_bad)


def check_variants(
    model: str,
    strategies: Sequence[str],
    gammas: Sequence[float],
    partials: Sequence[str],
    stem: str,
    options: Mapping[str, object],
) -> None:
    """Check a study of transition strategies, without loading a library; the parameters are those of ``variants``.

    Raises:
        GradlensError: bad input, in one sentence.
    """
    network = NetworkSpec.parse(model)
    for csp in csp_specs(strategies, gammas, partials, stem):
        network.with_strategy(csp)
    check_request([model], [], options)


def _request(study: Study, seed: int) -> Request:
    """Return the samples of a seed, in colour."""
    from gradlens.data.request import CLASSES, Request

    classes = study.num_classes or CLASSES
    return Request(study.batch_size, study.batches, 0, study.image_size, 3, seed, classes, study.data)
