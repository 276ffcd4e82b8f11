"""Recording: merging, taking replicates, saving and loading."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError


class Net(nn.Module):
    def __init__(self, act: Any = torch.tanh) -> None:
        super().__init__()
        self.stem, self.look = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.a, self.b, self.c = (nn.Conv2d(8, 3, k, padding=k // 2) for k in (1, 3, 5))
        self.head = nn.Linear(9, 4)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        first, second = x.chunk(2, 1)
        x = torch.cat([first, self.look(second) + second], 1)
        return self.head(torch.cat([self.a(x), self.b(x), self.c(x)], 1).mean((2, 3)))


def batches(count: int, n: int = 6, size: int = 10) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [(torch.randn(n, 3, size, size, generator=generator), torch.arange(n) % 4) for _ in range(count)]


def net(act: Any = torch.tanh) -> Net:
    torch.manual_seed(5)
    return Net(act)


@pytest.fixture
def recording() -> gl.Recording:
    return gl.capture(net(), batches(3), throughput=2, meta={"network": "net"})


def assert_same(a: gl.Recording, b: gl.Recording) -> None:
    np.testing.assert_array_equal(a.grams, b.grams)
    assert a.inner.keys() == b.inner.keys()
    for group in a.inner:
        np.testing.assert_array_equal(a.inner[group], b.inner[group])
    assert a.projected_errors.keys() == b.projected_errors.keys()
    for group in a.projected_errors:
        np.testing.assert_array_equal(a.projected_errors[group], b.projected_errors[group])
    assert a.plan.probes == b.plan.probes
    assert a.plan.groups == b.plan.groups
    assert a.plan.graph.structure == b.plan.graph.structure


def test_merged_recordings_equal_a_recording_of_all_batches(recording: gl.Recording) -> None:
    model, (first, second, third) = net(), batches(3)
    parts = [gl.capture(model, [batch]) for batch in (first, second, third)]
    merged = parts[0].merge(*parts[1:])
    assert_same(merged, recording)
    assert merged.inner  # a fork of three, so that there is something to compare
    np.testing.assert_array_equal(merged.labels, recording.labels)
    assert len(merged.replicates) == 3


def test_taking_replicates_undoes_merging(recording: gl.Recording) -> None:
    assert_same(recording.take([0]).merge(recording.take([1, 2])), recording)
    assert recording.take([2]).replicates == (recording.replicates[2],)


def test_replicates_are_taken_by_seed(recording: gl.Recording) -> None:
    other = gl.capture(net(), batches(2), seed=7)
    merged = recording.merge(other)
    assert merged.seeds == (0, 7)
    assert merged.replicates == ((0, 0), (0, 1), (0, 2), (7, 0), (7, 1))
    assert_same(merged.of_seed(7), other.of_seed(7))
    np.testing.assert_array_equal(merged.of_seed(0).grams, recording.grams)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: gl.capture(net(torch.sigmoid), batches(1)), "different graphs"),
        (lambda: gl.capture(net(), batches(1, n=8)), "6 and 8 samples"),
        (lambda: gl.capture(net(), batches(1), sites="forks"), "different sites"),
        (lambda: gl.capture(net(), batches(1, size=12)), "different sites"),
    ],
)
def test_recordings_that_do_not_belong_together_are_not_merged(
    recording: gl.Recording, other: Any, message: str
) -> None:
    with pytest.raises(GradlensError, match=message):
        recording.merge(other())


def test_loading_restores_what_was_saved(recording: gl.Recording, tmp_path: Path) -> None:
    loaded = gl.Recording.load(recording.save(tmp_path / "net.safetensors"))
    assert_same(loaded, recording)
    for field in dataclasses.fields(recording):
        original, restored = getattr(recording, field.name), getattr(loaded, field.name)
        if field.name in ("grams", "inner", "projected_errors"):
            continue
        if field.name == "dry_errors":
            assert original.keys() == restored.keys()
            np.testing.assert_array_equal([*original.values()], [*restored.values()])
        elif field.name == "labels":
            np.testing.assert_array_equal(original, restored)
        else:
            assert original == restored, field.name
    tables = gl.analyze(loaded).tables
    for name, table in gl.analyze(recording).tables.items():
        assert table.frame.equals(tables[name].frame), name


@pytest.mark.parametrize("options", [{"sites": "all"}, {"space": "weights"}], ids=["all", "weights"])
def test_the_second_format_holds_the_same_plan(options: dict[str, str], save_older: Any) -> None:
    recording = gl.capture(net(), batches(2), costs=False, **options)
    assert any(group.parts for group in recording.plan.groups)
    loaded = gl.Recording.load(save_older(recording, 2))
    assert loaded.plan == recording.plan
    assert_same(loaded, recording)


def test_a_recording_without_labels_and_costs_is_loaded_too(tmp_path: Path) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return model(batch["x"]).square().mean()

    recording = gl.capture(net(), [{"x": x} for x, _ in batches(2)], step=step, costs=False)
    loaded = gl.Recording.load(recording.save(tmp_path / "net.safetensors"))
    assert loaded.labels is None
    assert loaded.costs is None
    assert_same(loaded, recording)


def missing(path: Path) -> None:
    pass


def foreign(path: Path) -> None:
    save_file({"weight": np.ones(3)}, str(path))


def garbage(path: Path) -> None:
    path.write_bytes(b"not a safetensors file at all")


def truncated(path: Path) -> None:
    whole = gl.capture(net(), batches(1), costs=False).save(path)
    path.write_bytes(whole.read_bytes()[:-100])


def empty_document(path: Path) -> None:
    save_file({"grams": np.ones(3)}, str(path), metadata={"gradlens": "{}"})


def no_document(path: Path) -> None:
    save_file({"grams": np.ones(3)}, str(path), metadata={"gradlens": "[1"})


def newer(path: Path) -> None:
    save_file({"grams": np.ones(3)}, str(path), metadata={"gradlens": json.dumps({"format": 99})})


def no_grams(path: Path) -> None:
    whole = gl.capture(net(), batches(1), costs=False).save(path)
    from safetensors import safe_open

    with safe_open(str(whole), framework="numpy") as file:
        document = file.metadata()
    save_file({"other": np.ones(3)}, str(path), metadata=document)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "damage", [missing, foreign, garbage, truncated, empty_document, no_document, newer, no_grams, folder]
)
def test_a_file_that_is_no_recording_is_refused_in_one_line(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    damage(path)
    with pytest.raises(GradlensError) as caught:
        gl.Recording.load(path)
    assert "some.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_cannot_be_written_is_named(recording: gl.Recording, tmp_path: Path) -> None:
    with pytest.raises(GradlensError, match="no such folder"):
        recording.save(tmp_path / "no such folder" / "net.safetensors")


def test_energies_are_the_traces(recording: gl.Recording) -> None:
    assert recording.energies.shape == recording.grams.shape[:2]
    assert recording.energies[1, 2] == pytest.approx(np.trace(recording.grams[1, 2]))
    assert recording.n == 6


def test_captures_with_equal_batch_numbers_are_renumbered(recording: gl.Recording) -> None:
    model, (first, second, third) = net(), batches(3)
    parts = [gl.capture(model, [batch]) for batch in (first, second, third)]
    assert parts[0].merge(*parts[1:]).replicates == recording.replicates == ((0, 0), (0, 1), (0, 2))


def test_a_replicate_cannot_be_merged_twice(recording: gl.Recording) -> None:
    with pytest.raises(GradlensError, match="batch 0 of seed 0 is in both"):
        recording.merge(recording)


def test_the_repr_shows_what_was_watched(recording: gl.Recording) -> None:
    text = repr(recording)
    for line in (
        "Recording of net",
        "6 signals of layers",
        "2 forks, 1 partial split, 1 merge",
        "3 batches of 6, seed 0",
        "train mode",
        "signals in stages 2, head",
        f"{len(recording.grams)} Grams per replicate",
    ):
        assert line in text
    page = recording._repr_html_()
    assert "6 signals of layers" in page
    assert "<li>" not in page
    annotated = recording.with_meta(notes=["made so"], unseen_layers=["odd"], partial=True)
    for line in (
        "made so",
        "1 layer ran whose gradient is not among the signals: odd",
        "the capture was stopped early",
    ):
        assert f"note: {line}" in repr(annotated)
        assert f"<li>{line}" in annotated._repr_html_()


def test_names_of_modules_are_escaped_in_every_html_repr() -> None:
    evil = "<script>alert(1)<"  # a module's name may hold anything but a dot
    model = nn.Sequential()
    for name, layer in ((evil, nn.Conv2d(3, 4, 3)), ("flat", nn.Flatten()), (f"{evil}2", nn.Linear(256, 4))):
        model.add_module(name, layer)
    recording = gl.capture(model, batches(2)).with_meta(network=evil)
    result = gl.analyze(recording)
    shown = [recording, result, result.explore(static=True), *result.tables.values()]
    pages = [page._repr_html_() for page in shown]
    assert all("<script" not in page for page in pages)
    assert sum("&lt;script&gt;" in page for page in pages) > 5
