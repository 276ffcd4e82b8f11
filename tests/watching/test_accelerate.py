"""``gl.watch`` works with accelerate as it is: prepared models, accumulation, mixed precision, scaler, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.extras import needs
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from watching.loops import STEPS, batches, hooks_of, network, of

import gradlens as gl
from gradlens.watching.logs import read_rows

needs("accelerate")
from accelerate import Accelerator  # noqa: E402
from accelerate.state import AcceleratorState  # noqa: E402

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Forget the settings of an earlier Accelerator, which accelerate shares in a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def trained(watched: bool, scaled: bool = False, **options: Any) -> tuple[list[Tensor], gl.Watching | None]:
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator, model = Accelerator(cpu=True, **options), network()
    if scaled:  # as with fp16 on a GPU
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model, optimizer, data = accelerator.prepare(model, optimizer, DataLoader(batches(), batch_size=None))
    torch.manual_seed(2)
    with gl.watch(model, every=3, scaler=accelerator.scaler) if watched else nullcontext() as watching:
        for images, targets in data:
            with accelerator.accumulate(model):
                accelerator.backward(functional.cross_entropy(model(images), targets))
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
    assert hooks_of(model) == 0
    return [*model.state_dict().values(), torch.get_rng_state()], watching


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_accumulation_steps": 2}, {"mixed_precision": "bf16"}, {"scaled": True}],
    ids=["plain", "accumulated", "bf16", "scaled"],
)
def test_the_weights_are_those_of_an_unwatched_training(options: dict[str, Any]) -> None:
    (with_watch, watching), (without, _) = trained(True, **options), trained(False, **options)
    assert all(map(torch.equal, with_watch, without))
    assert watching is not None
    assert watching.step == STEPS
    assert {row.step for row in of(watching, "rms")} == {0, 3, 6}
    assert watching.problems == {}
    factors = [row.value for row in of(watching, "scale")]
    assert factors == ([1024.0, 2048.0, 4096.0] if options.get("scaled") else [])


def test_a_state_of_the_accelerator_has_that_of_the_watch(tmp_path: Path) -> None:
    accelerator, model = Accelerator(cpu=True), network()
    model = accelerator.prepare(model)

    def loop(watching: gl.Watching, steps: int) -> None:
        for images, targets in batches(steps):
            accelerator.backward(functional.cross_entropy(model(images), targets))
            if watching.step == 5:
                accelerator.save_state(str(tmp_path / "state"))

    with gl.watch(model, every=2, to=gl.CsvLog(tmp_path)) as first:
        accelerator.register_for_checkpointing(first)
        loop(first, 8)
    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(network())
    with gl.watch(model, every=2, to=gl.CsvLog(tmp_path)) as second:
        accelerator.register_for_checkpointing(second)
        accelerator.load_state(str(tmp_path / "state"))
        loop(second, 8)
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [*range(0, 13, 2)]
    assert {row.step for row in second.rows} == {6, 8, 10, 12}
