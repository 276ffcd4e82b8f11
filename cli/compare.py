"""``gradlens compare A B [C]...``."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from gradlens.studies.requests import check_request

from .completion import Model
from .delivery import Delivery, deliver
from .labels import LABELS, check_labels
from .options import FILE, delivering_options, measuring_options
from .output import slug

if TYPE_CHECKING:
    from gradlens.results import Result

    from .progress import Progress


def _lettered(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[int, Path]:
    """Parse ``C=FILE`` into the index of the network and the file."""
    files: dict[int, Path] = {}
    for value in values:
        letter, equals, file = value.partition("=")
        index = ascii_uppercase.find(letter.upper()) if len(letter) == 1 else -1
        if not equals or not file or index < 0:
            raise click.BadParameter(f"{value!r} is not a network's letter and a file, such as C=weights.pt")
        if index in files:
            raise click.BadParameter(f"network {letter.upper()} has two files")
        files[index] = Path(file)
    return files


@click.command("compare")
@click.argument("a", type=Model())
@click.argument("b", type=Model())
@click.argument("others", nargs=-1, metavar="[C]...", type=Model())
@click.option(
    "--checkpoint-a",
    type=FILE,
    metavar="FILE",
    help="Weights of A: safetensors, torch state dict, or darknet's .weights.",
)
@click.option("--checkpoint-b", type=FILE, metavar="FILE", help="Weights of B.")
@click.option(
    "--checkpoint",
    "lettered",
    multiple=True,
    callback=_lettered,
    metavar="C=FILE",
    help="Weights of any network by its letter; repeatable.",
)
@LABELS
@measuring_options
@delivering_options
@click.pass_context
def compare_networks(
    ctx: click.Context,
    /,
    a: str,
    b: str,
    others: tuple[str, ...],
    checkpoint_a: Path | None,
    checkpoint_b: Path | None,
    lettered: dict[int, Path],
    labels: dict[str, str],
    as_json: bool,
    out: Path | None,
    force: bool,
    everything: bool,
    top: int | None,
    **options: Any,
) -> None:
    """Compare the gradients of networks on the same images, stage by stage.

    A, B, ... are models: a timm name (resnet50), a name with a transition strategy (resnet50@csp,gamma=0.25),
    a name with a prefix (torchvision:resnet50, fcos:resnet50; `gradlens models` explains them), or
    path/file.py:factory, which RUNS that file and calls that function of it. Of three or more, each is
    compared with A, and p-values are corrected for the number of comparisons (Holm).

    The summary goes to stdout, everything else to stderr; the report is written to a folder.

    \b
    Examples:
      gradlens compare resnet50 cspresnet50
      gradlens compare resnet50 cspresnet50 densenet121 --seeds 5
      gradlens compare fcos:resnet50 fcos:cspresnet50 --data scenes
      gradlens compare resnet50 nets/mine.py:build --data photos/ --out runs/mine
      gradlens compare resnet50 nets/mine.py:build --label nets/mine.py:build=ours
      gradlens compare resnet50 cspresnet50 --json > result.json
    """
    names = [a, b, *others]
    checkpoints = _checkpoints(names, {0: checkpoint_a, 1: checkpoint_b}, lettered)
    check_request(names, checkpoints, options)
    check_labels(names, labels)

    def measure(progress: Progress) -> Result:
        from gradlens.studies.studies import compare

        return compare(a, b, *others, checkpoint=checkpoints, labels=labels, progress=progress, **options)

    what, pairs = slug("compare", *names), len(names) - 1
    deliver(ctx, measure, Delivery(what, out, force, as_json, everything=everything, top=top, pairs=pairs))


def _checkpoints(
    names: list[str], first: dict[int, Path | None], lettered: dict[int, Path]
) -> tuple[Path | None, ...]:
    """Return one file per network, or None."""
    for index in lettered:
        letter = ascii_uppercase[index]
        if index >= len(names):
            raise click.UsageError(f"--checkpoint {letter}=FILE: there are {len(names)} networks only")
        if first.get(index) is not None:
            raise click.UsageError(f"network {letter} has two files, one by --checkpoint-{letter.lower()}")
    return tuple(lettered.get(index, first.get(index)) for index in range(len(names)))
