"""Public detectors of darknet, which are no part of the project: GRADLENS_DARKNET names a folder that has them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.models.darknet import darknet_flops, darknet_model, detection_losses, read_cfg
from gradlens.models.darknet.sections import Cfg, Detection, Plain, Route, Scaling, Shortcut
from gradlens.models.shape import InputShape

FILES = Path(os.environ.get("GRADLENS_DARKNET", "nowhere"))
PRINTED = [
    ("yolov4", 608, "total", 128.5),
    ("yolov4", 512, "total", 91.1),
    ("yolov4", 416, "total", 60.1),
    ("yolov4-tiny", 416, "total", 6.9),
    ("csresnext50-panet-spp-original-optimal", 608, "convolutions", 100.5),  # older than the count of pools
    ("csresnext50-panet-spp", 512, "total", 71.3),
    ("yolov3", 416, "total", 65.9),
    ("yolov3-tiny", 416, "total", 5.6),
    ("yolov3-tiny-prn", 416, "total", 3.5),
    ("enet-coco", 416, "total", 3.7),
]
NAMES = [*dict.fromkeys(name for name, *_ in PRINTED), "yolov2", "cd53paspp-gamma"]
pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason="GRADLENS_DARKNET names no folder of public cfg files"
)


@pytest.mark.parametrize(("name", "size", "count", "printed"), PRINTED)
def test_flops_equal_the_printed_ones(name: str, size: int, count: str, printed: float) -> None:
    flops = darknet_flops(read_cfg(FILES / f"{name}.cfg"), size)
    assert round(getattr(flops, count) / 1e9, 1) == printed


def read_by_several(cfg: Cfg) -> int:
    """Count the layers whose output several layers read, from the text of the file alone."""
    same: dict[int, int] = {}
    readers: Counter[int] = Counter()
    for index, layer in enumerate(cfg.layers):
        written: tuple[int, ...] = ()
        if isinstance(layer, Route):
            written = layer.layers
        elif isinstance(layer, Shortcut):
            written = layer.sources
        elif isinstance(layer, Scaling):
            written = (layer.source,)
        sources = [number + index if number < 0 else number for number in written]
        if not isinstance(layer, Route):
            sources.append(index - 1)
        sources = [same.get(source, source) for source in sources]
        whole = isinstance(layer, Route) and len(sources) == 1 and layer.groups == 1
        if whole or isinstance(layer, Detection) or (isinstance(layer, Plain) and layer.kind == "softmax"):
            same[index] = sources[0]
        else:
            readers.update(source for source in sources if source >= 0)
    return sum(count > 1 for count in readers.values())


def batch(seed: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(seed)
    targets = []
    for image in range(4):
        centres = 25 + 75 * torch.rand(image, 2, generator=generator)
        sizes = 6 + 40 * torch.rand(image, 2, generator=generator)
        labels = torch.randint(1, 11, (image,), generator=generator)
        targets.append({"boxes": torch.cat([centres - sizes / 2, centres + sizes / 2], 1), "labels": labels})
    return torch.rand(4, 3, 128, 128, generator=generator), targets


def total(model: nn.Module, samples: object) -> Tensor:
    return sum(detection_losses(model, samples).values(), torch.zeros(()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::gradlens.errors.ModelNote")
@pytest.mark.parametrize("name", NAMES)
def test_each_is_captured_exactly_with_all_its_forks(name: str) -> None:
    file = FILES / f"{name}.cfg"
    torch.manual_seed(0)
    model = darknet_model(file, InputShape(10, 3, 128)).train()
    recording = gl.capture(model, [batch(0), batch(1)], step=total, samples=4)
    exactness = gl.analyze(recording)["exactness"].frame
    assert exactness["error"].max() == 0
    assert exactness["projected_error"].max() < 1e-5
    assert len(exactness[exactness["stage"] != "loss"]) == read_by_several(read_cfg(file))
