"""``gradlens inspect MODEL``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradlens.studies.requests import check_request

from .completion import Model
from .delivery import Delivery, deliver
from .labels import LABELS, check_labels
from .options import CHECKPOINT, delivering_options, measuring_options
from .output import slug

if TYPE_CHECKING:
    from gradlens.results import Result

    from .progress import Progress


@click.command("inspect")
@click.argument("model", type=Model())
@CHECKPOINT
@LABELS
@measuring_options
@delivering_options
@click.pass_context
def inspect_network(
    ctx: click.Context,
    /,
    model: str,
    checkpoint: Path | None,
    labels: dict[str, str],
    as_json: bool,
    out: Path | None,
    force: bool,
    everything: bool,
    top: int | None,
    **options: Any,
) -> None:
    """Measure the gradients of one network, stage by stage.

    MODEL is a timm name (resnet50), a name with a transition strategy (resnet50@csp,gamma=0.25),
    a name with a prefix (torchvision:resnet50, fcos:resnet50; `gradlens models` explains them), or
    path/file.py:factory, which RUNS that file and calls that function of it.

    The summary goes to stdout, everything else to stderr; the report is written to a folder.

    \b
    Examples:
      gradlens inspect cspresnet50
      gradlens inspect resnet50 --top 10
      gradlens inspect nets/mine.py:build --checkpoint mine.safetensors --mode eval
    """
    check_request([model], [checkpoint], options)
    check_labels([model], labels)

    def measure(progress: Progress) -> Result:
        from gradlens.studies.studies import inspect

        return inspect(model, checkpoint=checkpoint, progress=progress, **options).relabelled(labels)

    deliver(
        ctx, measure, Delivery(slug("inspect", model), out, force, as_json, everything=everything, top=top)
    )
