"""Shell completion of model names, runs and their figures, without loading torch."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string
from click.types import StringParamType  # ParamType takes parameters in newer clicks only

from gradlens.catalogue.transitions import FLOPS, NARROW, OPTIONS, STRATEGIES
from gradlens.models.sources import registered_names

from .folders import read_run, run_folders
from .output import RUNS

SETTINGS = ("gamma=", *(f"{name}={value}" for name in ("partial", "cut", "stem") for value in OPTIONS[name]))


class Model(StringParamType):
    """A model name: of a library or a file, with a strategy after an ``@``."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with the typed text; the shell completes paths."""
        if incomplete.startswith("darknet:"):
            return [CompletionItem(name) for name in _cfg_files(incomplete)]
        base, at, spec = incomplete.partition("@")
        if at:
            done, comma, _ = spec.rpartition(",")
            texts = (
                [done + comma + text for text in SETTINGS] if comma else [*STRATEGIES, f"{NARROW},{FLOPS}="]
            )
            return [CompletionItem(f"{base}@{text}") for text in texts if text.startswith(spec)]
        if "/" in incomplete or incomplete.endswith((".py", ".")):
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in registered_names(incomplete)]


class RunFolder(click.Path):
    """The folder of a run: one in ``runs/``, else any folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the runs in ``runs`` or in the typed folder that begin with the typed text."""
        typed = Path(os.path.dirname(incomplete) or "/") if "/" in incomplete else RUNS
        runs = sorted({str(run) for run in run_folders(typed, depth=2 if typed == RUNS else 1)})
        items = [CompletionItem(run) for run in runs if run.startswith(incomplete)]
        return items or [CompletionItem(incomplete, type="dir")]


class FigureName(StringParamType):
    """A table of the run on the command line that has a figure."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the figures in the folder of the run."""
        run = _run_of(ctx)
        names = sorted(path.stem for path in (run / "figures").glob("*.svg")) if run else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class NetworkName(StringParamType):
    """A network of the run on the command line."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the networks of the run."""
        run = _run_of(ctx)
        names = read_run(run).networks if run else ()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Bash(BashComplete):
    """Bash breaks words at ``:``, ``@`` and ``=``, so the whole typed line is read instead of its words."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' kind value
    COMPREPLY=()
    while IFS=',' read -r kind value; do
        case "$kind" in
            dir) compopt -o dirnames 2> /dev/null ;;
            file) compopt -o default 2> /dev/null ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" %(complete_var)s=bash_complete "$1")
    case "${COMPREPLY[0]}" in *=) compopt -o nospace 2> /dev/null ;; esac
}
complete -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the word at the cursor."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)[1:]
        if line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1] if words else ""

    def format_completion(self, item: CompletionItem) -> str:
        """Return the part after the last word break, the only part that Bash replaces."""
        _, incomplete = self.get_completion_args()
        kept = max(incomplete.rfind(sign) for sign in ":@=") + 1
        return f"{item.type},{item.value[kept:]}"


add_completion_class(Bash)


def _run_of(ctx: click.Context) -> Path | None:
    """Return the run on the command line; click leaves it unparsed after an option without a value."""
    run = ctx.params.get("run") or next(iter(ctx.args), None)
    return None if run is None else Path(run)


def _cfg_files(incomplete: str) -> list[str]:
    """Return darknet files, and folders that may contain some."""
    typed = incomplete.removeprefix("darknet:")
    folder = Path(os.path.dirname(typed) or "/") if "/" in typed else Path()
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    names = [
        f"{path}/" if path.is_dir() else str(path) for path in paths if path.is_dir() or path.suffix == ".cfg"
    ]
    return [f"darknet:{name}" for name in names if name.startswith(typed)]
