"""Detectors of torchvision by name, also on backbones of timm and with transition strategies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles.detection_batches import SIDE, Batch, batch_of
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models import load_model
from gradlens.models.checking import check_task
from gradlens.models.naming import source
from gradlens.models.spec import NetworkSpec


def losses_of(name: str, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    step: Any = source(name).adapter.losses()
    return dict(step(model, batch))


@pytest.mark.parametrize("name", ["fcos:regnetx_002", "retinanet:resnet10t", "fasterrcnn:convnext_atto"])
def test_a_backbone_of_timm_learns_from_boxes_in_a_detector(name: str) -> None:
    model = load_model(name, num_classes=3, image_size=SIDE, seed=0)
    losses = losses_of(name, model, batch_of())
    assert len(losses) >= 2
    assert all(bool(torch.isfinite(value)) and value.requires_grad for value in losses.values())
    sum(losses.values(), start=torch.zeros(())).backward()
    gradients = [weight.grad for path, weight in model.named_parameters() if ".body." in path]
    live = [gradient for gradient in gradients if gradient is not None and gradient.any()]
    assert len(live) > 0.9 * len(gradients)


@pytest.mark.parametrize("name", ["fcos:resnet18", "torchvision:fcos_resnet50_fpn", "fcos:swin_s3_tiny_224"])
def test_images_keep_their_size_and_levels_have_the_strides_of_the_pyramid(name: str) -> None:
    model: Any = load_model(name, num_classes=3, image_size=SIDE, seed=0).eval()
    images, _ = model.transform([torch.rand(3, SIDE, SIDE)], None)
    assert images.tensors.shape[-2:] == (SIDE, SIDE)
    with torch.no_grad():
        levels = model.backbone(images.tensors)
    assert [SIDE // level.shape[-1] for level in levels.values()][:4] == [8, 16, 32, 64]
    assert {level.shape[1] for level in levels.values()} == {256}


def test_the_head_counts_the_background_as_a_class() -> None:
    model = load_model("fcos:resnet18", num_classes=3, image_size=SIDE)
    assert model.get_parameter("head.classification_head.cls_logits.weight").shape[0] == 4
    whole = load_model("torchvision:fcos_resnet50_fpn", image_size=SIDE)
    assert whole.get_parameter("head.classification_head.cls_logits.weight").shape[0] == 91


def test_the_pyramid_is_that_of_torchvision_on_its_own_resnet() -> None:
    """The same weights in torchvision's detector and in ours, with timm's ResNet-50, give the same losses."""
    ours = load_model("fcos:resnet50", num_classes=3, image_size=SIDE, seed=0)
    theirs = load_model("torchvision:fcos_resnet50_fpn", num_classes=3, image_size=SIDE, seed=1)
    body, other = ours.get_submodule("backbone.body"), theirs.get_submodule("backbone.body")
    assert other.load_state_dict(dict(zip(other.state_dict(), body.state_dict().values(), strict=True)))
    for part in ("backbone.fpn", "head"):
        theirs.get_submodule(part).load_state_dict(ours.get_submodule(part).state_dict())
    mine = losses_of("fcos:resnet50", ours, batch_of())
    wanted = losses_of("fcos:resnet50", theirs, batch_of())
    assert {name: float(value.detach()) for name, value in mine.items()} == pytest.approx(
        {name: float(value.detach()) for name, value in wanted.items()}, rel=1e-5
    )


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "densenet121"])
def test_a_strategy_restructures_the_backbone_and_keeps_its_features(name: str) -> None:
    plain = load_model(f"fcos:{name}", num_classes=3, image_size=SIDE, seed=0)
    cut = load_model(f"fcos:{name}@csp,gamma=0.25", num_classes=3, image_size=SIDE, seed=0)
    stages = [path for path, module in cut.named_modules() if type(module).__name__ == "CspStage"]
    assert len(stages) >= 3
    assert all(path.startswith("backbone.body.") for path in stages)
    sizes = [sum(weight.numel() for weight in model.parameters()) for model in (cut, plain)]
    assert sizes[0] < sizes[1] or name == "densenet121"  # there the transitions outweigh the cut
    assert set(losses_of(f"fcos:{name}", cut, batch_of())) == set(
        losses_of(f"fcos:{name}", plain, batch_of())
    )


def test_stages_are_named_from_the_detector_or_from_its_backbone() -> None:
    names = [["layer3"], ["backbone.body.layer3"]]
    models = [
        load_model("fcos:resnet18@csp", num_classes=3, image_size=SIDE, seed=0, stages=stages)
        for stages in names
    ]
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_torchvision_detector_is_cut_in_its_backbone() -> None:
    model = load_model("torchvision:fcos_resnet50_fpn@csp", num_classes=3, image_size=SIDE, seed=0)
    assert type(model.get_submodule("backbone.body.layer2")).__name__ == "CspStage"


def test_zero_gains_of_the_backbone_are_kept_or_lifted() -> None:
    path = "backbone.body.layer1.0.bn2.weight"
    kept = load_model("fcos:resnet18", num_classes=3, image_size=SIDE, zero_init=True)
    lifted = load_model("fcos:resnet18", num_classes=3, image_size=SIDE, zero_init=False)
    assert not kept.get_parameter(path).any()
    assert bool((lifted.get_parameter(path) == 1).all())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fcos:vit_tiny_patch16_224", "needs features at strides 8, 16, 32, and .* has them at 16, 16, 16"),
        ("fcos:resnet5O", "did you mean resnet50"),
        ("fcos:", "has no model ''"),
        ("fcos:mixer_b16_224", "fcos|timm cannot build mixer_b16_224"),
        ("fcos:resnet18@narrow,flops=csp", "cannot be narrowed"),
        ("torchvision:fcos_resnet50", "did you mean .*fcos_resnet50_fpn"),
    ],
)
def test_what_is_no_detector_is_one_clear_line(name: str, message: str) -> None:
    with pytest.raises(GradlensError, match=message) as caught:
        load_model(name, num_classes=3, image_size=SIDE)
    assert "\n" not in str(caught.value)


def test_grey_images_are_refused() -> None:
    with pytest.raises(GradlensError, match="3 channels, not 1"):
        load_model("fcos:resnet18", in_chans=1, image_size=SIDE)


def test_a_detector_on_classes_and_a_classifier_on_boxes_are_refused_before_they_are_built() -> None:
    with pytest.raises(GradlensError, match=r"fcos:resnet18 is a detector, .*use data='scenes'"):
        gl.inspect("fcos:resnet18", data="digits")
    with pytest.raises(
        GradlensError, match=r"resnet18 is a classifier, .* has images with boxes; use data='digits'"
    ):
        gl.inspect("resnet18", data="scenes")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("boxes", [[30.0, 6.0, 4.0, 28.0], [20.0, 10.0, 60.0, 50.0]], "without a positive width and height"),
        (
            "boxes",
            [[4.0, 6.0, 30.0, 28.0], [20.0, 10.0, 90.0, 50.0]],
            "outside of its image of 64 x 64 pixels",
        ),
        ("labels", [1, 9], "has class 9"),
        ("labels", [], "labels"),
    ],
)
def test_bad_targets_are_one_clear_line(field: str, value: list[Any], message: str) -> None:
    images, targets = batch_of()
    targets[1][field] = torch.tensor(value, dtype=targets[1][field].dtype)
    with pytest.raises(GradlensError, match=message) as caught:
        gl.inspect("fcos:regnetx_002", data=[(images, targets)], num_classes=3, seeds=1, progress=False)
    assert "\n" not in str(caught.value)


def test_a_detector_without_targets_is_one_clear_line() -> None:
    images = torch.rand(4, 3, SIDE, SIDE)
    with pytest.raises(
        GradlensError, match=r"FCOS computes its losses from targets, and this batch has none"
    ):
        gl.inspect("fcos:regnetx_002", data=[(images, torch.arange(4))], seeds=1, progress=False)


def test_a_file_of_boxes_fits_a_detector_and_no_classifier() -> None:
    check_task(NetworkSpec.parse("fcos:resnet18"), "coco:boxes.json")
    with pytest.raises(GradlensError, match="has images with boxes"):
        check_task(NetworkSpec.parse("resnet18"), "coco:boxes.json")


def test_a_study_of_detectors_uses_the_losses_of_their_source() -> None:
    small = {"batches": 1, "seeds": 1, "throughput": False, "num_classes": 3, "samples": 4, "progress": False}
    data = [batch_of(seed=seed) for seed in range(1)]
    result = gl.inspect("fcos:resnet18", data=data, **small)
    checks = result["exactness"].frame
    assert (checks["error"] == 0).all()
    assert checks["projected_error"].max() < 1e-5
    reference = gl.inspect(
        lambda seed: load_model("fcos:resnet18", num_classes=3, image_size=SIDE, seed=seed),
        data=data,
        step=lambda model, batch: sum(model(*batch).values()),
        **small,
    )
    signals = [table["flow"].frame["rms"].to_numpy() for table in (result, reference)]
    assert signals[0] == pytest.approx(signals[1], rel=1e-5)
