"""Studies of networks by name: load models and data, capture, analyze."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gradlens.errors import GradlensError
from gradlens.models.spec import NetworkSpec
from gradlens.progress import Progress
from gradlens.results import Result
from gradlens.studies.analysis import analyze, analyze_pair, analyze_paths, analyze_several
from gradlens.studies.cell import Weights
from gradlens.studies.cells import Cells, subjects
from gradlens.studies.options import BOTH, study_of
from gradlens.studies.partial import interrupted
from gradlens.studies.spaces import in_both, require_one


def inspect(
    model: str, *, checkpoint: Weights = None, progress: Progress | bool | None = None, **options: object
) -> Result:
    """Measure one network by name, on real samples.

    Args:
        model: a model name for ``load_model``.
        checkpoint: a file of weights to load.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``; ``space="both"`` measures once per space.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    if options.get("space") == BOTH:
        return in_both(partial(inspect, model, checkpoint=checkpoint, progress=progress), options)
    study = study_of(options)
    cells = Cells(study, subjects([model], [checkpoint]), progress)
    (recording,) = cells.run()
    return _complete(analyze(recording, extra=study.extra, progress=False), cells)


def paths(
    model: str, *, checkpoint: Weights = None, progress: Progress | bool | None = None, **options: object
) -> Result:
    """Count the gradient's paths through one network by name, weighted by the energy on real samples.

    Args:
        model: a model name for ``load_model``.
        checkpoint: a file of weights to load.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    require_one(options)
    study = study_of({"throughput": False, **options})
    cells = Cells(study, subjects([model], [checkpoint]), progress)
    (recording,) = cells.run()
    return _complete(analyze_paths(recording), cells)


def compare(
    a: str,
    b: str,
    *others: str,
    checkpoint: Sequence[Weights] = (),
    progress: Progress | bool | None = None,
    **options: object,
) -> Result:
    """Compare networks by name on the same samples in the same order; each is compared with the first.

    Args:
        a: model name of the reference, for ``load_model``.
        b: model name of the network to compare.
        *others: further model names.
        checkpoint: one file of weights or None per network, in the same order; empty for no files.
        progress: called with (step, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study`` and of its ``Watch``; ``space="both"`` measures once per space.

    Returns:
        A result whose first table is ``comparison`` for two networks; for more, ``networks`` and ``contrasts``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before all networks had finished a batch.
    """
    if options.get("space") == BOTH:
        return in_both(partial(compare, a, b, *others, checkpoint=checkpoint, progress=progress), options)
    study = study_of(options)
    names = [a, b, *others]
    checkpoints = list(checkpoint) or [None] * len(names)
    if len(checkpoints) != len(names):
        raise GradlensError(
            f"{len(checkpoints)} checkpoints for {len(names)} networks; give one for each, or None for initial weights"
        )
    cells = Cells(study, subjects(names, checkpoints), progress)
    recordings = cells.run()
    first, second, *more = recordings
    result = analyze_several(recordings, study.extra) if more else analyze_pair(first, second, study.extra)
    return _complete(result, cells).warned(_controls_of(names))


def _controls_of(names: Sequence[str]) -> list[str]:
    """Return which controls exist for networks that are compared with their own baseline, unless they are named."""
    specs = [NetworkSpec.parse(name) for name in names]
    baselines = {spec.base for spec in specs if not spec.changes}
    controls = {str(spec): spec.control for spec in specs if spec.base in baselines}
    return [
        f"{name} differs from its baseline by added transitions as well as by the cut: {control} has the transitions "
        "without the cut; compare it too to tell the two effects apart (a baseline as cheap is "
        f"{NetworkSpec.parse(name).narrowed})"
        for name, control in controls.items()
        if control is not None and control not in specs
    ]


def _complete(result: Result, cells: Cells) -> Result:
    """Add the options, and the identity of the data with its warnings, to a result."""
    if cells.partial:
        result = interrupted(result, cells.finished)
    return result.with_meta(**cells.meta, study=cells.study.flat()).warned(cells.warnings)
