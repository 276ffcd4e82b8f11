"""``gradlens models [PATTERN]``."""

from __future__ import annotations

import click

from gradlens.errors import GradlensError, close_matches


@click.command("models")
@click.argument("pattern", required=False)
@click.option("--csp", is_flag=True, help="List what takes a transition strategy, and how it is written.")
def list_models(pattern: str | None, csp: bool) -> None:
    """List the names of models, one a line.

    PATTERN is a part of the name, or a wildcard pattern for all of it. Besides these names,
    path/file.py:factory is a model everywhere: it RUNS that file and calls that function of it.

    \b
    Examples:
      gradlens models csp
      gradlens models 'torchvision:resnet*'
      gradlens models --csp
    """
    from gradlens.models import model_names

    names = _csp_names(pattern) if csp else model_names(pattern)
    if not names:
        near = close_matches((pattern or "").strip("*?"), model_names())
        raise GradlensError(f"no model matches {pattern!r}{near or '; `gradlens models` lists them all'}")
    click.echo("\n".join(names))


def _csp_names(pattern: str | None) -> list[str]:
    """Members of the known families with the strategies behind them."""
    from gradlens.models import FAMILIES, TRANSITIONS, model_names

    wanted = set(model_names(pattern))
    names = [name for members in FAMILIES.values() for name in members if name in wanted]
    if names:
        click.echo(
            f"NAME@STRATEGY[,gamma=0.5][,partial=split|project][,stem=cifar], STRATEGY one of "
            f"{', '.join(TRANSITIONS)}; any other network whose stages are sequences of blocks can be tried",
            err=True,
        )
    return [f"{name}@csp" for name in names]
