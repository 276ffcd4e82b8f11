"""Messages of the library name Python parameters; the command line shows its options instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gradlens.errors import GradlensError
from gradlens.models.spec import NetworkSpec
from gradlens.results import Result
from gradlens_cli.app import gradlens
from gradlens_cli.wording import in_options, options_of, translated


def options(command: str) -> dict[str, click.Option]:
    return options_of(gradlens, command)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batches=4 or a larger batch_size=", "--batches 4 or a larger --batch-size"),
        ("use warmup_steps=10 or zero_init=False", "use --warmup-steps 10 or --no-zero-init"),
        ("needs a larger image_size=.", "needs a larger --image-size."),
        ("seeds=0; use at least 1", "--seeds 0; use at least 1"),
        ("(skip_bad=True)", "(--skip-bad)"),
        ("leave out pretrained=True", "leave out --pretrained"),
        ("use pretrained=False", "use no --pretrained"),
        ("throughput=False, then lr=0.1.", "--no-throughput, then --lr 0.1."),
        ("such as steps=200", "such as --train-steps 200"),
        ("evaluate=True", "--eval"),
        ("checkpoint=FILE", "--checkpoint FILE"),
        ("capture with sites='signals'", "capture with --sites signals"),
        ("choose with strategies=", "choose with --strategies"),
        ("space='both' is not offered", "--space both is not offered"),
        ("resnet50@csp,gamma=0.25", "resnet50@csp,gamma=0.25"),  # a name of a network
        ("runs/seeds=3/page", "runs/seeds=3/page"),
        ("x.seeds=3", "x.seeds=3"),
        ("costs=True", "costs=True"),  # not an option of the command line
        ("a = 3, seed 0: b", "a = 3, seed 0: b"),
        ("name them with stages=body.0,body.1", "name them with --stages body.0,body.1"),
        ("needs input=tokens:length=32,vocabulary=100", "needs --input tokens:length=32,vocabulary=100"),
        (
            'give `step=lambda model, batch: model(input=batch["input"]).loss`, seeds=3',
            'give --step file.py:step, with `def step(model, batch): return model(input=batch["input"]).loss` in '
            "file.py, --seeds 3",
        ),
        (
            "give `loss=lambda output, target: torch.nn.functional.mse_loss(output, target)`",
            "give --loss file.py:loss, with import torch and `def loss(output, target): return "
            "torch.nn.functional.mse_loss(output, target)` in file.py",
        ),
    ],
)
def test_parameters_become_options(text: str, expected: str) -> None:
    assert translated(text, options("compare")) == expected


@pytest.mark.parametrize(
    ("options_text", "message"),
    [
        (
            "gama=0.3",
            "'gama=0.3' in 'resnet18@csp,gama=0.3' is not an option; "
            "write NAME@strategy,gamma=0.5,partial=split,stem=cifar,cut=first; did you mean gamma?",
        ),
        ("gamma=half", "gamma 'half' in 'resnet18@csp,gamma=half' is not a number from 0 to below 1"),
        ("partial=cut", "partial 'cut' is not known; use one of split, project"),
        ("stem=imagenet", "stem 'imagenet' is not known; use cifar, or leave it out"),
    ],
)
def test_options_in_the_name_of_a_network_stay(options_text: str, message: str) -> None:
    with pytest.raises(GradlensError) as error:
        NetworkSpec.parse(f"resnet18@csp,{options_text}")
    assert translated(str(error.value), options("inspect")) == message


def test_the_running_command_takes_precedence() -> None:
    group = click.Group(
        commands=[
            click.Command("first", params=[click.Option(["--bare", "x"], is_flag=True)]),
            click.Command("second", params=[click.Option(["--plain", "x"], is_flag=True)]),
        ]
    )
    assert translated("x=True", options_of(group, "first")) == "--bare"
    assert translated("x=True", options_of(group, "second")) == "--plain"


@pytest.mark.parametrize("command", ["inspect", "compare", "paths", "strategies"])
def test_a_switch_with_two_flags_is_named_by_the_one_that_is_meant(command: str) -> None:
    assert translated("zero_init=True", options(command)) == "--zero-init"
    assert translated("use zero_init=False.", options(command)) == "use --no-zero-init."
    assert translated("zero_init=", options(command)) == "--zero-init"


def test_without_a_command_a_text_is_unchanged() -> None:
    assert in_options("batches=4") == "batches=4"


def test_errors_and_warnings_are_translated(
    run: Callable[..., object], study: object, pages: None, compared: Result
) -> None:
    study.answer = lambda progress: compared.warned(["use seeds=3 or more"])  # type: ignore[attr-defined]
    ran = run("compare", "a", "b")
    assert "warning: use --seeds 3 or more\n" in ran.stderr  # type: ignore[attr-defined]

    def fail(progress: object) -> Result:
        raise GradlensError("lower batches= or batch_size=")

    study.answer = fail  # type: ignore[attr-defined]
    ran = run("compare", "a", "b")
    assert ran.stderr.endswith("error: lower --batches or --batch-size\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("meta", "translated_page"), [({"command": "gradlens inspect net"}, True), ({}, False)]
)
def test_the_page_of_a_command_shows_options_and_its_data_parameters(
    run: Callable[..., object], tmp_path: Path, meta: dict[str, str], translated_page: bool
) -> None:
    saved = Result({}, {"kind": "inspect", "a": "net", **meta}, "Nothing.", ("use seeds=3 or more",)).save(
        tmp_path
    )
    before = (saved / "result.json").read_text("utf-8")
    run("report", saved)
    page = (saved / "report.html").read_text("utf-8")
    assert ('<code class="option">--seeds 3</code>' in page, "seeds=3" in page) == (
        translated_page,
        not translated_page,
    )
    assert (saved / "result.json").read_text("utf-8") == before
