"""Check a request before torch is loaded, so that a typo is answered at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from gradlens.catalogue.datasets import check_data
from gradlens.models.files import check_network
from gradlens.models.spec import NetworkSpec, csp_specs
from gradlens.studies.options import BOTH, study_of


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
    both = options.get("space") == BOTH
    study = study_of({name: value for name, value in options.items() if not (both and name == "space")})
    networks = [NetworkSpec.parse(model) for model in models]
    for network, checkpoint in zip_longest(networks, checkpoints):
        check_network(network, checkpoint, study.pretrained)
    if not study.input:
        check_data(study.data)


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
