"""Train a small detector on scenes with a backbone and its CSP form: ``python -m benchmarks.detectors``.

FCOS (Tian et al. 2019, arXiv:1904.01355) on features at strides 8, 16 and 32 is trained from scratch, with each
backbone and seed on the same scenes. Along the training: losses, mean average precision on held-out scenes,
duplication, and each loss's share of the gradient's energy. Prints JSON on stdout and a summary with 95 % t intervals
over seeds on stderr. With ``--folder``, finished cells are used again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

import gradlens as gl
from gradlens.analyzers.duplication import common_sizes
from gradlens.comparisons.training import losses_along, trajectory
from gradlens.comparisons.variants import Variants
from gradlens.metrics import mean_interval
from gradlens.models.spec import NetworkSpec
from gradlens.studies.cell import Subject
from gradlens.studies.grid import Grid, Row
from gradlens.studies.options import study_of

CLASSES, WIDTH = 10, 64
STRIDES = {"layer2": 8, "layer3": 16, "layer4": 32}
"""Stride of the features of each layer of a ResNet that the pyramid reads."""
SHOWN = ("average_precision", "loss", "train_loss", "rarefied_duplication", "rarefied_duplication_given_loss",
         "mean_similarity")  # fmt: skip


class Pyramid(nn.Module):
    """A backbone, and a feature pyramid of 64 channels on its last three stages."""

    out_channels = WIDTH

    def __init__(self, backbone: nn.Module, size: int) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, {name: name for name in STRIDES})
        with torch.no_grad():
            widths = [
                features.shape[1] for features in self.body.eval()(torch.zeros(1, 3, size, size)).values()
            ]
        self.pyramid = FeaturePyramidNetwork(widths, WIDTH)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the maps ``[n, 64, h, w]`` by layer."""
        features: dict[str, torch.Tensor] = self.pyramid(self.body(images))
        return features


def detector(name: str, size: int) -> Callable[[int], nn.Module]:
    """Return a function of the seed that builds FCOS on a network of gradlens, a ResNet with or without ``@csp``."""

    def build(seed: int) -> nn.Module:
        backbone = gl.load_model(name, image_size=size, seed=seed)
        torch.manual_seed(seed)
        anchors = AnchorGenerator(tuple((stride,) for stride in STRIDES.values()), ((1.0,),) * len(STRIDES))
        return FCOS(
            Pyramid(backbone, size), CLASSES + 1, anchor_generator=anchors, min_size=size, max_size=size
        )

    return build


def states(rows: Sequence[Row]) -> dict[int, Variants]:
    """Return the networks at each measured step, with their seeds merged."""
    made: dict[int, Variants] = {}
    for index, step in enumerate(snapshot.step for snapshot in rows[0].cells[0]):
        recordings, scores = [], []
        for number in range(len(rows[0].cells)):
            snapshots = [row.cells[number][index] for row in rows]
            first, *others = (snapshot.recording for snapshot in snapshots)
            recordings.append(first.merge(*others, any_size=True))
            scores.append({row.seed: s.scores for row, s in zip(rows, snapshots, strict=True)})
        made[step] = Variants(recordings, scores)
    sizes = common_sizes([recording for state in made.values() for recording in state.recordings])
    return {step: Variants(state.recordings, state.scores, sizes=sizes) for step, state in made.items()}


def summary(along: pd.DataFrame) -> list[str]:
    """Return each quantity at each step with its interval over seeds, and the paired difference at the end."""
    lines, last = [], along["step"].max()
    for name in (name for name in SHOWN if name in along):
        for network, rows in along.groupby("network", sort=False):
            values = (mean_interval(group[name].to_numpy(float)) for _, group in rows.groupby("step"))
            text = "  ".join(f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in values)
            lines.append(f"{name} {network}: {text}")
        ends = along[along["step"] == last].pivot_table(
            index="seed", columns="network", values=name, sort=False
        )
        if ends.shape[1] == 2:
            first, second = ends.columns
            mean, low, high = mean_interval((ends[second] - ends[first]).to_numpy(float))
            lines.append(f"{name} {second} - {first}, step {last}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="resnet18,resnet18@csp")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--snapshots", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    study = study_of({
        "data": "scenes", "image_size": options.size, "batch_size": options.batch, "batches": options.batches,
        "seeds": options.seeds, "throughput": False,
    })  # fmt: skip
    training = gl.Training(steps=options.steps, snapshots=options.snapshots, evaluate=True)
    subjects = [
        Subject(NetworkSpec(f"fcos {name}"), name, supplied=detector(name, options.size))
        for name in options.networks.split(",")
    ]
    rows = Grid(study, training, subjects, options.folder, lambda *done: print(*done, file=sys.stderr)).run()
    by_step = states(rows)
    along = trajectory({step: state.frames() for step, state in by_step.items()}).frame
    shares = losses_along({step: state.recordings for step, state in by_step.items()})
    print(*summary(along), sep="\n", file=sys.stderr)
    if shares is not None:
        print(shares.frame.query("stage == 'whole'").to_string(), file=sys.stderr)
    chosen = {name: value for name, value in vars(options).items() if name != "folder"}
    environment = {"torch": torch.__version__, "threads": torch.get_num_threads(), **chosen}
    frames = {"trajectory": along} | ({} if shares is None else {"losses_along": shares.frame})
    tables = {name: json.loads(frame.to_json(orient="records")) for name, frame in frames.items()}
    print(json.dumps({"environment": environment, **tables}, indent=1, default=str))


if __name__ == "__main__":
    main()
