"""One network under each transition strategy, on the same seeds and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gradlens.comparisons.training import learning, trajectory
from gradlens.comparisons.variants import Variants
from gradlens.errors import GradlensError
from gradlens.models.spec import CspSpec, split_name
from gradlens.progress import Progress
from gradlens.results import Result
from gradlens.studies.cells import Subject, skipped_images
from gradlens.studies.grid import Grid, Row
from gradlens.studies.spaces import require_one
from gradlens.studies.studies import study_of, tables_of
from gradlens.studies.training import Training
from gradlens.words.findings_of_strategies import finding_of_strategies
from gradlens.words.warnings import warnings_alone

DEFAULT = ("none", "fusion_first", "fusion_last", "csp")


def strategies(
    model: str,
    *,
    strategies: Sequence[str] = DEFAULT,
    gamma: float | Sequence[float] = 0.5,
    partial: str | Sequence[str] = "split",
    stem: str = "",
    training: Training | None = None,
    folder: str | Path | None = None,
    progress: Progress | bool | None = None,
    **options: Any,
) -> Result:
    """Measure a network under each transition strategy, and every two of them against each other.

    All variants see the same samples in the same order; a seed sets the weights of all.

    Args:
        model: a name that ``load_model`` takes, without a strategy.
        strategies: from ``TRANSITIONS``; ``none`` is the network as it is.
        gamma: share of channels that goes round the block; several make a sweep.
        partial: ``split``, ``project`` or both.
        stem: ``cifar`` for small images.
        training: measure after and along a short training instead of the fresh network alone.
        folder: keep finished cells here, and take those that are here already.
        progress: called with (what, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before every strategy of the first seed was finished.
    """
    if not isinstance(model, str):
        raise GradlensError(f"a {type(model).__name__} is no name; give one such as 'resnet50'")
    chosen = _listed(strategies)
    plan = training or Training()
    study = study_of({"zero_init": False, **options})
    require_one(study.space)
    if study.warmup_steps:
        raise GradlensError("warmup_steps is for compare and inspect; give training=Training(steps=...) here")
    named = variants(model, chosen, _listed(gamma), _listed(partial), stem)
    grid = Grid(study, plan, named, None if folder is None else Path(folder), progress)
    rows = grid.run()
    meta = {
        "kind": "strategies",
        "a": model,
        "strategies": [variant.label for variant in named],
        "names": [variant.name for variant in named],
        "state": f"after {plan.steps} training steps" if plan.steps else "at initialisation",
        "seeds": [row.seed for row in rows],
        "study": asdict(study),
        "training": asdict(plan),
        "data_identity": grid.identities,
    }
    return _analyzed(rows, named, meta | ({"partial": True} if grid.partial else {}), study.extra)


def variants(
    model: str, strategies: Sequence[str], gammas: Sequence[float], partials: Sequence[str], stem: str = ""
) -> list[Subject]:
    """The networks of a study: their names, and labels that say only what differs between them.

    Raises:
        GradlensError: the model has a strategy already, or there are fewer than one.
    """
    base, given = split_name(model)
    if given is not None:
        raise GradlensError(f"{model!r} has a strategy already; give {base!r} and choose with --strategies")
    for name, given_list in (("gamma", gammas), ("partial", partials)):
        if not given_list:
            raise GradlensError(f"no {name} is given; leave it out, or name at least one")
    found: dict[str, Subject] = {}
    for strategy in dict.fromkeys(strategies):
        for gamma in gammas if strategy != "none" else (0.5,):
            for partial in partials if strategy != "none" else ("split",):
                name = f"{base}@{CspSpec(strategy, gamma, partial, stem)}"
                split_name(name)
                sweep = [f"γ={gamma}"] if len(gammas) > 1 and strategy != "none" else []
                form = [partial] if len(partials) > 1 and strategy != "none" else []
                label = " ".join([strategy, *sweep, *form])
                found[label] = Subject(name, label)
    if not found:
        raise GradlensError("no strategies are given; name at least one")
    return list(found.values())


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, (str, int, float)) else list(value)


def _analyzed(
    rows: Sequence[Row], named: Sequence[Subject], meta: dict[str, Any], extra: Sequence[str]
) -> Result:
    steps = [snapshot.step for snapshot in rows[0].cells[0]]
    states = {step: _at(rows, len(named), place) for place, step in enumerate(steps)}
    frames = {step: state.frames() for step, state in states.items()}
    last, measured = states[steps[-1]], frames[steps[-1]]
    table = last.rows(measured)
    differences = last.differences(measured)
    found = {"strategies": table, "differences": differences}
    if len(steps) > 1:
        found["trajectory"] = trajectory(frames)
    told = learning(measured)
    if told is not None:
        found["learning"] = told
    found |= tables_of(last.recordings, extra)
    first = last.recordings[0]
    warnings = dict.fromkeys(text for recording in last.recordings for text in warnings_alone(recording))
    return Result(
        tables=found,
        meta={**{k: v for k, v in first.meta.items() if k not in ("network", "name", "checkpoint")}, **meta},
        finding=finding_of_strategies(table, differences, told, str(meta["state"]), str(meta["a"])),
        warnings=(*skipped_images(meta["data_identity"]), *warnings),
    )


def _at(rows: Sequence[Row], variants: int, place: int) -> Variants:
    """All variants at one snapshot, their seeds merged."""
    recordings, scores = [], []
    for variant in range(variants):
        snapshots = [row.cells[variant][place] for row in rows]
        first, *others = (snapshot.recording for snapshot in snapshots)
        recordings.append(first.merge(*others))
        scores.append({r.seed: (s.loss, s.accuracy) for r, s in zip(rows, snapshots, strict=True)})
    merged = recordings
    if place:  # costs and speed are those of the fresh network
        fresh = [rows[0].cells[variant][0].recording for variant in range(variants)]
        merged = [
            replace(r, costs=f.costs, throughput=f.throughput) for r, f in zip(recordings, fresh, strict=True)
        ]
    return Variants(merged, scores)
