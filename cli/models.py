"""``gradlens models [PATTERN]``."""

from __future__ import annotations

import click

from gradlens.catalogue.transitions import OPTIONS
from gradlens.errors import GradlensError, close_matches
from gradlens.models.sources import ADAPTERS


@click.command("models")
@click.argument("pattern", required=False)
@click.option(
    "--csp",
    is_flag=True,
    help="List models that accept a transition strategy, and the strategies.",
)
def list_models(pattern: str | None, csp: bool) -> None:
    """List model names, one per line.

    PATTERN is a part of the name, or a wildcard pattern for the whole name. Wherever a model is expected,
    path/file.py:factory works too: it RUNS that file and calls its function. Without a pattern, the forms of names
    with a prefix follow on stderr, with the licence of each library and how to install optional ones.

    \b
    Examples:
      gradlens models csp
      gradlens models 'torchvision:resnet*'
      gradlens models 'fcos:csp*'
      gradlens models --csp
    """
    from gradlens.models import model_names

    names = _csp_names(pattern) if csp else model_names(pattern)
    if not names:
        near = close_matches((pattern or "").strip("*?"), model_names())
        raise GradlensError(f"no model matches {pattern!r}{near or '; `gradlens models` lists them all'}")
    click.echo("\n".join(names))
    if not pattern and not csp:
        click.echo("Names by source:", err=True)
        for text in dict.fromkeys(adapter.described for adapter in ADAPTERS):
            click.echo(f"  {text}", err=True)


def _csp_names(pattern: str | None) -> list[str]:
    """Return the members of the known families, and explain the strategies on stderr."""
    from gradlens.models import FAMILIES, TRANSITIONS, model_names

    matching = set(model_names(pattern))
    names = [name for members in FAMILIES.values() for name in members if name in matching]
    if names:
        width = max(map(len, TRANSITIONS))
        options = "".join(f"[,{name}={'|'.join(values)}]" for name, values in OPTIONS.items())
        click.echo(f"NAME@STRATEGY{options}, STRATEGY one of:", err=True)
        for name, transition in TRANSITIONS.items():
            click.echo(f"  {name:{width}}  {transition.program}".rstrip(), err=True)
        click.echo("Other networks whose stages are sequences of blocks may work too.", err=True)
    return [f"{name}@csp" for name in names]
