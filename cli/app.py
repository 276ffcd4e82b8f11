"""The command group ``gradlens`` and its error handling.

No module imports torch, pandas or matplotlib before a command runs, so help is quick.
"""

from __future__ import annotations

import errno
import shlex
import sys
from typing import Any, cast

import click

from gradlens.catalogue.named import named
from gradlens.errors import GradlensError
from gradlens.version import VERSION

from .collecting import uncollected
from .options import COMMAND_LINE
from .terminal import tell
from .wording import in_options

COMMANDS = (
    "compare.compare_networks",
    "strategies.measure_strategies",
    "inspect.inspect_network",
    "paths.trace_paths",
    "report.redraw_report",
    "figure.draw_figure",
    "runs.list_runs",
    "open.open_page",
    "models.list_models",
    "doctor.examine",
)
"""The commands: module in this folder, and function."""


class Commands(click.Group):
    """A group that stores its command line and reports an error in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Store the command line for the provenance of the result."""
        ctx.meta[COMMAND_LINE] = shlex.join(["gradlens", *args])
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; report in one line that stdout cannot be written, as on a full disk."""
        try:
            with uncollected():
                return super().main(*args, **options)
        except OSError as error:
            if not options.get("standalone_mode", True):
                raise
            tell("error", _one_line(error), err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; report an error in one line, with exit code 1."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if ctx.params["debug"] or getattr(error, "errno", None) == errno.EPIPE:
                raise  # click exits quietly if stdout is closed
            tell("error", in_options(_one_line(error)), err=True)
            ctx.exit(1)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, GradlensError):
        return text
    if (
        isinstance(error, OSError) and error.filename is None and error.errno is not None
    ):  # files have messages
        return f"cannot write to stdout: {error.strerror}; send it to another file"
    if isinstance(error, ImportError):
        return f"{text}; `gradlens doctor` lists what is missing and what to install"
    return f"unexpected {type(error).__name__}: {text}; `gradlens --debug ...` shows the traceback"


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(VERSION, prog_name="gradlens")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def gradlens(debug: bool) -> None:
    """Measure how strongly the layers and branches of a network duplicate each other's gradients.

    \b
    Example:
      gradlens compare resnet50 cspresnet50
    """


for name in COMMANDS:
    gradlens.add_command(cast(click.Command, named(f"{__package__}.{name}")))
