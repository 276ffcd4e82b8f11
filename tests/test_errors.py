"""Exceptions of the caller's code are shown as theirs."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import gradlens as gl
from gradlens.errors import CallerError, GradlensError, callers_errors, described


class Net(nn.Module):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.layer, self.error = nn.Linear(3, 2), error

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        return self.layer(x)


def batches(count: int = 2, width: int = 3) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(6, width), torch.arange(6) % 2) for _ in range(count)]


def line_in(function: Any, text: str) -> str:
    lines, start = inspect.getsourcelines(function)
    number = start + next(index for index, line in enumerate(lines) if text in line)
    return f"test_errors.py:{number} ({function.__name__})"


def test_an_exception_of_the_model_names_its_file_and_line() -> None:
    with pytest.raises(CallerError) as caught:
        gl.capture(Net(KeyError("neck")), batches())
    assert str(caught.value).startswith("your model raised KeyError: 'neck' in ")
    assert str(caught.value).endswith(line_in(Net.forward, "raise self.error"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_operation_that_fails_is_the_model_s_with_the_line_that_calls_it() -> None:
    with pytest.raises(CallerError) as caught:
        gl.capture(Net(), batches(width=5))
    assert "your model raised RuntimeError: " in str(caught.value)
    assert str(caught.value).endswith(line_in(Net.forward, "self.layer(x)"))
    assert "\n" not in str(caught.value)


def loss(output: Tensor, target: Tensor) -> Tensor:
    return output[{}["key"]]


def step(model: nn.Module, batch: Any) -> Tensor:
    inputs, _, _weights = batch
    return model(inputs).sum()


@pytest.mark.parametrize(
    ("options", "start", "line"),
    [
        ({"loss": loss}, "your loss raised KeyError: 'key'", line_in(loss, "key")),
        ({"step": step}, "your step raised ValueError: not enough values", line_in(step, "_weights")),
    ],
)
def test_exceptions_of_a_loss_and_a_step(options: dict[str, Any], start: str, line: str) -> None:
    with pytest.raises(CallerError) as caught:
        gl.capture(Net(), batches(), **options)
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(line)


class Ends(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise ZeroDivisionError("in backward")


def test_an_exception_in_a_backward_of_the_caller() -> None:
    class Broken(Net):
        def forward(self, x: Tensor) -> Tensor:
            return Ends.apply(self.layer(x))

    with pytest.raises(CallerError) as caught:
        gl.capture(Broken(), batches())
    assert "ZeroDivisionError: in backward" in str(caught.value)
    assert str(caught.value).endswith(line_in(Ends.backward, "raise"))


class Data(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Tensor:
        return {"images": torch.ones(3)}["image"]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_exception_of_the_data_also_in_a_worker(workers: int) -> None:
    with pytest.raises(CallerError) as caught:
        gl.capture(Net(), DataLoader(Data(), batch_size=6, num_workers=workers))
    assert str(caught.value).startswith("your batches raised KeyError: 'image' in ")
    assert str(caught.value).endswith(line_in(Data.__getitem__, "images"))


def test_exceptions_of_libraries_and_of_gradlens_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="mat1"):
        gl.capture(nn.Sequential(nn.Linear(3, 2)), batches(width=5))
    with pytest.raises(GradlensError) as caught, callers_errors("step"):
        raise GradlensError("mine")
    assert type(caught.value) is GradlensError


def test_long_messages_are_one_short_line() -> None:
    text = described(ValueError("a\n  b\n" + "c" * 1000))
    assert text.startswith("ValueError: a b ccc")
    assert len(text) < 400
