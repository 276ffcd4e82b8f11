"""Train a small network while gradlens watches it, for the gallery: ``python -m benchmarks.watched FOLDER``."""

from __future__ import annotations

import argparse
import itertools

import torch
from torch.nn import functional

import gradlens as gl

STEPS, EVERY = 240, 16


def train(folder: str) -> None:
    """Train cspresnet50 on digits, and log its flow and its loss into a folder."""
    torch.manual_seed(0)
    model = gl.load_model("cspresnet50", num_classes=10, image_size=32, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    data = gl.load_data("digits", batch_size=16, batches=60, image_size=32, seed=0)
    with gl.watch(model, every=EVERY, to=gl.CsvLog(folder)) as watching:
        for step, (images, targets) in enumerate(itertools.islice(itertools.cycle(data), STEPS)):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), targets)
            loss.backward()
            optimizer.step()
            if step % EVERY == 0:
                watching.log(loss=loss)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="receives rows.csv")
    train(parser.parse_args().folder)
