"""The files that the commands and snippets of the pages speak of, and what makes them cheap to run."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from oracles import darknet_cfgs
from PIL import Image

NET = """from torch import nn


def make(num_classes: int) -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))
"""
SMALL = ["--seeds", "1", "--batches", "1", "--batch-size", "4", "--image-size", "32"]
QUICK = [*SMALL, "--no-throughput"]
CHEAPER: dict[str, list[str]] = {
    "compare": QUICK,
    "inspect": QUICK,
    "strategies": QUICK,
    "hardest": QUICK,
    "paths": SMALL,
}
"""What is put behind a command of the pages, so that it runs in seconds; the last of two options holds.

Other commands run as they stand.
"""
SHORTER = {
    "--train-steps": ["--train-steps", "2", "--snapshots", "1"],
    "--warmup-steps": ["--warmup-steps", "1"],
}
"""The same for options that make a command long."""
CHEAPER_PYTHON = {
    "batch_size=32, batches=4, image_size=64": "batch_size=4, batches=1, image_size=32",
    '"resnet50", seeds=5': '"resnet18", seeds=1, batches=1, batch_size=4, image_size=32, throughput=False',
    "seeds=1, batches=1, image_size=32": "seeds=1, batches=1, batch_size=4, image_size=32, throughput=False",
    "seeds=2, batches=1": "seeds=1, batches=1, batch_size=4, image_size=32, throughput=False",
}
"""What is put in the place of a text of the Python snippets."""
RUNS_FIRST = """
import gradlens
options = dict(zero_init=False, seeds=1, batches=1, batch_size=4, image_size=32, throughput=False)
gradlens.inspect("resnet18", **options).save("runs/first")
"""
BEFORE_PYTHON = {
    "cli.md": RUNS_FIRST,
    "report.md": RUNS_FIRST,
    "README.md": """
import torch
image_a, image_b = torch.rand(2, 3, 32, 32)
my_loss = torch.nn.functional.cross_entropy
def my_step(model, batch):
    return my_loss(model(batch[0]), batch[1])
""",
    "tutorial.md": """
import gradlens
options = dict(strategies=["none", "csp"], seeds=2, batches=1, batch_size=4, image_size=32, throughput=False)
gradlens.strategies("resnet18", **options).save("runs/question")
""",
}
"""What a page takes for granted: the reader's own images, loss and step; a run that its commands left."""


def make_files(folder: Path) -> None:
    """Network files, weights, a folder of photos, a darknet definition and its weights, a folder for pages."""
    (folder / "net.py").write_text(NET)
    (folder / "nets").mkdir()
    (folder / "nets" / "mine.py").write_text(NET.replace("def make", "def build"))
    for name in ("old.pt", "new.pt"):
        _save_weights(folder / "nets" / "mine.py:build", folder / name)
    (folder / "page").mkdir()
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = draw.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    cfg = folder / "csresnext50.cfg"
    cfg.write_text(darknet_cfgs.resnet10())  # the name is the page's; a small network stands in for it
    (folder / "csresnext50.weights").write_bytes(_weights(cfg))


def _save_weights(model: Path, place: Path) -> None:
    """Weights in a file, as the owner of the network would have saved them."""
    import torch

    from gradlens.models import load_model

    torch.save(load_model(str(model), num_classes=10, image_size=32).state_dict(), place)


def _weights(cfg: Path) -> bytes:
    """As many numbers as the network has, in darknet's form."""
    from gradlens.models import load_model

    state = load_model(f"darknet:{cfg}", num_classes=1000, image_size=64).state_dict()
    count = sum(value.numel() for name, value in state.items() if "num_batches" not in name)
    numbers = np.random.default_rng(0).uniform(0.01, 0.03, count).astype("<f4")
    return struct.pack("<3iq", 0, 2, 0, 0) + numbers.tobytes()
