"""The tables of one network under several transition strategies, from its finished cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradlens.analyzers.duplication import common_sizes
from gradlens.comparisons.effects import Effects
from gradlens.comparisons.training import learning, losses_along, trajectory
from gradlens.comparisons.variants import Variants
from gradlens.results import Result
from gradlens.results.documents import Document
from gradlens.studies.analysis import tables_of
from gradlens.studies.cell import Subject
from gradlens.studies.cells import notes_on_boxes, skipped_images
from gradlens.studies.grid import Row
from gradlens.studies.options import Study
from gradlens.words.findings_of_strategies import finding_of_strategies
from gradlens.words.starting import started
from gradlens.words.warnings import warnings_alone, warnings_of_training


def strategy_of(network: Subject) -> str:
    """Return the transition strategy of a variant."""
    return network.spec.csp.strategy if network.spec.csp else "none"


def analyzed(rows: Sequence[Row], networks: Sequence[Subject], meta: Document, study: Study) -> Result:
    """Return the tables, the finding and the warnings of finished seeds.

    Args:
        rows: the snapshots of all variants, one row per seed.
        networks: the variants, in the same order.
        meta: how they were made; ``controls`` by label, ``state``, ``a`` and ``data_identity`` are read.
        study: the options of the measurement.
    """
    steps = [snapshot.step for snapshot in rows[0].cells[0]]
    states = {step: _at(rows, len(networks), index) for index, step in enumerate(steps)}
    sizes = common_sizes([recording for state in states.values() for recording in state.recordings])
    states = {step: replace(state, sizes=sizes) for step, state in states.items()}
    frames = {step: state.frames() for step, state in states.items()}
    last, measured = states[steps[-1]], frames[steps[-1]]
    table = last.rows(measured)
    controls = {network.label for network in networks if network.spec.csp and not network.spec.csp.gamma}
    cut = {name: frame for name, frame in measured.items() if name not in controls}
    differences = last.differences(cut)
    effects = Effects(_baseline(networks), meta["controls"])(last, measured)
    tables = {} if effects is None else {"effects": effects}
    tables |= {"strategies": table, "differences": differences}
    risen: list[str] = []
    if len(steps) > 1:
        tables["trajectory"] = trajectory(frames)
        risen = warnings_of_training(tables["trajectory"].frame)
        along = losses_along({step: state.recordings for step, state in states.items()})
        tables |= {} if along is None else {along.name: along}
    associations = learning(cut)
    if associations is not None:
        tables["learning"] = associations
    tables |= tables_of(last.recordings, study.extra, sizes=sizes)
    first = last.recordings[0]
    warnings = dict.fromkeys(text for recording in last.recordings for text in warnings_alone(recording))
    identities = meta["data_identity"]
    return Result(
        tables=tables,
        meta={**{k: v for k, v in first.meta.items() if k not in ("network", "name", "checkpoint")}, **meta},
        finding=finding_of_strategies(tables, str(meta["state"]), str(meta["a"])),
        warnings=(
            *skipped_images(identities),
            *risen,
            *notes_on_boxes(study, identities),
            *warnings,
            *started(last.recordings),
        ),
    )


def _baseline(networks: Sequence[Subject]) -> str:
    """Return the label of the unchanged network; empty if it is not among the networks."""
    return next((network.label for network in networks if strategy_of(network) == "none"), "")


def _at(rows: Sequence[Row], variants: int, index: int) -> Variants:
    """Return all variants at one snapshot, with their seeds merged."""
    recordings, scores = [], []
    for variant in range(variants):
        snapshots = [row.cells[variant][index] for row in rows]
        first, *others = (snapshot.recording for snapshot in snapshots)
        recordings.append(first.merge(*others, any_size=True))
        scores.append({r.seed: s.scores for r, s in zip(rows, snapshots, strict=True)})
    merged = recordings
    if index:  # use costs and speed of the untrained network
        fresh = [rows[0].cells[variant][0].recording for variant in range(variants)]
        merged = [
            replace(r, costs=f.costs, throughput=f.throughput) for r, f in zip(recordings, fresh, strict=True)
        ]
    return Variants(merged, scores)
