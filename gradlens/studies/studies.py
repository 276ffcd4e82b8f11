"""Studies of networks by name, of modules and of factories: build models, load data, capture, analyze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from gradlens.errors import GradlensError
from gradlens.models.supplied import Network
from gradlens.progress import Progress
from gradlens.results import Result
from gradlens.studies.analysis import analyze, analyze_pair, analyze_paths, analyze_several
from gradlens.studies.cell import Subject, Weights
from gradlens.studies.cells import Cells
from gradlens.studies.options import BOTH, Study
from gradlens.studies.partial import interrupted, without
from gradlens.studies.spaces import in_both, require_one
from gradlens.studies.subjects import Labels, check_weights, subjects
from gradlens.studies.supply import supplied_study


def inspect(
    model: Network,
    *,
    checkpoint: Weights = None,
    label: str = "",
    progress: Progress | bool | None = None,
    **options: object,
) -> Result:
    """Measure one network, on real samples.

    Args:
        model: a model name for ``load_model``, a module, or a function that builds one (see ``compare``).
        checkpoint: a file of weights to load.
        label: name of the network in tables; by default its own.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``; ``space="both"`` measures once per space.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    if options.get("space") == BOTH:
        return in_both(
            partial(inspect, model, checkpoint=checkpoint, label=label, progress=progress), options
        )
    study, networks = _prepared(options, [model], [checkpoint], [label] if label else ())
    cells = Cells(study, networks, progress)
    (recording,) = cells.run()
    left_out: list[str] = []
    result = analyze(recording, extra=study.extra, progress=False, left_out=left_out)
    return _complete(result, cells, left_out)


def paths(
    model: Network,
    *,
    checkpoint: Weights = None,
    label: str = "",
    progress: Progress | bool | None = None,
    **options: object,
) -> Result:
    """Count the gradient's paths through one network, weighted by the energy on real samples.

    Args:
        model: a model name for ``load_model``, a module, or a function that builds one (see ``compare``).
        checkpoint: a file of weights to load.
        label: name of the network in tables; by default its own.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    require_one(options)
    without_speed = {"throughput": False, **options}
    study, networks = _prepared(without_speed, [model], [checkpoint], [label] if label else ())
    cells = Cells(study, networks, progress)
    (recording,) = cells.run()
    return _complete(analyze_paths(recording), cells)


def compare(
    a: Network,
    b: Network,
    *others: Network,
    checkpoint: Sequence[Weights] = (),
    labels: Labels = (),
    progress: Progress | bool | None = None,
    **options: object,
) -> Result:
    """Compare networks on the same samples in the same order; each is compared with the first.

    A network is a name for ``load_model``, a module, or a function that builds one. A function is called for each seed
    after all generators are seeded, so intervals are over seeds, and differences are paired; it gets the seed as its
    parameter ``seed``, or as its one parameter without a default. A module is measured as it is and left unchanged;
    then the default is one seed, and the interval is that of the jackknife over batches.

    Args:
        a: the reference.
        b: the network to compare.
        *others: further networks.
        checkpoint: one file of weights or None per network, in the same order; empty for no files.
        labels: names of the networks in tables and texts: one per network, or by name for some of them
            (``{"resnet50": "ours"}``); by default the names of models, classes or functions.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``; ``space="both"`` measures once per space.

    Returns:
        A result whose first table is ``comparison`` for two networks; for more, ``networks`` and ``contrasts``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before all networks had finished a batch.
    """
    if options.get("space") == BOTH:
        return in_both(
            partial(compare, a, b, *others, checkpoint=checkpoint, labels=labels, progress=progress), options
        )
    count = 2 + len(others)
    checkpoints = list(checkpoint) or [None] * count
    if len(checkpoints) != count:
        raise GradlensError(
            f"{len(checkpoints)} checkpoints for {count} networks; give one for each, or None for initial weights"
        )
    study, networks = _prepared(options, [a, b, *others], checkpoints, labels)
    cells = Cells(study, networks, progress)
    recordings = cells.run()
    first, second, *more = recordings
    left_out: list[str] = []
    result = (
        analyze_several(recordings, study.extra, left_out)
        if more
        else analyze_pair(first, second, study.extra, left_out)
    )
    complete = _complete(result, cells, left_out).warned(_controls_of(networks))
    return complete.relabelled(labels) if isinstance(labels, Mapping) else complete


def _prepared(
    options: Mapping[str, object],
    networks: Sequence[Network],
    checkpoints: Sequence[Weights],
    labels: Labels,
) -> tuple[Study, list[Subject]]:
    study = supplied_study(options, networks)
    listed = subjects(networks, checkpoints, labels)
    check_weights(study, listed)
    return study, listed


def _controls_of(networks: Sequence[Subject]) -> list[str]:
    """Return which controls exist for networks that are compared with their own baseline, unless they are named."""
    specs = [network.spec for network in networks if network.supplied is None]
    baselines = {spec.base for spec in specs if not spec.changes}
    controls = {spec: spec.control for spec in specs if spec.base in baselines}
    return [
        f"{spec} differs from its baseline by added transitions as well as by the cut: {control} has the transitions "
        "without the cut; compare it too to tell the two effects apart (a baseline as cheap is "
        f"{spec.narrowed})"
        for spec, control in controls.items()
        if control is not None and control not in specs
    ]


def _complete(result: Result, cells: Cells, left_out: Sequence[str] = ()) -> Result:
    """Add the options, and the identity of the data with its warnings, to a result."""
    finished = [cells.finished] * cells.partial + [without(left_out)] * bool(left_out)
    if finished:
        result = interrupted(result, ", ".join(finished))
    return result.with_meta(**cells.meta, study=cells.study.flat()).warned(cells.warnings)
