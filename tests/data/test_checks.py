"""Checks of the data before torch is loaded: they agree with what loading the data does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradlens import memory
from gradlens.catalogue.datasets import DATASETS
from gradlens.data import checks, load_data
from gradlens.data.checks import check_input, check_samples
from gradlens.data.request import Request
from gradlens.errors import GradlensError


def request(seed: int = 0, *, batch_size: int = 4, batches: int = 2, image_size: int = 8) -> Request:
    return Request(batch_size, batches, 0, image_size, 3, seed)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("cats/0", "cats/1", "cats/2", "cats/3", "dogs/0", "dogs/1", "dogs/2", "dogs/3", "dogs/4"):
        (file := tmp_path / f"{name}.jpg").parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(256, size=(70, 50, 3), dtype=np.uint8)).save(file)
    return tmp_path


@pytest.mark.parametrize("seed", [0, 1, 77, 2**32 - 1])
@pytest.mark.parametrize("total", [0, 1, 2, 9, 1797])
def test_the_order_is_that_of_torch(total: int, seed: int) -> None:
    expected = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    assert request(seed).order(total) == expected.tolist()


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_size_of_a_data_set_is_that_of_its_samples(name: str) -> None:
    entry = DATASETS[name]
    assert load_data(name, batches=1, image_size=entry.least).identity["total"] == entry.size


def test_readable_images_pass_and_have_no_side_effect(photos: Path) -> None:
    check_samples(str(photos), [request(seed) for seed in range(3)])
    assert len(load_data(str(photos), batch_size=4, batches=2, image_size=8)) == 2


@pytest.mark.parametrize("kept", [0, 40, 600])
def test_the_first_bad_image_of_the_order_is_named_as_when_loading(photos: Path, kept: int) -> None:
    file = photos / "dogs/2.jpg"
    file.write_bytes(file.read_bytes()[:kept])
    messages = set()
    for run in (
        lambda seed: check_samples(str(photos), [request(seed)]),
        lambda seed: load_data(str(photos), batch_size=4, batches=2, image_size=8, seed=seed),
    ):
        seed = next(seed for seed in range(99) if request(seed).order(9).index(6) < 8)
        with pytest.raises(GradlensError, match="cannot be read as an image") as raised:
            run(seed)
        messages.add(str(raised.value).partition(" (")[0])
    assert messages == {f"{file} cannot be read as an image"}


def test_a_bad_image_that_is_not_requested_or_may_be_skipped_passes(photos: Path) -> None:
    (photos / "dogs/2.jpg").write_bytes(b"")
    seed = next(seed for seed in range(99) if request(seed).order(9).index(6) == 8)
    check_samples(str(photos), [request(seed)])
    check_samples(str(photos), [request(s) for s in range(9)], skip_bad=True)


def test_reading_in_advance_ends_when_its_time_is_over(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in photos.rglob("*.jpg"):
        file.write_bytes(b"")
    monkeypatch.setattr(checks, "SECONDS", -1.0)
    check_samples(str(photos), [request()])


@pytest.mark.parametrize("name", ["digits", "random"])
def test_images_that_do_not_fit_are_refused_by_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 2 * 4 * 8 * 3 * 8 * 8  # two copies of 8 images of 8 x 8 in float32
    monkeypatch.setattr(checks, "free_bytes", lambda: needed)
    check_samples(name, [request()])
    monkeypatch.setattr(checks, "free_bytes", lambda: needed - 1)
    with pytest.raises(
        GradlensError, match=r"8 images of 8 x 8 do not fit into memory \(12.0.KiB are needed"
    ):
        check_samples(name, [request()])
    monkeypatch.setattr(checks, "free_bytes", lambda: None)
    check_samples(name, [request()])


def test_free_memory_is_the_least_of_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal: 100 kB\nMemAvailable: 50 kB\nSwapFree: 7 kB\nHugePages_Total: 0\n"
    )
    monkeypatch.setattr(memory, "SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.free_bytes() == 57 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory.free_bytes() == 4000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_bytes() == 57 * 1024


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("token:length=8", "digits", "did you mean tokens"),
        ("tokens:length=0", "digits", "at least 1"),
        ("tokens", "photos", "leave out data="),
        ("images:size=3", "random", "is not known"),
    ],
)
def test_bad_inputs_are_refused(text: str, data: str, message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        check_input(text, data)


def test_inputs_of_tokens_pass() -> None:
    check_input("tokens:length=3,vocabulary=7", "digits")
