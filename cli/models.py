"""``gradlens models [PATTERN]``."""

from __future__ import annotations

import click

from gradlens.errors import GradlensError, close_matches


@click.command("models")
@click.argument("pattern", required=False)
def list_models(pattern: str | None) -> None:
    """List the names of models, one a line.

    PATTERN is a part of the name, or a wildcard pattern for all of it. Besides these names,
    path/file.py:factory is a model everywhere: it RUNS that file and calls that function of it.

    \b
    Examples:
      gradlens models csp
      gradlens models 'torchvision:resnet*'
    """
    from gradlens.models import model_names

    names = model_names(pattern)
    if not names:
        near = close_matches((pattern or "").strip("*?"), model_names())
        raise GradlensError(f"no model matches {pattern!r}{near or '; `gradlens models` lists them all'}")
    click.echo("\n".join(names))
