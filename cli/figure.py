"""``gradlens figure RUN NAME``."""

from __future__ import annotations

from pathlib import Path

import click

from gradlens.errors import GradlensError

from .completion import FigureName, NetworkName, RunFolder
from .options import FILE
from .output import looking_at

FORMATS = ("pdf", "svg", "png")


@click.command("figure")
@click.argument("run", type=RunFolder())
@click.argument("name", type=FigureName())
@click.option("--format", "kind", type=click.Choice(FORMATS), default=None, show_default="that of FILE, else pdf",
              help="Vector (pdf, svg) or pixels (png).")  # fmt: skip
@click.option("--style", type=click.Choice(["paper", "screen"]), default="paper",
              help="paper: as wide as a page's columns, fonts embedded; screen: as in the report.")  # fmt: skip
@click.option("--columns", type=click.IntRange(1, 2), default=None, show_default="2 on paper",
              help="Width: one column (3.5 in) or two (7.16 in).")  # fmt: skip
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=NetworkName(),
    metavar="NAME",
    help="Draw this network only; repeatable.",
)
@click.option("--out", type=FILE, default=None, metavar="FILE", show_default="NAME.FORMAT here",
              help="Where the figure goes.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def draw_figure(
    run: Path,
    name: str,
    kind: str | None,
    style: str,
    columns: int | None,
    networks: tuple[str, ...],
    out: Path | None,
    force: bool,
) -> None:
    """Draw one figure of a saved run for a paper or a screen, without measuring anything.

    RUN is the folder of a run, NAME one of its tables that has a figure: duplication, correlation,
    branches, shares, flow, cost and others; a wrong name lists what the run has. The path of the
    file goes to stdout.

    \b
    Examples:
      gradlens figure runs/first duplication
      gradlens figure runs/first flow --columns 1 --out paper/flow.svg
      gradlens figure runs/first shares --network cspresnet50 --style screen --format png
    """
    place = out or Path(f"{name}.{kind or FORMATS[0]}")
    _require_free(place, force)
    kind = _format(kind, place)
    from gradlens.report import figure, save_figure
    from gradlens.results import load

    drawn = figure(load(run), name, style=style, columns=columns, networks=networks)
    click.echo(save_figure(drawn, place, style=style, kind=kind))


def _format(asked: str | None, out: Path) -> str:
    """The format that was asked for, else that of the file's name; a contradiction is wrong usage."""
    told = out.suffix.lower().removeprefix(".")
    if asked and told in FORMATS and told != asked:
        raise click.UsageError(
            f"--format {asked} contradicts --out {out}; leave --format out, or end the file in .{asked}"
        )
    if asked:
        return asked
    if told not in FORMATS:
        raise GradlensError(
            f"{out} does not say which format it is to have; end it in .{', .'.join(FORMATS)}, or give --format"
        )
    return told


def _require_free(place: Path, force: bool) -> None:
    with looking_at(place, "give another --out FILE"):
        if place.is_dir():
            raise GradlensError(f"{place} is a folder; give a file with --out FILE")
        if place.exists() and not force:
            raise GradlensError(f"{place} exists; give another --out FILE, or --force to replace it")
