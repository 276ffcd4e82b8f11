"""``gradlens compare A B``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .delivery import Delivery, deliver
from .options import FILE, delivering_options, measuring_options
from .output import slug

if TYPE_CHECKING:
    from gradlens.results import Result

    from .progress import Progress


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option(
    "--checkpoint-a",
    type=FILE,
    metavar="FILE",
    help="Weights of A: safetensors, torch state dict, or darknet's .weights.",
)
@click.option("--checkpoint-b", type=FILE, metavar="FILE", help="Weights of B.")
@measuring_options
@delivering_options
@click.pass_context
def compare_networks(
    ctx: click.Context,
    /,
    a: str,
    b: str,
    checkpoint_a: Path | None,
    checkpoint_b: Path | None,
    as_json: bool,
    out: Path | None,
    force: bool,
    **options: Any,
) -> None:
    """Compare the gradients of two networks on the same images, stage by stage.

    A and B are models: a timm name (resnet50), one with a transition strategy (resnet50@csp,gamma=0.25),
    torchvision:resnet50, darknet:FILE.cfg, or path/file.py:factory, which RUNS that file and calls
    that function of it.

    The summary goes to stdout, everything else to stderr; the report is written to a folder.

    \b
    Examples:
      gradlens compare resnet50 cspresnet50
      gradlens compare resnet50 nets/mine.py:build --data photos/ --out runs/mine
      gradlens compare resnet50 cspresnet50 --json > result.json
    """

    def measure(progress: Progress) -> Result:
        from gradlens.study import compare

        return compare(a, b, checkpoint=(checkpoint_a, checkpoint_b), progress=progress, **options)

    deliver(ctx, measure, Delivery(slug("compare", a, b), out, force, as_json))
