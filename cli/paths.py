"""``gradlens paths MODEL``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradlens.studies.requests import check_request

from .completion import Model
from .delivery import Delivery, deliver
from .labels import LABELS, check_labels
from .options import CHECKPOINT, delivering_options, path_options
from .output import slug

if TYPE_CHECKING:
    from gradlens.results import Result

    from .progress import Progress


@click.command("paths")
@click.argument("model", type=Model())
@CHECKPOINT
@LABELS
@path_options
@delivering_options
@click.pass_context
def trace_paths(
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
    """Count the paths of the gradient through one network, weighted by energy.

    The tables show how many paths lead to each layer, how long they are, from which layers they
    come, and how similar two layers are by structure alone. Counts are exact and need no data; the
    energy along the paths is measured at the forks.

    MODEL is a name as for `gradlens inspect`. The summary goes to stdout, everything else to stderr.

    \b
    Examples:
      gradlens paths densenet121
      gradlens paths resnet50@csp
    """
    check_request([model], [checkpoint], options)
    check_labels([model], labels)

    def measure(progress: Progress) -> Result:
        from gradlens.studies.studies import paths

        return paths(model, checkpoint=checkpoint, progress=progress, **options).relabelled(labels)

    deliver(ctx, measure, Delivery(slug("paths", model), out, force, as_json, everything=everything, top=top))
