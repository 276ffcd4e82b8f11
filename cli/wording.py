"""Translate messages of the library for the command line: Python parameters become options."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from gradlens.words.brief import PARAMETER

LINE = re.compile(r"(`(?:step|loss)=lambda [^`]*`)")
"""A line of Python that the command line reads from a file."""


def in_options(text: str, running: str = "") -> str:
    """Return a message in which Python parameters are replaced by the options of the command line.

    Args:
        text: a message of the library.
        running: the command that the message is about; by default the one that runs.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return text
    root = ctx.find_root()
    return translated(text, options_of(root.command, running or root.invoked_subcommand or ""))


def options_of(group: click.Command, running: str) -> dict[str, click.Option]:
    """Return the options of all commands by parameter and by flag; those of the running command take precedence."""
    commands = dict(group.commands) if isinstance(group, click.Group) else {}
    last = [commands.pop(running)] if running in commands else []
    options: dict[str, click.Option] = {}
    for command in (*commands.values(), *last):
        for option in command.params:
            if isinstance(option, click.Option):
                options |= dict.fromkeys((str(option.name), _flag(option)[2:].replace("-", "_")), option)
    return options


def translated(text: str, options: Mapping[str, click.Option]) -> str:
    """Return a text with ``name=value`` and ``name=`` of these options as ``--name value`` and ``--name``."""

    def option(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in options:
            return match[0]
        stop = "." if value.endswith(".") else ""  # the end of the sentence
        return _written(options[name], value.removesuffix(".").strip("'\"")) + stop

    parts = LINE.split(text)
    return "".join(_in_file(part) if LINE.fullmatch(part) else PARAMETER.sub(option, part) for part in parts)


def _in_file(line: str) -> str:
    """Return what to write instead of a parameter with a lambda: a function in a file, and its option."""
    name, _, function = line.strip("`").partition("=lambda ")
    arguments, _, value = function.partition(": ")
    imports = "import torch and " if "torch." in value else ""
    return f"--{name} file.py:{name}, with {imports}`def {name}({arguments}): return {value}` in file.py"


def _written(option: click.Option, value: str) -> str:
    flag = _flag(option)
    if not option.is_flag:
        return f"{flag} {value}".rstrip()
    if option.secondary_opts:
        return option.secondary_opts[0] if value == "False" else flag
    negative = flag.startswith("--no-")
    requested = {"True": not negative, "False": negative}.get(value, True)
    return flag if requested else f"no {flag}"


def _flag(option: click.Option) -> str:
    return max(option.opts, key=len)
