"""Calls without a gradient, of layers that learn from their other calls."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.analyzers.silence import dead_layers, silent_calls
from gradlens.words.conspicuous import conspicuous
from gradlens.words.missing import missing_signals

N = 6


class Levels(nn.Module):
    """A head that is called for two levels, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.fine, self.coarse = way, nn.Linear(5, 4), nn.Linear(5, 4)
        self.head, self.twin = nn.Linear(4, 3), nn.Linear(4, 3)
        self.head.requires_grad_(way != "frozen")
        if way == "tied":
            self.twin.weight = self.head.weight

    def forward(self, x: Tensor) -> list[Tensor]:
        second = self.head if self.way in ("called twice", "frozen") else self.twin
        return [self.head(self.fine(x).tanh()), second(self.coarse(x).tanh())]


def captured(way: str, weights: Sequence[float]) -> gl.Recording:
    torch.manual_seed(0)
    x = torch.randn(N, 5)

    def step(model: nn.Module, batch: Tensor) -> Tensor:
        return sum(
            weight * level.square().mean() for weight, level in zip(weights, model(batch), strict=True)
        )

    return gl.capture(Levels(way), [x], step=step, costs=False)


@pytest.mark.parametrize("way", ["called twice", "frozen", "tied"])
def test_a_call_without_a_gradient_of_a_layer_with_a_live_call_is_silent_and_not_dead(way: str) -> None:
    recording = captured(way, (1.0, 0.0))
    assert dead_layers(recording) == ["coarse"]
    assert silent_calls(recording) == ["twin" if way == "tied" else "head@2"]


def test_a_layer_without_a_gradient_at_any_call_is_dead() -> None:
    recording = captured("two heads", (1.0, 0.0))
    assert dead_layers(recording) == ["coarse", "twin"]
    assert silent_calls(recording) == []
    recording = captured("called twice", (1.0, 1.0))
    assert dead_layers(recording) == silent_calls(recording) == []


def test_what_is_said_of_a_silent_call_is_true_and_comes_last() -> None:
    recording = captured("called twice", (1.0, 0.0))
    dead, silent = list(missing_signals(recording))
    assert "1 of 4 signals are dead" in dead
    assert "coarse" in dead
    assert "head@2" not in dead
    assert "at one call of a layer that has a gradient at other calls" in silent
    assert "head@2" in silent
    sites = conspicuous(gl.analyze(recording), 20)
    meanings = {site.name: site.meaning for site in sites}
    assert "does not learn" in meanings["coarse"]
    assert "the layer has one at its other calls" in meanings["head@2"]
    assert "does not learn" not in meanings["head@2"]
    assert [site.name for site in sites].index("coarse") < [site.name for site in sites].index("head@2")
