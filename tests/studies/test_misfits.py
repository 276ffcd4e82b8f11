"""Networks that do not fit the data: an error before any measurement, with advice that fits its cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.studies import cells, misfits

OPTIONS: dict[str, object] = {"seeds": 1, "batches": 1, "batch_size": 8, "throughput": False}


class Convolutions(nn.Module):
    def __init__(self, channels: int = 3, kernel: int = 3, features: int = 4) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(channels, 4, kernel), nn.Linear(features, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).relu()
        return self.head(x.mean((2, 3)) if self.head.in_features == 4 else x.flatten(1))


class Words(nn.Module):
    def __init__(self, positions: int = 100) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(50, 8), nn.Embedding(positions, 8)
        self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place(torch.arange(x.shape[1]))
        return self.head(self.body(x).relu().mean(1))


class Neck(Convolutions):
    def forward(self, x: Tensor) -> Tensor:
        return {"body": x}["neck"]


def sizes(height: int) -> Callable[[], nn.Module]:
    class Sized(Convolutions):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[2] == height, f"Input height ({x.shape[2]}) doesn't match model ({height})."
            return super().forward(x)

    return Sized


def message_of(build: Callable[[], nn.Module], **options: object) -> str:
    with pytest.raises(GradlensError) as raised:
        gl.inspect(build, progress=False, **{**OPTIONS, "image_size": 8, **options})
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("build", "options", "advice", "never"),
    [
        (lambda: Convolutions(kernel=9), {}, "use a larger image_size=", "input="),
        (lambda: Convolutions(channels=1), {}, "takes images of 1 channels, and these have 3", "image_size"),
        (lambda: Convolutions(features=99), {}, "use that image_size=", "larger"),
        (sizes(224), {}, "made for images of another size", "larger"),
        (Words, {}, "needs input=tokens:length=32,vocabulary=100", "image_size"),
        (Words, {"input": "tokens"}, "embed has 50 entries, place has 100 entries; use input=tokens:length=32,"
         "vocabulary=50", "image_size"),
        (lambda: Words(9), {"input": "tokens:vocabulary=40"}, "length=9,vocabulary=9", "image_size"),
        (lambda: nn.Sequential(Convolutions(), nn.Linear(10, 5)), {}, "fewer classes than the data", "image"),
    ],
    ids=["kernel", "channels", "features", "assertion", "tokens", "vocabulary", "positions", "classes"],
)  # fmt: skip
def test_the_advice_fits_the_cause(
    build: Callable[[], nn.Module], options: dict[str, object], advice: str, never: str
) -> None:
    message = message_of(build, **options)
    assert advice in message
    assert never not in message.partition("fails on")[2].partition("(")[2]


def test_an_error_of_another_kind_has_no_advice() -> None:
    class Odd(Convolutions):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("the moon is full")

    assert message_of(Odd).endswith(
        "RuntimeError: the moon is full, in " + message_of(Odd).rpartition(" in ")[2]
    )


@pytest.mark.parametrize("last", [Neck, lambda: Convolutions(kernel=9)])
def test_no_network_is_measured_before_all_have_run(
    last: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(cells, "measure", lambda *args, **options: measured.append(args))
    with pytest.raises(GradlensError, match=r"neck|fails on"):
        gl.compare(Convolutions, Convolutions, last, progress=False, **OPTIONS, image_size=8)
    assert not measured


@pytest.mark.parametrize("name", ["batches", "data"])
def test_a_smaller_last_batch_is_refused_before_any_measurement(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = torch.utils.data.TensorDataset(torch.rand(20, 3, 8, 8), torch.arange(20) % 10)
    monkeypatch.setattr(cells, "measure", lambda *args, **options: pytest.fail("measured"))
    options = {name: torch.utils.data.DataLoader(data, batch_size=8), "seeds": 1}
    with pytest.raises(GradlensError, match=r"batch 2 has 4 samples, the first 8; .*drop_last=True"):
        gl.inspect(Convolutions, progress=False, **options)


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[1][-1])


def test_a_recurrent_network_on_images_is_told_to_make_sequences_in_a_step() -> None:
    message = message_of(Steps)
    assert message.endswith(
        "(a recurrent network reads sequences; use a step= that makes them of the images)"
    )
    step = lambda model, batch: nn.functional.cross_entropy(model(batch[0].flatten(2).mT), batch[1])  # noqa: E731
    assert (
        gl.inspect(Steps, progress=False, **OPTIONS, image_size=8, step=step)["times"].frame["steps"].max()
        == 64
    )


@pytest.mark.parametrize(
    ("inputs", "advice"),
    [
        (
            torch.randint(0, 999, (8, 6)),
            "embed has 50 entries, place has 100 entries; use batches of token numbers",
        ),
        (
            torch.zeros(8, 200, dtype=torch.long),
            "embed has 50 entries, place has 100 entries; use batches of token",
        ),
        (
            torch.rand(8, 6),
            "an embedding reads whole numbers; use batches of token numbers, of type torch.long",
        ),
    ],
    ids=["numbers", "positions", "floats"],
)
def test_the_advice_about_batches_of_tokens_of_the_caller_names_no_other_data(
    inputs: Tensor, advice: str
) -> None:
    with pytest.raises(GradlensError) as raised:
        gl.inspect(Words(), batches=[(inputs, torch.arange(8))], progress=False)
    assert advice in str(raised.value)
    assert "input=" not in str(raised.value)


def test_an_exception_in_a_step_has_no_advice_about_another_step() -> None:
    step = lambda model, batch: batch["inputs"]  # noqa: E731
    with pytest.raises(GradlensError, match=r"your step raised TypeError: [^(]*$"):
        gl.inspect(
            Convolutions, batches=[(torch.rand(8, 3, 8, 8), torch.arange(8))], step=step, progress=False
        )


class Photos(torch.utils.data.Dataset):
    """Photos of which one cannot be read."""

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == self.broken:
            raise OSError(f"{index}.png is truncated")
        return torch.rand(3, 8, 8), index % 10


def drying_up() -> Iterator[object]:
    yield torch.rand(8, 3, 8, 8), torch.arange(8)
    raise OSError("0.png is truncated")


@pytest.mark.parametrize(
    "source",
    [
        lambda: torch.utils.data.DataLoader(Photos(0), batch_size=8),
        lambda: torch.utils.data.DataLoader(Photos(12), batch_size=8),
        drying_up,
    ],
    ids=["first batch", "second batch", "generator"],
)
@pytest.mark.parametrize("measure", [gl.inspect, gl.compare, gl.paths, gl.strategies])
def test_an_exception_of_the_data_is_shown_as_the_callers(
    measure: Callable[..., object], source: Callable[[], object]
) -> None:
    networks = [Convolutions] * (2 if measure is gl.compare else 1)
    options = {"stages": "body"} if measure is gl.strategies else {}
    message = r"your batches raised OSError: .*truncated, in .*test_misfits.py:\d+ \("
    with pytest.raises(GradlensError, match=message):
        measure(*networks, batches=source(), progress=False, **options)


def test_images_of_several_sizes_that_a_loader_cannot_stack_are_an_error_of_the_data() -> None:
    photos = [(torch.rand(3, 8, 8 + index), 1) for index in range(8)]
    loader = torch.utils.data.DataLoader(photos, batch_size=4)  # type: ignore[arg-type]
    for measure in (gl.inspect, gl.capture):
        with pytest.raises(
            GradlensError, match="your batches raised RuntimeError: stack expects each tensor"
        ):
            measure(Convolutions(), loader) if measure is gl.capture else measure(Convolutions, data=loader)


def test_a_frozen_network_is_called_frozen() -> None:
    message = message_of(lambda: Convolutions().requires_grad_(False))
    assert "the whole network is frozen" in message
    half = Convolutions()
    half.body.requires_grad_(False)
    finding = gl.inspect(half, progress=False, **OPTIONS, image_size=8).finding
    assert "1 signal watched with sites=signals, but two are needed (1 layer is frozen)" in finding


def test_a_batch_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misfits, "free_bytes", lambda: 1000)
    message = message_of(Convolutions, image_size=16)
    assert "a backward pass of Convolutions on a batch of 8 samples saves about" in message
    assert message.endswith("use a smaller batch_size= or image_size=")
