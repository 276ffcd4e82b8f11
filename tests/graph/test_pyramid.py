"""Forks of feature pyramids are named for where their branches go, in several spellings; those of blocks are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

import gradlens as gl

functional = nn.functional


class Own(nn.Module):
    """A pyramid without the library's classes; ``enlarge`` doubles the side of a map."""

    def __init__(self, enlarge: Callable[[Tensor], Tensor] | nn.Module) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.lateral = nn.ModuleList(nn.Conv2d(width, 6, 1) for width in (4, 5))
        self.out = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        fine, coarse = (layer(x) for layer, x in zip(self.lateral, maps.values(), strict=True))
        return {"fine": self.out(fine + self.enlarge(coarse)), "coarse": self.out(coarse)}


class Net(nn.Module):
    def __init__(self, neck: nn.Module, only_fine: bool = False) -> None:
        super().__init__()
        self.only_fine, self.neck, self.head = only_fine, neck, nn.Conv2d(6, 3, 1)
        self.layer1, self.layer2 = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.layer1(x).relu()
        levels = self.neck({"fine": fine, "coarse": self.layer2(fine).relu()})
        return [self.head(levels[name]) for name in (["fine"] if self.only_fine else levels)]


class Block(nn.Module):
    """A residual block with a projection, a stride and squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.project = (
            nn.Conv2d(3, 4, 3),
            nn.Conv2d(4, 4, 3, 2, 1),
            nn.Conv2d(4, 4, 1, 2),
        )
        self.squeeze, self.head = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x).relu()
        y = self.conv(x)
        y = y * self.squeeze(y.mean((2, 3), keepdim=True)).sigmoid()
        return [self.head(y + self.project(x))]


NECKS = {
    "torchvision": lambda: FeaturePyramidNetwork([4, 5], 6),
    "nearest": lambda: Own(lambda x: functional.interpolate(x, scale_factor=2)),
    "bilinear": lambda: Own(nn.Upsample(scale_factor=2, mode="bilinear")),
    "transposed": lambda: Own(nn.ConvTranspose2d(6, 6, 2, 2)),
    "shuffle": lambda: Own(nn.Sequential(nn.Conv2d(6, 24, 1), nn.PixelShuffle(2))),
}


def labels(net: nn.Module) -> dict[str, set[str]]:
    torch.manual_seed(0)
    batch = torch.rand(8, 3, 16, 16), torch.arange(8) % 3
    step = lambda model, batch: sum(  # noqa: E731
        functional.cross_entropy(output.mean((2, 3)), batch[1]) for output in model(batch[0])
    )
    groups = gl.capture(net, [batch], step=step).plan.groups
    return {group.site: set(group.labels) for group in groups if group.where == "fork"}


@pytest.mark.parametrize("only_fine", [False, True])
@pytest.mark.parametrize("neck", NECKS.values(), ids=NECKS)
def test_a_lateral_is_named_for_where_it_goes(neck: Callable[[], nn.Module], only_fine: bool) -> None:
    lateral = "neck.inner_blocks.0.0" if neck is NECKS["torchvision"] else "neck.lateral.0"
    assert labels(Net(neck(), only_fine))["(model):relu"] == {f"to {lateral}:conv", "to layer2:conv"}


def test_a_residual_block_keeps_its_words() -> None:
    assert labels(Block())["(model):relu"] == {"skip", "residual"}


def test_a_block_behind_a_map_that_is_made_smaller_by_interpolation_keeps_its_words() -> None:
    class Shrinks(Block):
        def forward(self, x: Tensor) -> list[Tensor]:
            x = self.stem(x).relu()
            small = functional.interpolate(x, scale_factor=0.5)
            return [self.head(self.squeeze(small) + self.conv(x))]

    assert labels(Shrinks())["(model):relu"] == {"skip", "residual"}
