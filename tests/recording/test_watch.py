"""Watch: the options of a capture as one value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.recording.watch import MODES, PAIRS, SPACES, watch_of


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))


@pytest.fixture
def batches() -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(5, 3, 6, 6), torch.arange(5))]


def test_a_watch_and_its_options_capture_the_same(model: nn.Module, batches: Any) -> None:
    watch = gl.Watch(sites="all", seed=3, halves=True)
    by_value = gl.capture(model, batches, watch, costs=False)
    by_options = gl.capture(model, batches, sites="all", seed=3, halves=True, costs=False)
    np.testing.assert_array_equal(by_value.grams, by_options.grams)
    assert by_value.plan.probes == by_options.plan.probes
    assert by_value.meta == by_options.meta
    assert by_value.replicates == by_options.replicates == ((3, 0),)


def test_options_replace_those_of_the_watch(model: nn.Module, batches: Any) -> None:
    recording = gl.capture(model, batches, gl.Watch(sites="forks", seed=3), sites="signals", costs=False)
    assert recording.provenance.sites == "signals"
    assert recording.replicates == ((3, 0),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": "exactly"}, f"pairs='exactly' is not known; use one of {', '.join(PAIRS)}"),
        ({"mode": "trian"}, f"mode='trian' is not known; use one of {', '.join(MODES)}.*train"),
        ({"space": "both"}, f"space='both' is not known; use one of {', '.join(SPACES)}"),
        ({"halves": True, "space": "weights"}, "space='activations'"),
        ({"seeds": 3}, "unknown option 'seeds'.*did you mean seed"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        watch_of(None, options)


@pytest.mark.parametrize(
    ("sites", "modules"), [("signals", None), ("forks", None), ("all", None), ("a.*", "a.*")]
)
def test_other_sites_are_a_glob_of_modules(sites: str, modules: str | None) -> None:
    assert gl.Watch(sites=sites).modules == modules


def test_another_argument_in_the_place_of_the_watch_is_refused_in_one_line(
    model: nn.Module, batches: Any
) -> None:
    with pytest.raises(
        GradlensError, match=r"^the argument of type int stands .* by name, such as every=\.\.\.$"
    ):
        gl.watch(model, 50)
    with pytest.raises(
        GradlensError, match=r"^the argument of type function .* by name, such as loss=\.\.\.$"
    ):
        gl.capture(model, batches, lambda output, target: output.sum())
