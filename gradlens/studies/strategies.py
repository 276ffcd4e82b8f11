"""One network under each transition strategy, on the same seeds and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from torch import nn

from gradlens.catalogue.datasets import DETECTION, task_of
from gradlens.catalogue.transitions import CONTROL, DEFAULT, GAMMA, PARTIAL, STEM, STRATEGIES, STRATEGY_OF
from gradlens.errors import GradlensError
from gradlens.models.spec import CspSpec, NetworkSpec, csp_specs
from gradlens.models.supplied import Network
from gradlens.models.transitions import TRANSITIONS
from gradlens.progress import Progress
from gradlens.results import Result
from gradlens.results.labels import renamed
from gradlens.studies.cell import Subject
from gradlens.studies.grid import Grid
from gradlens.studies.options import Study, Training
from gradlens.studies.partial import interrupted
from gradlens.studies.scoring import check_evaluation
from gradlens.studies.spaces import require_one
from gradlens.studies.strategy_tables import analyzed, strategy_of
from gradlens.studies.subjects import check_weights, subjects, unvaried
from gradlens.studies.supply import supplied_study

Value = TypeVar("Value", str, float)


def strategies(
    model: Network,
    *,
    strategies: Sequence[str] = DEFAULT,
    gamma: float | Sequence[float] = GAMMA,
    partial: str | Sequence[str] = PARTIAL,
    stem: str = STEM,
    controls: bool = True,
    training: Training | None = None,
    label: str = "",
    labels: Mapping[str, str] = MappingProxyType({}),
    folder: str | Path | None = None,
    progress: Progress | bool | None = None,
    **options: object,
) -> Result:
    """Measure a network under each transition strategy, and compare each pair of strategies.

    All variants see the same samples in the same order, and each seed sets the weights of all variants.

    Args:
        model: a name that ``load_model`` accepts, without a strategy, a module, or a function that builds one; these
            are converted by ``cspify``, and ``stages=`` names stages that are not found.
        strategies: keys of ``TRANSITIONS``; ``none`` is the unchanged network.
        gamma: share of channels that bypasses the block; several values make a sweep.
        partial: ``split``, ``project`` or both.
        stem: ``cifar`` for small images.
        controls: also measure the transitions of each strategy without its cut (gamma = 0), which tells the effect of
            the added layers from that of the cut (table ``effects``). Controls are no strategies: they do not count in
            the tables ``differences`` and ``learning``.
        training: also measure during and after a short training.
        label: name of the network; by default its own.
        labels: names of the strategies in tables and texts by their usual ones, such as ``{"csp": "ours"}``.
        folder: folder for finished cells; cells that are already there are used again.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` shows nothing.
        **options: fields of ``Study``.

    Raises:
        GradlensError: bad input, explained in one sentence.
        KeyboardInterrupt: interrupted before all strategies of the first seed were finished.
    """
    plan = training or Training()
    require_one(options)
    study = supplied_study(options, [model])
    check_training(study, plan)
    if study.warmup_steps:
        raise GradlensError(
            "warmup_steps works only in compare, inspect and paths; use training=Training(steps=...) here"
        )
    (base,) = subjects([model], [None], [label] if label else ())
    networks = variants(base, _listed(strategies), _listed(gamma), _listed(partial), stem)
    control_of = control_by_label(networks) if controls else {}
    networks = list(dict.fromkeys([*networks, *control_of.values()]))
    check_weights(study, networks)
    renamed([base.label, *(network.label for network in networks)], labels)
    if isinstance(model, nn.Module) and study.seeds > 1 and not plan.steps:
        unvaried(study, [base])
    grid = Grid(study, plan, networks, None if folder is None else Path(folder), progress)
    rows = grid.run()
    meta = {
        "kind": "strategies",
        "a": base.label,
        "strategies": [network.label for network in networks],
        "names": [network.name for network in networks],
        STRATEGY_OF: {network.label: strategy_of(network) for network in networks},
        "controls": {label: control.label for label, control in control_of.items()},
        "programs": {name: TRANSITIONS[name].program for name in dict.fromkeys(map(strategy_of, networks))},
        "state": f"after {plan.steps} training steps" if plan.steps else "at initialisation",
        "seeds": [row.seed for row in rows],
        "study": study.flat(),
        "training": asdict(plan),
        "data_identity": grid.identities,
    }
    result = analyzed(rows, networks, meta, study)
    result = interrupted(result, f"{len(rows)} of {study.seeds} seeds") if grid.partial else result
    return result.relabelled(labels)


def check_training(study: Study, training: Training) -> None:
    """Check that the loss of a study is one that held-out samples can be scored by.

    Raises:
        GradlensError: accuracy is requested with a step or a loss of the caller, or the average precision of a
            detector without the packages that compute it.
    """
    if not training.evaluate:
        return
    if study.supply.batches is None and task_of(study.data) == DETECTION:
        check_evaluation()
    elif study.step or study.loss:
        name = "step" if study.step else "loss"
        raise GradlensError(
            f"evaluate=True measures accuracy from logits and classes, and {name}= may have neither; leave it out"
        )


def variants(
    model: Subject,
    strategies: Sequence[str],
    gammas: Sequence[float],
    partials: Sequence[str],
    stem: str = STEM,
) -> list[Subject]:
    """Return the variants of a network, with labels that contain only what differs between them.

    Raises:
        GradlensError: the model has a strategy already, or a list is empty.
    """
    networks: dict[str, Subject] = {}
    for csp in csp_specs(strategies, gammas, partials, stem):
        sweep = [f"γ={csp.gamma}"] if len(gammas) > 1 and csp.strategy != "none" else []
        form = [csp.partial] if len(partials) > 1 and csp.strategy != "none" else []
        label = " ".join([csp.strategy, *sweep, *form]) if csp.gamma else f"{csp.strategy}, {CONTROL}"
        networks[label] = Subject(model.spec.with_strategy(csp), label, supplied=model.supplied)
    return list(networks.values())


def control_by_label(networks: Sequence[Subject]) -> dict[str, Subject]:
    """Return the transitions of each strategy without a cut, by label of the strategy.

    Strategies with the same transitions share a network, and a network of the list itself (``gamma=0``) is used again.
    """
    made: dict[str, Subject] = {}
    sharing: dict[str, list[Subject]] = {}
    for network in networks:
        csp = network.spec.csp
        program = STRATEGIES[csp.strategy].control if csp and csp.strategy in STRATEGIES else ""
        if csp and program and csp.gamma:
            sharing.setdefault(program, []).append(network)
        elif program:
            made.setdefault(program, network)
    for program, sharers in sharing.items():
        made.setdefault(program, _control(sharers))
    return {network.label: made[program] for program, sharers in sharing.items() for network in sharers}


def _control(sharers: Sequence[Subject]) -> Subject:
    """Return the network with the transitions that strategies share, and no cut."""
    first = sharers[0].spec
    names = "/".join(dict.fromkeys(map(strategy_of, sharers)))
    csp = CspSpec(strategy_of(sharers[0]), 0, PARTIAL, first.csp.stem if first.csp else STEM)
    return Subject(NetworkSpec(first.base, csp), f"{names}, {CONTROL}", supplied=sharers[0].supplied)


def _listed(value: Value | Sequence[Value]) -> list[Value]:
    return [value] if isinstance(value, (str, int, float)) else list(value)
