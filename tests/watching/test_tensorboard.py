"""TensorBoard reads back what a watched training wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from oracles.extras import needs
from torch import nn
from torch.nn import functional

import gradlens as gl
from gradlens.watching.rows import Row
from gradlens.watching.scalars import scalars_of

ROWS = [
    Row(7, 0, "4", "a", "", "rms", 1.0),
    Row(7, 0, "4", "b", "", "rms", 100.0),
    Row(7, 0, "4", "c", "", "rms", 0.0),
    Row(7, 0, "4", "a", "", "dead", 0.0),
    Row(7, 0, "4", "c", "", "dead", 1.0),
    Row(7, 0, "4", "f", "skip", "share", 0.7),
    Row(7, 0, "4", "f", "residual", "share", 0.3),
    Row(7, 0, "4", "f", "", "coherence", 1.2),
    Row(7, 0, "4", "", "", "duplication", 0.5),
    Row(7, 1, "whole", "", "", "finite", 1.0),
]


def test_a_stage_has_one_scalar_per_quantity() -> None:
    assert dict(scalars_of(ROWS)) == {
        "gradlens/4/rms": pytest.approx(10.0),
        "gradlens/4/dead": 1.0,
        "gradlens/4/share": 0.3,
        "gradlens/4/coherence": 1.2,
        "gradlens/4/duplication": 0.5,
        "gradlens/backward 1/whole/finite": 1.0,
    }


def test_places_have_their_own_scalars_if_they_are_asked_for() -> None:
    every = dict(scalars_of(ROWS, places=True))
    assert every["gradlens/4/rms/b"] == 100.0
    assert every["gradlens/4/share/f/skip"] == 0.7
    assert {**every, **dict(scalars_of(ROWS))} == every


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_back_every_scalar_also_after_a_resumed_training(tmp_path: Path) -> None:
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))

    def train(watching: gl.Watching, steps: int) -> None:
        with watching:
            for _ in range(steps):
                functional.cross_entropy(model(torch.randn(6, 3, 8, 8)), torch.arange(6) % 5).backward()

    first = gl.watch(model, every=2, to=gl.TensorBoardLog(tmp_path, places=True))
    train(first, 6)
    second = gl.watch(model, every=2, to=gl.TensorBoardLog(tmp_path, places=True))
    second.load_state_dict({**first.state_dict(), "step": 4})
    train(second, 4)
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    rows = [row for row in first.rows if row.step < 4] + second.rows
    expected = {
        tag: {
            row.step: value for row in rows for name, value in scalars_of([row], places=True) if name == tag
        }
        for tag in {name for row in rows for name, _ in scalars_of([row], places=True)}
    }
    tags = [tag for tag in expected if tag.count("/") > 2 or tag.startswith("gradlens/whole")]
    assert len(tags) > 8
    for tag in tags:
        read = {event.step: event.value for event in events.Scalars(tag)}
        assert read == pytest.approx(expected[tag], rel=1e-6)
        assert sorted(read) == [0, 2, 4, 6]
