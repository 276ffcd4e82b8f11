"""Options shared by several commands; the options of a measurement are declared in the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click

from gradlens.catalogue.datasets import DETECTOR_DEFAULTS
from gradlens.options import EXTRAS, SAMPLES, STARTING, TRAINING, WATCHING, Option, options_of
from gradlens.recording import Watch
from gradlens.studies.options import BOTH, Study, Training

from .voice import remember

Command = TypeVar("Command", bound=Callable[..., object])

COMMAND_LINE = "gradlens.command_line"  # key of the typed command line in the context
FILE = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)

DECLARED: Mapping[str, Option] = {**options_of(Study), **options_of(Watch), **options_of(Training)}

CHECKPOINT = click.option(
    "--checkpoint",
    type=FILE,
    metavar="FILE",
    help="Weights: safetensors, torch, or darknet's .weights.",
)
DELIVERING = (
    click.option("--all", "everything", is_flag=True,
                 help="Print all tables and the numbers of the finding instead of one table."),
    click.option("--top", type=COUNT, default=None, metavar="N",
                 help="Places to look at, of each network; by default 3, or 1 of more than two networks."),
    click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON instead of the table."),
    click.option("--out", type=FILE, default=None, metavar="DIR",
                 help="Folder for the report, the tables and the result; by default runs/COMMAND-MODELS-TIME."),
    click.option("--force", is_flag=True, help="Replace the run that is in DIR."),
    click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=remember,
                 help="Print errors only, and on stdout the path of the report (or the JSON)."),
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=remember,
                 help="Show each step, how long it takes, and warnings of libraries in full."),
)  # fmt: skip


def measuring_options(command: Command) -> Command:
    """Add the options of a measurement of networks by name, in one space or in both."""
    return _study_options(command, SAMPLES, WATCHING, EXTRAS, STARTING, both=True)


def sampling_options(command: Command) -> Command:
    """Add the options of a measurement that sets the initial weights itself, in one space."""
    return _study_options(command, SAMPLES, WATCHING, EXTRAS)


def path_options(command: Command) -> Command:
    """Add the options of ``paths``, which chooses the watched gradients itself."""
    return _study_options(command, SAMPLES, STARTING)


def training_options(command: Command) -> Command:
    """Add the options of a training; ``Training`` takes their values."""
    return _study_options(command, TRAINING)


def delivering_options(command: Command) -> Command:
    """Add the options that control the output."""
    for option in reversed(DELIVERING):
        command = option(command)
    return command


def _study_options(command: Command, *groups: str, both: bool = False) -> Command:
    names = [name for group in groups for name, option in DECLARED.items() if option.group == group]
    for name in reversed(names):
        more = {BOTH: "each with its own tables"} if both and name == "space" else {}
        command = declared_option(name, more=more)(command)
    return command


def declared_option(
    name: str, *, default: object = None, more: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Return the click option of a declared option.

    Args:
        name: a field of ``Study``, ``Watch`` or ``Training``.
        default: replaces the declared default; None keeps it.
        more: choices that only this command offers, with their help.
    """
    declared = DECLARED[name]
    usual = DETECTOR_DEFAULTS.get(name) if default is None else None
    default = declared.default if default is None else default
    flag = declared.flag or name.replace("_", "-")
    if isinstance(default, bool):
        if default and not declared.either:
            return click.option(f"--no-{flag}", name, is_flag=True, callback=negated, help=declared.off)
        both = f"--{flag}/--no-{flag}" if declared.off else f"--{flag}"
        return click.option(both, name, is_flag=True, default=default, help=declared.help)
    extra = "".join(f"; or {choice}, {help}" for choice, help in (more or {}).items())
    return click.option(
        f"--{flag}",
        name,
        type=_type(declared, default, tuple(more or ())),
        default=default if usual is None else None,  # the library chooses it by the data
        show_default=True if usual is None else f"{default}; {usual} for scenes and coco",
        metavar=declared.metavar or None,
        help=f"{declared.help.removesuffix('.')}{extra}.",
    )


def negated(_: click.Context, __: click.Parameter, value: bool) -> bool:
    """Return the opposite of a flag such as ``--no-controls``."""
    return not value


def _type(
    declared: Option, default: object, more: tuple[str, ...]
) -> object:  # ParamType takes parameters in newer clicks only
    if declared.choices:
        offered = [choice for choice in declared.choices if choice not in declared.python_only]
        return click.Choice([*offered, *more])
    if isinstance(default, int):
        least, most = (None if bound is None else int(bound) for bound in (declared.least, declared.most))
        return click.IntRange(least, most)
    if isinstance(default, float):
        return click.FloatRange(declared.least, declared.most)
    return click.STRING
