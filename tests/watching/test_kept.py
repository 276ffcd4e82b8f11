"""What a watched training keeps alive: no graph, and no batch."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch.nn import functional
from watching.loops import STEPS, N, batches, network

from gradlens.watching.watching import WatchProblem, watch


def test_no_graph_is_kept_alive() -> None:
    model, alive = network(), []
    hook = model[1].register_forward_hook(
        lambda module, args, output: alive.append(weakref.ref(output.untyped_storage()))
    )
    gc.collect()
    gc.disable()
    try:
        with watch(model, every=1) as watching:
            for images, targets in batches():
                functional.cross_entropy(model(images), targets).backward()
                assert [reference for reference in alive if reference() is not None] == []
    finally:
        gc.enable()
        hook.remove()
    assert watching.rows
    assert len(alive) == STEPS


def test_forward_passes_without_a_backward_pass_leave_no_rows_and_no_graph() -> None:
    model, alive = network(), []
    hook = model[1].register_forward_hook(
        lambda module, args, output: alive.append(weakref.ref(output.untyped_storage()))
    )
    watching = watch(model, every=1)

    def loop() -> None:
        with watching:
            for images, _ in batches():
                model(images)

    gc.collect()
    gc.disable()
    try:
        with pytest.warns(WatchProblem, match="no measured step"):
            loop()
        assert [reference for reference in alive if reference() is not None] == []
    finally:
        gc.enable()
        hook.remove()
    assert watching.rows == []


def test_the_batch_is_not_kept_longer_than_the_graph() -> None:
    model, alive = network(), []
    gc.collect()
    gc.disable()
    try:
        with watch(model, every=1):
            for _ in range(4):
                batch = torch.randn(N, 3, 8, 8)
                alive.append(weakref.ref(batch))
                functional.cross_entropy(model(batch), torch.arange(N) % 5).backward()
                del batch
                assert alive[-1]() is None
    finally:
        gc.enable()
