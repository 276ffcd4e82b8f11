"""Options of the command line come from their declarations: default, help, choices and bounds are written once."""

from __future__ import annotations

import click
import pytest

from gradlens.catalogue.datasets import DETECTOR_DEFAULTS
from gradlens.errors import GradlensError
from gradlens.options import EXTRAS, SAMPLES, STARTING, TRAINING, WATCHING
from gradlens.studies.options import NAMES, study_of
from gradlens_cli.app import gradlens
from gradlens_cli.options import DECLARED

OFFERED = {
    "compare": (SAMPLES, WATCHING, EXTRAS, STARTING),
    "inspect": (SAMPLES, WATCHING, EXTRAS, STARTING),
    "paths": (SAMPLES, STARTING),
    "strategies": (SAMPLES, WATCHING, EXTRAS, TRAINING),
}


@pytest.mark.parametrize("command", OFFERED)
def test_a_command_offers_every_option_of_its_groups_with_its_default(command: str) -> None:
    parent = click.Context(gradlens, **gradlens.context_settings)  # click keeps the names of the help option
    ctx = gradlens.commands[command].make_context(command, [], parent=parent, resilient_parsing=True)
    options = {param.name: param for param in ctx.command.params if isinstance(param, click.Option)}
    for name, declared in DECLARED.items():
        if declared.group not in OFFERED[command]:
            continue
        option = options[name]
        flag = declared.flag or name.replace("_", "-")
        off = declared.default is True and not declared.either
        assert option.opts == [f"--no-{flag}" if off else f"--{flag}"]
        both = declared.off and not off and isinstance(declared.default, bool)
        assert option.secondary_opts == ([f"--no-{flag}"] if both else [])
        assert ctx.params[name] == (None if name in DETECTOR_DEFAULTS else declared.default)
        shown = declared.off if off else declared.help
        assert str(option.help).startswith(shown.removesuffix("."))


def test_options_without_a_group_exist_in_python_only() -> None:
    names = {param.name for command in gradlens.commands.values() for param in command.params}
    assert {name for name, declared in DECLARED.items() if not declared.group}.isdisjoint(names)


def test_a_study_is_flat_by_the_names_of_its_options() -> None:
    study = study_of({"seeds": 2, "sites": "forks", "space": "weights"})
    assert (study.watch.sites, study.watch.space) == ("forks", "weights")
    assert tuple(study.flat()) == NAMES
    assert study_of(study.flat()) == study


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batche": 1}, "unknown option 'batche'.*did you mean batches"),
        ({"seed": 1}, "unknown option 'seed'.*did you mean seeds"),
        ({"pairs": "exactly"}, "pairs='exactly' is not known; use one of sketch, exact; did you mean exact"),
        ({"image_size": 0}, "image_size=0; use at least 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        study_of(options)
