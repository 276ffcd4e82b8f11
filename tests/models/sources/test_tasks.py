"""Networks of torchvision for segmentation, video and optical flow by name, on bundled data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from gradlens.data import load_data
from gradlens.errors import GradlensError
from gradlens.models import load_model
from gradlens.models.naming import source
from gradlens.models.sources.steps import class_map


def losses_of(name: str, model: Any, batch: Any) -> Any:
    return source(name).adapter.losses()(model, batch)  # type: ignore[misc]


def test_segmentation_learns_the_classes_of_pixels_from_masks() -> None:
    name = "torchvision:lraspp_mobilenet_v3_large"
    batch = load_data("scenes", batch_size=4, batches=1, image_size=64)[0]
    model = load_model(name, num_classes=10, image_size=64, seed=0).eval()
    losses = losses_of(name, model, batch)
    maps = torch.stack([class_map(target) for target in batch[1]])
    assert maps.shape == (4, 64, 64)
    assert set(maps.unique().tolist()) <= set(range(11))
    wanted = functional.cross_entropy(model(torch.stack(list(batch[0])))["out"], maps)
    assert float(losses["out"].detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    same = losses_of(name, model, (torch.stack(list(batch[0])), maps))
    assert float(same["out"].detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)


def test_the_auxiliary_head_has_half_the_weight() -> None:
    batch = torch.rand(2, 3, 8, 8), torch.randint(3, (2, 8, 8), generator=torch.Generator().manual_seed(0))

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": self.head(x), "aux": self.head(x)}

    losses = losses_of("torchvision:fcn_resnet50", Heads(), batch)
    assert float(losses["aux"].detach()) == pytest.approx(float(losses["out"].detach()) / 2, rel=1e-6)


def test_a_mask_that_comes_later_covers_earlier_ones() -> None:
    masks = torch.zeros(2, 2, 3, dtype=torch.uint8)
    masks[0, :, :2], masks[1, 0, 1:] = 1, 1
    pixels = class_map({"masks": masks, "labels": torch.tensor([4, 7])})
    assert pixels.tolist() == [[4, 7, 7], [4, 4, 0]]


@pytest.mark.parametrize("name", ["torchvision:mc3_18", "torchvision:s3d"])
def test_video_classifiers_take_the_bundled_clips(name: str) -> None:
    clips, _ = load_data("clips", batch_size=4, batches=1, image_size=32)[0]
    model = load_model(name, num_classes=5, image_size=32).eval()
    with torch.no_grad():
        assert model(clips[:1]).shape == (1, 5)


def test_the_sequence_loss_of_raft_weighs_later_refinements_more() -> None:
    flow = torch.ones(1, 2, 4, 4)
    seen: list[torch.Tensor] = []

    def refining(first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
        seen.extend((first, second))
        return [flow - 1, flow + 2, flow * 1.5]

    pairs = torch.stack([torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)], dim=1)
    loss = losses_of("torchvision:raft_small", refining, (pairs, flow))
    assert float(loss) == pytest.approx(0.8**2 * 1 + 0.8 * 2 + 0.5)
    assert (float(seen[0].unique()), float(seen[1].unique())) == (-1, 1)


def test_a_network_that_torchvision_builds_for_one_size_says_so() -> None:
    with pytest.raises(GradlensError, match="16 frames of 224 x 224 pixels only, and image_size is 64"):
        load_model("torchvision:mvit_v2_s", image_size=64)


def test_images_too_small_for_raft_are_refused_with_a_size_that_works() -> None:
    with pytest.raises(GradlensError, match="use image_size=128"):
        load_model("torchvision:raft_small", image_size=64)
    with pytest.raises(GradlensError, match="use image_size=136"):
        load_model("torchvision:raft_small", image_size=130)
