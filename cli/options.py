"""The options that the measuring commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .voice import remember

Command = TypeVar("Command", bound=Callable[..., Any])

COMMAND_LINE = "gradlens.command_line"  # where the context keeps what was typed
FILE = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)


def _negated(_: click.Context, __: click.Parameter, value: bool) -> bool:
    return not value


def _flag(name: str, target: str, text: str) -> Callable[[Command], Command]:
    """A flag ``--no-...`` that turns ``target`` to False."""
    return click.option(name, target, is_flag=True, callback=_negated, help=text)


SAMPLES = (
    click.option("--data", default="digits", metavar="NAME|DIR",
                 help="digits (bundled), random (noise), or a folder with one folder of images a class."),
    click.option("--image-size", type=COUNT, default=64, help="Height and width of the images in pixels."),
    click.option("--batch-size", type=COUNT, default=32, help="Samples a batch; at least 4."),
    click.option("--batches", type=COUNT, default=4, help="Batches that are measured for each seed."),
    click.option("--seeds", type=COUNT, default=3, help="Fresh weights that are measured; intervals are over them."),
    click.option("--mode", type=click.Choice(["train", "eval"]), default="train",
                 help="Mode of the network while it is measured."),
    click.option("--skip-bad", is_flag=True, help="Pass over images that cannot be read, among those drawn."),
)  # fmt: skip


def _space(*spaces: str, more: str = "") -> Callable[[Command], Command]:
    """``--space`` of a command that measures these."""
    text = "What a signal is: the gradient at a layer's output, or that of its weights, sample by sample"
    return click.option("--space", type=click.Choice(spaces), default=spaces[0], help=f"{text}{more}.")


SPACE = _space("activations", "weights")
SPACES = _space("activations", "weights", "both", more="; or both, each in tables of its own")
SITES = (
    click.option("--sites", default="signals", metavar="signals|forks|all|GLOB",
                 help="Where gradients are watched: forks and weighted layers, forks only, every edge of the"
                 " graph, or the modules whose path matches a pattern such as 'layer3.*'."),
    click.option("--pairs", type=click.Choice(["sketch", "exact"]), default="sketch",
                 help="Pairs of branches at forks of three and more: by a random projection with a stated"
                 " error, or exactly, which needs more memory."),
)  # fmt: skip

EXTRAS = (
    click.option("--null", is_flag=True, help="Also what duplication is where nothing is shared, by permutation, and"
                 " how alike two halves of one signal are."),
    click.option("--cca", is_flag=True, help="Also SVCCA and PWCCA of every two signals."),
    _flag("--no-throughput", "throughput", "Do not time the network."),
)  # fmt: skip

STARTING = (
    click.option("--warmup-steps", type=click.IntRange(min=0), default=0,
                 help="Steps of SGD, on other batches, before measuring."),
    _flag("--no-zero-init", "zero_init", "Start layers at one that start at zero by default (last norm of a block)."),
    click.option("--pretrained", is_flag=True, help="Load the weights timm or torchvision offers."),
)  # fmt: skip

CHECKPOINT = click.option(
    "--checkpoint",
    type=FILE,
    metavar="FILE",
    help="Weights: safetensors, torch, or darknet's .weights.",
)
DELIVERING = (
    click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON instead of the table."),
    click.option("--out", type=FILE, default=None, metavar="DIR", show_default="runs/<what>-<when>",
                 help="Folder for the report, the tables and the result."),
    click.option("--force", is_flag=True, help="Replace the run that is in DIR."),
    click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=remember,
                 help="Print errors, and on stdout the path of the report (or the JSON) alone."),
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=remember,
                 help="Tell what is done, how long it takes, and warnings of libraries in full."),
)  # fmt: skip


def measuring_options(command: Command) -> Command:
    """Options that say what is measured; their names are the arguments of ``gradlens.studies.studies``."""
    return _with_options(command, (*SAMPLES, *SITES, SPACES, *EXTRAS, *STARTING))


def sampling_options(command: Command) -> Command:
    """Those of them that do not say what weights the networks start from; in one space at a time."""
    return _with_options(command, (*SAMPLES, *SITES, SPACE, *EXTRAS))


def path_options(command: Command) -> Command:
    """Those of ``paths``, which watches what it needs."""
    return _with_options(command, (*SAMPLES, *STARTING))


def delivering_options(command: Command) -> Command:
    """Options that say where the result goes."""
    return _with_options(command, DELIVERING)


def _with_options(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
