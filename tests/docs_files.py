"""The files that the commands and snippets of the pages need, and cheaper settings to run them."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
from oracles import darknet_cfgs
from PIL import Image
from watching.flows import training

from gradlens.watching.logs import CsvLog

NET = """from torch import nn


def make(num_classes: int) -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))
"""
MORE = """

import torch


class Staged(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.body = nn.ModuleList([nn.Sequential(*(self.block() for _ in range(2))) for _ in range(2)])
        self.head = nn.Linear(8, 10)

    def block(self):
        return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())

    def forward(self, x):
        x = self.body[1](self.body[0](self.stem(x)))
        return self.head(x.mean((2, 3)))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.inner, self.head = nn.Embedding(100, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, tokens):
        return self.head(torch.relu(self.inner(self.embedding(tokens))).mean(1))


def staged():
    return Staged()


def text():
    return Text()


def step(model, batch):
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
"""
SMALL = ["--seeds", "1", "--batches", "1", "--batch-size", "4", "--image-size", "32"]
QUICK = [*SMALL, "--no-throughput"]
CHEAPER: dict[str, list[str]] = {
    "compare": QUICK,
    "inspect": QUICK,
    "strategies": [*QUICK, "--no-controls"],
    "hardest": QUICK,
    "paths": SMALL,
}
"""Options that are appended to a command of the pages, so that it runs in seconds.

If an option is repeated, the last one counts. Other commands run unchanged.
"""
SHORTER = {
    "--train-steps": ["--train-steps", "2", "--snapshots", "1", "--no-controls"],
    "--warmup-steps": ["--warmup-steps", "1"],
}
"""Options that are appended if a command has the option of the key."""
SMALLER = {
    "torchvision:resnet50": "torchvision:resnet18",
    "fcos:resnet50": "fcos:test_resnet",
    "fcos:cspresnet50": "fcos:resnet10t",
    "resnet50": "test_resnet",
    "cspresnet50": "resnet10t",
    "densenet121": "resnet10t",
    "peleenet": "test_resnet",
    "wide_resnet50_2": "resnet18",
}
"""Networks of the commands, and the smaller ones that the tests run instead."""
CHEAPER_PYTHON = {
    '("resnet18", "resnet50", "resnet101")': '("resnet10t", "resnet18")',
    'f"densenet121@{strategy}", 16, 32': 'f"resnet18@{strategy}", 8, 16',
    "batch_size=32, batches=4, image_size=64": "batch_size=4, batches=1, image_size=32",
    "batch_size=32, batches=4, image_size=32": "batch_size=4, batches=1, image_size=32",
    "seeds=1, batches=1, image_size=32": "seeds=1, batches=1, batch_size=4, image_size=32, throughput=False",
    "seeds=2, batches=1": "seeds=1, batches=1, batch_size=4, image_size=32, throughput=False",
}
"""Replacements in the Python snippets."""
RUNS_FIRST = """
import gradlens
options = dict(seeds=1, batches=1, batch_size=4, image_size=32, throughput=False)
labels = ["resnet50", "cspresnet50"]
gradlens.compare("resnet10t", "resnet10t@csp", labels=labels, **options).save("runs/first")
"""
OBJECTS = """
import torch
my_loader = [(torch.rand(8, 3, 16, 16), torch.randint(10, (8,))) for _ in range(5)]
def my_step(model, batch):
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
class Net(torch.nn.Sequential):
    def __init__(self, block):
        parts = [torch.nn.Conv2d(3, 8, 3, 2), block(8, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
        super().__init__(*parts, torch.nn.Linear(8, 10))
A = B = torch.nn.Conv2d
"""
"""The reader's loader, step and network, with two kinds of blocks."""
BEFORE_PYTHON = {
    "cli.md": RUNS_FIRST,
    "report.md": RUNS_FIRST,
    "README.md": OBJECTS + "Yolo, C2f, C3, my_model = Net, A, B, Net(A)",
    "api.md": OBJECTS
    + """
image_a, image_b = torch.rand(2, 3, 32, 32)
my_loss = f = g = torch.nn.functional.cross_entropy
""",
    "tutorial.md": """
import gradlens
options = dict(strategies=["none", "csp"], seeds=3, batches=1, batch_size=8, image_size=32, throughput=False)
gradlens.strategies("resnet10t", **options).save("runs/question")
""",
}
"""Code that runs before the snippets of a page: the reader's images, loss and step; a saved run."""


def make_files(folder: Path) -> None:
    """Write networks, weights, photos, a darknet definition with weights, a watched training, a folder for pages."""
    (folder / "net.py").write_text(NET)
    (folder / "nets").mkdir()
    (folder / "nets" / "mine.py").write_text(NET.replace("def make", "def build") + MORE)
    for name in ("old.pt", "new.pt"):
        _save_weights(folder / "nets" / "mine.py:build", folder / name)
    (folder / "benchmarks").mkdir()
    shutil.copy(Path(__file__).parents[1] / "benchmarks" / "recurrent.py", folder / "benchmarks")
    (folder / "page").mkdir()
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    log = CsvLog(folder / "flow")
    for step in (0, 50, 100):
        log.write(step, training([step]))
    cfg = folder / "csresnext50.cfg"
    cfg.write_text(darknet_cfgs.resnet10())  # the name on the page, with a smaller network
    (folder / "csresnext50.weights").write_bytes(_weights(cfg))


def _save_weights(model: Path, path: Path) -> None:
    """Save the weights of a network file as its author would."""
    import torch

    from gradlens.models import load_model

    torch.save(load_model(str(model), num_classes=10, image_size=32).state_dict(), path)


def _weights(cfg: Path) -> bytes:
    """Return random weights of the network in darknet's format."""
    from gradlens.models import load_model

    state = load_model(f"darknet:{cfg}", num_classes=1000, image_size=64).state_dict()
    count = sum(value.numel() for name, value in state.items() if "num_batches" not in name)
    numbers = np.random.default_rng(0).uniform(0.01, 0.03, count).astype("<f4")
    return struct.pack("<3iq", 0, 2, 0, 0) + numbers.tobytes()
