"""A network, a step and a loss in files of the user, tokens, heads of checkpoints, and stages by path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from click.testing import Result as Ran

import gradlens as gl
from gradlens_cli.app import gradlens

FILE = """
import torch
from torch import nn


class Text(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.embedding, self.inner, self.head = nn.Embedding(50, 8), nn.Linear(8, 8), nn.Linear(8, num_classes)

    def forward(self, tokens):
        return self.head(torch.relu(self.inner(self.embedding(tokens))).mean(1))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 10)

    def forward(self, image, depth):
        return self.head((torch.relu(self.left(image)) + torch.relu(self.right(depth))).mean((2, 3)))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 10)

    def forward(self, x):
        return {"out": self.head(torch.relu(self.body(x)).mean((2, 3)))}


class Staged(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda: nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.stem, self.body = nn.Conv2d(3, 8, 3, 2, 1), nn.ModuleList([nn.Sequential(block(), block())])
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.body[0](self.stem(x)).mean((2, 3)))


class Widening(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda inputs, outputs: nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())
        self.body, self.head = nn.ModuleList([nn.Sequential(block(3, 8), block(8, 12))]), nn.Linear(12, 10)

    def forward(self, x):
        return self.head(self.body[0](x).mean((2, 3)))


def text(num_classes):
    return Text(num_classes)


def widening():
    return Widening()


def two():
    return Two()


def heads():
    return Heads()


def staged():
    return Staged()


def step(model, batch):
    return torch.nn.functional.cross_entropy(model(batch[0], batch[0]), batch[1])


def loss(output, target):
    return torch.nn.functional.cross_entropy(output["out"], target)
"""


@pytest.fixture
def measured(tmp_path: Path, pages: None):
    """Return a function that runs a command on the networks of a file, small."""
    file = tmp_path / "nets.py"
    file.write_text(FILE, encoding="utf-8")

    def run(command: str, *arguments: str) -> tuple[Ran, Path]:
        small = [
            "--image-size",
            "16",
            "--batch-size",
            "8",
            "--batches",
            "2",
            "--seeds",
            "1",
            "--no-throughput",
        ]
        texts = [str(argument).replace("FILE", str(file)) for argument in arguments]
        folder = tmp_path / "run"
        ran = CliRunner().invoke(gradlens, [command, *texts, *small, "--out", str(folder), "--force"])
        return ran, folder

    return run


def test_a_step_and_a_loss_are_functions_of_a_file(measured) -> None:
    for arguments in (["FILE:two", "--step", "FILE:step"], ["FILE:heads", "--loss", "FILE:loss"]):
        ran, folder = measured("inspect", *arguments)
        assert ran.exit_code == 0, ran.output
        study = gl.load(folder).meta["study"]
        assert (study["step"] or study["loss"]).rpartition(":")[2] in ("step", "loss")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FILE:two"], "give --step file.py:step, with import torch and `def step(model, batch): return"),
        (["FILE:heads"], "give --loss file.py:loss, with import torch and `def loss(output, target): return"),
        (["FILE:heads", "--loss", "FILE:los"], "has no function 'los'; did you mean loss?"),
        (["FILE:torsh"], "has no function 'torsh'; it has"),
        (["FILE:heads", "--loss", "FILE"], "is not understood; give --loss path/file.py:function"),
        (["FILE:heads", "--loss", "none.py:loss"], "there is no file none.py"),
        (["FILE:two", "--step", "FILE:step", "--loss", "FILE:loss"], "not both"),
        (["FILE:text"], "a network of tokens needs --input tokens:length=32,vocabulary=100"),
        (["FILE:text", "--input", "words"], "give --input tokens:length=32,vocabulary=100"),
        (["FILE:text", "--input", "tokens", "--data", "photos"], "leave out --data"),
        (["FILE:heads", "--num-classes", "3"], "--num-classes 3 is less than the 10 classes of the data"),
        (["FILE:staged", "--stages", "body.0"], "--stages body.0 are cut by a transition strategy"),
        (["FILE:widening@csp"], "name them, for example --stages body.0"),
    ],
)
def test_the_error_is_one_line_in_the_language_of_the_command_line(measured, arguments, message) -> None:
    ran, _ = measured("inspect", *arguments)
    assert ran.exit_code == 1
    assert message in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr


def test_tokens_and_stages(measured) -> None:
    ran, folder = measured(
        "inspect", "FILE:text", "--input", "tokens:length=5,vocabulary=50", "--num-classes", "4"
    )
    assert ran.exit_code == 0, ran.output
    identity = gl.load(folder).meta["data_identity"][0]
    assert (identity["name"], identity["classes"]) == ("tokens:length=5,vocabulary=50", 4)
    ran, folder = measured("compare", "FILE:staged", "FILE:staged@csp", "--stages", "body.0")
    assert ran.exit_code == 0, ran.output


def test_a_head_of_a_checkpoint_with_more_classes_than_the_data_is_kept(measured, tmp_path: Path) -> None:
    torch.save(gl.load_model("resnet18", num_classes=1000).state_dict(), tmp_path / "w.pt")
    ran, folder = measured("inspect", "resnet18", "--checkpoint", str(tmp_path / "w.pt"))
    assert ran.exit_code == 0, ran.output
    assert any("1000 classes of w.pt" in note for note in gl.load(folder).meta["notes"])


def test_a_head_of_a_checkpoint_with_fewer_classes_than_the_data_is_refused(measured, tmp_path: Path) -> None:
    torch.save(gl.load_model("resnet18", num_classes=4).state_dict(), tmp_path / "w.pt")
    ran, _ = measured("inspect", "resnet18", "--checkpoint", str(tmp_path / "w.pt"))
    assert ran.exit_code == 1
    assert "has 4 classes, the data 10" in " ".join(ran.stderr.split())
