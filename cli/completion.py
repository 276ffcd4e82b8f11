"""What a shell offers on Tab: names of networks, runs, their figures. Nothing here loads torch.

Names of the libraries' networks are read from their source files, in a few hundredths of a second.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string
from click.types import StringParamType  # ParamType takes parameters in newer clicks only

from .folders import read_run, run_folders
from .output import RUNS

STRATEGIES = ("none", "fusion_first", "fusion_last", "csp", "no_fusion")
SETTINGS = ("gamma=", "partial=split", "partial=project", "stem=cifar")
OWN = ("peleenet", "peleenet_small")
LIBRARIES = {"": "timm", "torchvision:": "torchvision"}
MADE = re.compile(r"^@register_model\b(\([^)]*\))?[^\n]*\n(?:@[^\n]*\n)*def (\w+)", re.MULTILINE)
NAMED = re.compile(r'name="(\w+)"')


class Model(StringParamType):
    """A model's name: libraries, strategies behind an @, files."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin as typed; a path is left to the shell."""
        if incomplete.startswith("darknet:"):
            return [CompletionItem(name) for name in _cfg_files(incomplete)]
        base, at, spec = incomplete.partition("@")
        if at:
            done, comma, _ = spec.rpartition(",")
            behind = [done + comma + text for text in SETTINGS] if comma else STRATEGIES
            return [CompletionItem(f"{base}@{text}") for text in behind if text.startswith(spec)]
        if "/" in incomplete or incomplete.endswith((".py", ".")):
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in model_names() if name.startswith(incomplete)]


class RunFolder(click.Path):
    """The folder of a run: those in ``runs/``, else any folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Runs that begin as typed, looked for in ``runs`` and in the folder that is typed."""
        typed = Path(os.path.dirname(incomplete) or "/") if "/" in incomplete else RUNS
        found = sorted({str(run) for run in run_folders(typed, depth=2 if typed == RUNS else 1)})
        items = [CompletionItem(run) for run in found if run.startswith(incomplete)]
        return items or [CompletionItem(incomplete, type="dir")]


class FigureName(StringParamType):
    """A table of the run on the command line that has a figure."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The figures that were drawn with the run."""
        run = _run_of(ctx)
        names = sorted(path.stem for path in (run / "figures").glob("*.svg")) if run else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class NetworkName(StringParamType):
    """A network of the run on the command line."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The networks that the run is about."""
        run = _run_of(ctx)
        names = read_run(run).networks if run else ()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Bash(BashComplete):
    """Bash, which cuts words at ``:``, ``@`` and ``=``: the typed line is read instead of its words."""

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
        """Words before the cursor, and the one at it."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)[1:]
        if line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1] if words else ""

    def format_completion(self, item: CompletionItem) -> str:
        """Bash replaces only what stands behind the last sign at which it cut."""
        _, incomplete = self.get_completion_args()
        kept = max(incomplete.rfind(sign) for sign in ":@=") + 1
        return f"{item.type},{item.value[kept:]}"


add_completion_class(Bash)


def _run_of(ctx: click.Context) -> Path | None:
    """The run on the command line; behind an option without its value click leaves it unread."""
    run = ctx.params.get("run") or next(iter(ctx.args), None)
    return None if run is None else Path(run)


def model_names() -> list[str]:
    """Names as ``gradlens.models.model_names`` gives them, without loading a library."""
    found = list(OWN)
    for prefix, library in LIBRARIES.items():
        found += [prefix + name for name in _registered(library)]
    return sorted(found)


def _registered(library: str) -> Iterator[str]:
    """Names under which the files of a library register its models; none where it is not installed."""
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        return
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted((Path(folder) / "models").glob("*.py")):
            for options, function in MADE.findall(file.read_text(encoding="utf-8", errors="replace")):
                named = NAMED.search(options)
                yield named[1] if named else function


def _cfg_files(incomplete: str) -> list[str]:
    """Darknet files and the folders that may hold some."""
    typed = incomplete.removeprefix("darknet:")
    folder = Path(os.path.dirname(typed) or "/") if "/" in typed else Path()
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    names = [
        f"{path}/" if path.is_dir() else str(path)
        for path in inside
        if path.is_dir() or path.suffix == ".cfg"
    ]
    return [f"darknet:{name}" for name in names if name.startswith(typed)]
