"""Fixtures of the tests of studies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

NETWORK = """
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.Conv2d(width, width, 1, bias=False)
        self.norm, self.act = nn.BatchNorm2d(width), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(x + self.norm(self.b(self.act(self.a(x)))))


def make(num_classes):
    stages = [
        nn.Sequential(nn.Conv2d(inputs, width, 3, 2, 1), Block(width), Block(width))
        for inputs, width in ((3, 6), (6, 8))
    ]
    net = nn.Sequential()
    net.add_module("layer1", stages[0])
    net.add_module("layer2", stages[1])
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("fc", nn.Linear(8, num_classes))
    return net
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: for networks this small, several only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a small residual network with two stages that every strategy can cut."""
    path = tmp_path_factory.mktemp("nets") / "small.py"
    path.write_text(NETWORK)
    return f"{path}:make"
