"""The parts of detectors that are written plainly: a pyramid, a path back down, heads that are shared or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.graph.stage_order import Part, in_order, part_of

SIZE, N = 32, 4


def enlarged(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)


ENLARGING = {
    "nearest": lambda x: functional.interpolate(x, scale_factor=2),
    "to a size": lambda x: functional.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]), mode="bilinear"),
    "module": nn.Upsample(scale_factor=2),
    "transposed": nn.ConvTranspose2d(6, 6, 2, 2),
}


class Detector(nn.Module):
    """Strides 4, 8 and 16, a path up, a path down, and a head at each level, as in the YOLO family."""

    def __init__(self, enlarge: Any, shared: bool, down: bool) -> None:
        super().__init__()
        self.down, self.enlarge = down, enlarge
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.stage8, self.stage16 = nn.Conv2d(6, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)
        self.up8, self.up4 = nn.Conv2d(12, 6, 3, padding=1), nn.Conv2d(12, 6, 3, padding=1)
        self.down8, self.down16 = nn.Conv2d(6, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)
        self.mix8, self.mix16 = nn.Conv2d(12, 6, 1), nn.Conv2d(12, 6, 1)
        heads = [
            nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 1)) for _ in range(3)
        ]
        self.cls = nn.ModuleList(heads[:1] * 3 if shared else heads)

    def forward(self, x: Tensor) -> list[Tensor]:
        c4 = self.stem(x).relu()
        c8 = self.stage8(c4).relu()
        c16 = self.stage16(c8).relu()
        p8 = self.up8(torch.cat([self.enlarge(c16), c8], 1)).relu()
        p4 = self.up4(torch.cat([self.enlarge(p8), c4], 1)).relu()
        levels = [p4, p8, c16]
        if self.down:
            n8 = self.mix8(torch.cat([self.down8(p4), p8], 1)).relu()
            levels = [p4, n8, self.mix16(torch.cat([self.down16(n8), c16], 1)).relu()]
        return [head(level) for head, level in zip(self.cls, levels, strict=True)]


def dense(model: nn.Module, batch: Any) -> Tensor:
    return sum(functional.cross_entropy(output.mean((2, 3)), batch[1]) for output in model(batch[0]))


def stages_of(net: nn.Module, step: Callable[..., Tensor] = dense) -> dict[str, str]:
    torch.manual_seed(0)
    recording = gl.capture(net, [(torch.rand(N, 3, SIZE, SIZE), torch.arange(N))], step=step, costs=False)
    return {signal.name: signal.stage for signal in recording.signals}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("enlarge", ENLARGING.values(), ids=ENLARGING)
def test_the_parts_of_a_detector_are_read_from_its_graph(enlarge: Any, shared: bool, down: bool) -> None:
    stages = stages_of(Detector(enlarge, shared, down))
    backbone = {"stem": "4", "stage8": "8", "stage16": "16"}
    neck = {"up8": "neck 8 top-down", "up4": "neck 4 top-down"}
    if down:
        neck |= {"down8": "neck 8 bottom-up", "mix8": "neck 8 bottom-up"}
        neck |= {"down16": "neck 16 bottom-up", "mix16": "neck 16 bottom-up"}
    assert stages.items() >= (backbone | neck).items()
    heads = [stage for name, stage in stages.items() if name.startswith("cls")]
    assert sorted(heads) == sorted(f"head {level} cls" for level in (4, 8, 16) for _ in range(2))


def test_features_that_are_enlarged_by_expansion_are_top_down() -> None:
    stages = stages_of(Detector(enlarged, False, True))
    assert stages["up8"] == "neck 8 top-down"
    assert stages["down8"] == "neck 8 bottom-up"


def test_a_decoder_with_one_output_keeps_the_strides_of_its_layers() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = Detector(ENLARGING["nearest"], False, False), nn.Conv2d(5, 5, 1)

        def forward(self, x: Tensor) -> list[Tensor]:
            return [self.last(self.body(x)[0])]

    assert set(stages_of(Decoder()).values()) == {"4", "8", "16"}


@pytest.mark.parametrize("size", [SIZE, 40, 48])
def test_the_stride_is_that_of_the_images_after_the_resizing_of_the_model(size: int) -> None:
    class Resizes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Detector(ENLARGING["nearest"], False, True)

        def forward(self, images: list[Tensor]) -> list[Tensor]:
            resized = [functional.interpolate(image[None], size=(64, 64)) for image in images]
            return self.body(torch.cat(resized))

    torch.manual_seed(0)
    images = [torch.rand(3, size, size + 3 * i) for i in range(N)]
    recording = gl.capture(Resizes(), [(images, torch.arange(N))], step=dense, costs=False)
    stages = {signal.name: signal.stage for signal in recording.signals}
    assert [stages[f"body.{name}"] for name in ("stem", "stage8", "stage16")] == ["4", "8", "16"]
    assert recording.n == N


def test_stages_are_ordered_by_part() -> None:
    ordered = [
        "2", "16", "neck 8 top-down", "neck 16 top-down", "neck 16 bottom-up", "neck 128 bottom-up", "head 8 box",
        "head 8 cls", "head 16", "head roi mask", "head", "loss", "whole",
    ]  # fmt: skip
    assert in_order(reversed(ordered)) != ordered  # heads of one level keep their order
    assert in_order([*ordered[6:], *ordered[:6]]) == ordered


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        ("16", Part.BACKBONE), ("blocks.1", Part.BACKBONE), ("head.0", Part.BACKBONE), ("cell", Part.BACKBONE),
        ("neck 16 top-down", Part.NECK), ("neck 8 bottom-up", Part.NECK), ("neck", Part.BACKBONE),
        ("head 8", Part.HEAD), ("head roi box", Part.HEAD), ("head", Part.HEAD), ("loss", Part.LOSS),
        ("whole", Part.WHOLE),
    ],
)  # fmt: skip
def test_a_stage_belongs_to_the_part_that_its_name_says_and_else_to_the_backbone(stage, part):
    assert part_of(stage) is part


def test_the_order_follows_the_parts():
    stages = ["whole", "loss", "head", "head 16", "neck 8 bottom-up", "neck 16 top-down", "blocks.0", "8"]
    assert [part_of(stage) for stage in in_order(stages)] == sorted(map(part_of, stages))
