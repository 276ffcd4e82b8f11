"""``gradlens strategies MODEL``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradlens.catalogue.transitions import (
    CONTROLS_OFF,
    DEFAULT,
    GAMMA,
    GAMMA_HELP,
    PARTIAL,
    PARTIALS,
    STEM,
    STEM_HELP,
    STEMS,
    STRATEGIES,
)
from gradlens.errors import GradlensError
from gradlens.options import build, options_of
from gradlens.studies.options import Training
from gradlens.studies.requests import check_variants

from .completion import Model
from .delivery import Delivery, deliver
from .labels import LABELS
from .options import declared_option, delivering_options, negated, sampling_options, training_options
from .output import cells_folder, default_folder, slug

if TYPE_CHECKING:
    from gradlens.results import Result

    from .progress import Progress

PROGRAMS = ", ".join(f"{name} {strategy.program}" for name, strategy in STRATEGIES.items())
FORMS = ", ".join(f"{name} ({help})" for name, help in PARTIALS.items())


def _names(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _numbers(_: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 0.25,0.5") from None


@click.command("strategies")
@click.argument("model", type=Model())
@click.option("--strategies", "chosen", default=",".join(DEFAULT), callback=_names, metavar="LIST",
              help=f"Of {PROGRAMS}.")  # fmt: skip
@click.option("--gamma", default=f"{GAMMA:g}", callback=_numbers, metavar="LIST",
              help=f"{GAMMA_HELP}; several values make a sweep.")  # fmt: skip
@click.option("--partial", default=PARTIAL, callback=_names, metavar="LIST",
              help=f"{FORMS}, or both.")  # fmt: skip
@click.option("--stem", default=STEM, show_default=False, metavar="|".join(STEMS), help=f"{STEM_HELP}.")
@click.option("--no-controls", "controls", is_flag=True, callback=negated, help=CONTROLS_OFF)
@LABELS
@declared_option("zero_init")
@sampling_options
@training_options
@delivering_options
@click.option(
    "--resume", is_flag=True, help="Continue the interrupted run of --out DIR; finished cells are kept."
)
@click.pass_context
def measure_strategies(
    ctx: click.Context,
    /,
    model: str,
    chosen: list[str],
    gamma: list[float],
    partial: list[str],
    stem: str,
    controls: bool,
    labels: dict[str, str],
    as_json: bool,
    out: Path | None,
    force: bool,
    everything: bool,
    top: int | None,
    resume: bool,
    **options: Any,
) -> None:
    """Convert a network to cross stage partial form with each transition strategy, and compare the gradients.

    MODEL is a network whose stages are sequences of blocks: resnet50, resnext50_32x4d, densenet121,
    darknet53, peleenet (`gradlens models --csp` lists more). All strategies see the same samples in the
    same order, each seed sets the weights of all, and differences are paired over seeds.

    --resume with the same --out continues an interrupted run, also after a kill.

    \b
    Examples:
      gradlens strategies densenet121 --seeds 5
      gradlens strategies resnet50 --gamma 0.25,0.5,0.75 --partial split,project
      gradlens strategies resnet18 --stem cifar --image-size 32 --train-steps 200 --eval --out runs/learn
      gradlens strategies resnet18 --stem cifar --image-size 32 --train-steps 200 --eval --out runs/learn --resume
    """
    if resume and out is None:
        raise click.UsageError("--resume needs the --out DIR of the interrupted run")
    what = slug("strategies", model)
    folder = out or default_folder(what)
    cells = cells_folder(folder)
    training = build(Training, {name: options.pop(name) for name in options_of(Training)})
    check_variants(model, chosen, gamma, partial, stem, options)
    _check_cells(cells, resume, force)

    def measure(progress: Progress) -> Result:
        from gradlens.studies.strategies import strategies

        return strategies(
            model,
            strategies=chosen,
            gamma=gamma,
            partial=partial,
            stem=stem,
            controls=controls,
            labels=labels,
            training=training,
            folder=cells,
            progress=progress,
            **options,
        )

    pairs = _pairs(chosen, len(set(gamma)) * len(set(partial)))
    deliver(ctx, measure, Delivery(what, folder, force, as_json, cells, everything, top, pairs))


def _pairs(strategies: list[str], variants: int) -> int:
    """Return the number of pairs of networks, of which each strategy but none has several variants."""
    networks = sum(1 if name == "none" else variants for name in set(strategies))
    return networks * (networks - 1) // 2


def _check_cells(cells: Path, resume: bool, force: bool) -> None:
    """Prevent mixing the cells of an interrupted run into another run; delete them only with --force."""
    import shutil

    if resume and not cells.exists():
        raise GradlensError(
            f"there is nothing to resume: {cells} holds no cells of an interrupted run; leave out --resume"
        )
    if resume or not cells.exists():
        return
    if not force:
        raise GradlensError(
            f"{cells} holds finished cells of an interrupted run; continue with --resume, or start again with --force"
        )
    shutil.rmtree(cells)
