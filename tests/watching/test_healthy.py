"""Healthy networks raise none of the alarms that name a fault, when they are made and in 30 steps on digits.

``small share`` and ``duplicating`` are left out: they name states that healthy networks reach, too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.watching.alarms import RULES
from gradlens.watching.watching import watch

SIZE = 32
FAULTS = {name: rule for name, rule in RULES.items() if name not in ("small share", "duplicating")}


class Rows(nn.Module):
    """Reads the rows of an image as a sequence."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Linear(SIZE, width), body, nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        output = self.body(self.embed(images.mean(1)))
        return self.head(output[0][:, -1] if isinstance(output, tuple) else output.mean(1))


def transformer() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2)


def named(name: str) -> Callable[[], nn.Module]:
    return lambda: gl.load_model(name, num_classes=10, image_size=SIZE, seed=0)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": named("resnet18"),
    "densenet121": named("densenet121"),
    "vit_tiny": named("vit_tiny_patch16_224"),
    "gru": lambda: Rows(nn.GRU(32, 32, batch_first=True), 32),
    "transformer": lambda: Rows(transformer(), 32),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_healthy_network_raises_no_alarm_of_a_fault(name: str) -> None:
    torch.manual_seed(0)
    model = NETWORKS[name]()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = gl.load_data("digits", batch_size=8, batches=31, image_size=SIZE, seed=0)
    with watch(model, every=6, rules=FAULTS) as watching:
        for images, targets in data:
            functional.cross_entropy(model(images), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watching.alarms == []
    assert watching.problems == {}
    assert {row.step for row in watching.rows} == {0, 6, 12, 18, 24, 30}
