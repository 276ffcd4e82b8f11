"""Some replicates of a recording: as a recording of them alone, though arrays are copied when they are read."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl


class Net(nn.Module):
    """Two heads and a fork of three, so that a recording holds products and two losses."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.left, self.right = nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        x = x + torch.tanh(self.a(x)) + torch.tanh(self.b(x))
        return self.left(x), self.right(x)


def step(model, batch):
    left, right = model(batch[0])
    return {"classes": nn.functional.cross_entropy(left, batch[1]), "size": right.square().mean()}


@pytest.fixture(scope="module")
def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(6, 5, generator=generator), torch.arange(6) % 3) for _ in range(4)]


@pytest.fixture(scope="module")
def recording(batches):
    torch.manual_seed(1)
    return gl.capture(Net(), batches, step=step, halves=True, progress=False)


def assert_equal(a, b):
    """Compare all fields of two recordings that have an axis of replicates."""
    for name in ("grams", "halves", "labels", "energies", "signal_grams", "loss_gram"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    for name in ("inner", "carried", "projected_errors"):
        assert getattr(a, name).keys() == getattr(b, name).keys()
        for number, array in getattr(a, name).items():
            np.testing.assert_array_equal(array, getattr(b, name)[number], err_msg=name)
    assert a.replicates == b.replicates
    assert a.n == b.n


def without_origin(part):
    """Return the same recording with arrays of its own."""
    return replace(part)


@pytest.mark.parametrize("index", [[0], [3, 1], [0, 1, 2], [-1, 0], [2, 2]])
def test_replicates_are_those_of_the_whole(recording, index):
    part = recording.take(index)
    np.testing.assert_array_equal(part.grams, recording.grams[:, index])
    assert_equal(part, without_origin(recording.take(index)))
    for group in recording.plan.groups:
        np.testing.assert_array_equal(part.member_grams(group), without_origin(part).member_grams(group))


def test_a_part_of_a_part_counts_in_the_part(recording):
    assert_equal(recording.take([3, 1, 0]).take([2, 0]), recording.take([0, 3]))
    assert recording.take([3, 1, 0]).take([2, 0]).origin == (recording, [0, 3])


def test_all_replicates_are_the_recording_itself(recording):
    assert recording.take(range(4)) is recording
    assert recording.of_seed(0) is recording
    assert recording.take([1, 0, 2, 3]) is not recording


def test_the_losses_of_a_part_are_parts_of_the_losses(recording):
    part = recording.take([2, 0])
    assert part.losses == recording.losses == ("classes", "size")
    for name in part.losses:
        assert_equal(part.of_loss(name), without_origin(recording.of_loss(name)).take([2, 0]))


def test_a_part_may_be_changed_copied_saved_and_pickled(recording, tmp_path):
    part = recording.take([2, 0])
    for other in (
        part.with_meta(network="other"),
        copy.copy(part),
        pickle.loads(pickle.dumps(part)),
        gl.Recording.load(part.save(tmp_path / "part.safetensors")),
    ):
        assert_equal(other, part)
    assert part.with_meta(network="other").name == "other"
    changed = replace(part, grams=part.grams * 4)
    np.testing.assert_array_equal(changed.energies, 4 * part.energies)
    np.testing.assert_array_equal(changed.signal_grams, 4 * part.signal_grams)


def test_a_part_has_every_field_and_no_other(recording):
    part = recording.take([1])
    for field in fields(recording):
        getattr(part, field.name)
    with pytest.raises(AttributeError, match="nothing"):
        part.nothing  # noqa: B018


def test_a_recording_is_freed_without_the_collector_of_cycles(recording):
    gc.disable()
    try:
        whole = replace(recording)
        part = whole.take([0, 1])
        gl.analyze(part, ["duplication", "branches"], progress=False)
        freed = weakref.ref(whole)
        del whole, part
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("index", [[0, 2], [1, 2, 3], [3]])
def test_tables_of_a_part_are_those_of_a_recording_of_its_own(recording, index):
    ours, expected = (
        gl.analyze(one, progress=False).tables
        for one in (recording.take(index), without_origin(recording.take(index)))
    )
    assert ours.keys() == expected.keys()
    for name, table in ours.items():
        for column in table.frame.select_dtypes("number"):
            np.testing.assert_allclose(
                table.frame[column],
                expected[name].frame[column],
                rtol=1e-9,
                atol=1e-9,
                err_msg=f"{name} {column}",
            )
