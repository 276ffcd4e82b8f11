"""``gradlens figure RUN NAME``."""

from __future__ import annotations

from pathlib import Path

import click

from gradlens.catalogue.versions import VERSIONS
from gradlens.errors import GradlensError

from .completion import FigureName, NetworkName, RunFolder
from .labels import LABELS
from .options import FILE
from .output import accessing

FORMATS = ("pdf", "svg", "png")


@click.command("figure")
@click.argument("run", type=RunFolder())
@click.argument("name", type=FigureName())
@click.option("--format", "kind", type=click.Choice(FORMATS), default=None,
              help="Vector (pdf, svg) or pixels (png); by default the suffix of FILE, else pdf.")  # fmt: skip
@click.option("--style", type=click.Choice(["paper", "screen"]), default="paper",
              help="paper: as wide as a page's columns, fonts embedded; screen: as in the report.")  # fmt: skip
@click.option("--columns", type=click.IntRange(1, 2), default=None,
              help="Width: one column (3.5 in) or two (7.16 in); by default two on paper.")  # fmt: skip
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=NetworkName(),
    metavar="NAME",
    help="Draw this network only; repeatable.",
)
@click.option("--version", type=click.Choice([version.column for version in VERSIONS]), default=None,
              help="Of the similarity, in duplication, correlation and cross; by default energy.")  # fmt: skip
@LABELS
@click.option("--out", type=FILE, default=None, metavar="FILE",
              help="Path of the figure; by default NAME.FORMAT in the working folder.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing file.")
def draw_figure(
    run: Path,
    name: str,
    kind: str | None,
    style: str,
    columns: int | None,
    networks: tuple[str, ...],
    version: str | None,
    labels: dict[str, str],
    out: Path | None,
    force: bool,
) -> None:
    """Draw one figure of a saved run for a paper or a screen, without measuring anything.

    RUN is the folder of a run, NAME one of its tables that has a figure: duplication, correlation,
    branches, shares, flow, cost and others; with an unknown NAME, the error lists the figures of the run.
    RUN may also be a folder that a watched training logs into. The path of the file goes to stdout.

    \b
    Examples:
      gradlens figure runs/first duplication
      gradlens figure runs/first flow --columns 1 --out paper/flow.svg
      gradlens figure runs/first duplication --version energy_given_loss --label cspresnet50=ours
      gradlens figure runs/first shares --network cspresnet50 --style screen --format png
      gradlens figure flow stages_along
    """
    file = out or Path(f"{name}.{kind or FORMATS[0]}")
    _require_free(file, force)
    kind = _format(kind, file)
    from gradlens.report import figure, save_figure
    from gradlens.watching.reading import load

    chosen = [labels.get(network, network) for network in networks]
    result = load(run).relabelled(labels)
    drawn = figure(result, name, style=style, columns=columns, networks=chosen, version=version or "")
    click.echo(save_figure(drawn, file, style=style, kind=kind))


def _format(requested: str | None, out: Path) -> str:
    """Return the requested format, else the suffix of the file; a contradiction is a usage error."""
    suffix = out.suffix.lower().removeprefix(".")
    if requested and suffix in FORMATS and suffix != requested:
        raise click.UsageError(
            f"--format {requested} contradicts --out {out}; leave --format out, or end the file in .{requested}"
        )
    if requested:
        return requested
    if suffix not in FORMATS:
        raise GradlensError(
            f"{out} has no suffix of a known format; end it in .{', .'.join(FORMATS)}, or give --format"
        )
    return suffix


def _require_free(file: Path, force: bool) -> None:
    with accessing(file, "give another --out FILE"):
        if file.is_dir():
            raise GradlensError(f"{file} is a folder; give a file with --out FILE")
        if file.exists() and not force:
            raise GradlensError(f"{file} exists; give another --out FILE, or --force to replace it")
