"""Options after the @ of a network name, and stems for small images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.models import load_model
from gradlens.models.spec import CspSpec, NetworkSpec
from gradlens.models.stage import CspStage
from gradlens.models.stems import cifar_stem


@pytest.mark.parametrize(
    ("name", "base", "spec"),
    [
        ("resnet50", "resnet50", None),
        ("resnet50@csp", "resnet50", CspSpec("csp")),
        ("resnet50@none", "resnet50", CspSpec("none")),
        ("densenet121@fusion_first,gamma=0.25", "densenet121", CspSpec("fusion_first", 0.25)),
        ("resnet50@csp,partial=project", "resnet50", CspSpec("csp", 0.5, "project")),
        ("resnet18@csp,stem=cifar,gamma=.75", "resnet18", CspSpec("csp", 0.75, "split", "cifar")),
        ("resnet18@ fusion_last , gamma=0.5", "resnet18", CspSpec("fusion_last")),
        ("torchvision:resnet18@csp", "torchvision:resnet18", CspSpec("csp")),
        ("nets/mine.py:small@csp", "nets/mine.py:small", CspSpec("csp")),
        ("me@home/mine.py:small", "me@home/mine.py:small", None),
        ("me@home/mine.py:small@no_fusion", "me@home/mine.py:small", CspSpec("no_fusion")),
        ("mine@2.py:small", "mine@2.py:small", None),
        ("darknet:me@home/net.cfg", "darknet:me@home/net.cfg", None),
        ("darknet:net@2.cfg", "darknet:net@2.cfg", None),
        ("darknet:net.cfg@csp", "darknet:net.cfg", CspSpec("csp")),
    ],
)
def test_a_name_is_split_at_its_last_at_sign(name: str, base: str, spec: CspSpec | None) -> None:
    assert NetworkSpec.parse(name) == NetworkSpec(base, spec)


@pytest.mark.parametrize("strategy", ["none", "fusion_first", "csp"])
@pytest.mark.parametrize("gamma", [0.5, 0.25, 0.1, 1 / 3])
@pytest.mark.parametrize("partial", ["split", "project"])
@pytest.mark.parametrize("stem", ["", "cifar"])
def test_a_spec_as_text_is_parsed_as_the_same_spec(
    strategy: str, gamma: float, partial: str, stem: str
) -> None:
    spec = CspSpec(strategy, gamma, partial, stem)
    network = NetworkSpec("resnet18", spec)
    assert NetworkSpec.parse(f"resnet18@{spec}") == NetworkSpec.parse(str(network)) == network


def test_defaults_are_not_written() -> None:
    assert str(CspSpec("csp")) == "csp"
    assert str(CspSpec("fusion_last", 0.25, "project", "cifar")) == (
        "fusion_last,gamma=0.25,partial=project,stem=cifar"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no transition strategy ''"),
        ("scp", "no transition strategy 'scp'; use one of none, .*did you mean csp"),
        ("gamma=0.5", "no transition strategy 'gamma=0.5'"),
        ("csp,", "'' in 'resnet18@csp,' is not an option; write NAME@strategy"),
        ("csp,gama=0.5", "'gama=0.5' .* is not an option; .*did you mean gamma"),
        ("csp,project", "'project' .* is not an option"),
        ("csp,gamma=half", "gamma 'half' in .* is not a number from 0 to below 1"),
        ("csp,gamma=", "gamma '' in"),
        ("no_fusion,gamma=0", "gamma is 0, but no_fusion adds no transition"),
        ("csp,gamma=0,partial=project", "gamma is 0, so nothing is cut and partial='project' has no meaning"),
        ("csp,gamma=-0.1", "gamma is -0.1; .* at least 0 and below 1"),
        ("csp,gamma=1", "gamma is 1; .* at least 0 and below 1"),
        ("csp,gamma=nan", "gamma is nan"),
        ("csp,gamma=0.5,gamma=0.25", "contains an option twice"),
        ("csp,partial=cut", "partial 'cut' is not known; use one of split, project"),
        ("csp,stem=imagenet", "stem 'imagenet' is not known; use cifar, or leave it out"),
    ],
)
def test_the_error_for_an_invalid_spec_is_one_line(text: str, message: str) -> None:
    with pytest.raises(GradlensError, match=message) as caught:
        load_model(f"resnet18@{text}")
    assert "\n" not in str(caught.value)


def test_a_spec_without_a_name_is_an_error() -> None:
    with pytest.raises(GradlensError, match="the model name is empty"):
        load_model("@csp")


# --- through load_model ---


def cut(model: nn.Module) -> list[str]:
    return [path for path, module in model.named_modules() if isinstance(module, CspStage)]


@pytest.mark.parametrize("name", ["resnet18", "torchvision:resnet18"])
def test_a_name_with_options_builds_that_network(name: str) -> None:
    model = load_model(f"{name}@fusion_first,gamma=0.25,partial=project", num_classes=5, seed=0)
    assert cut(model) == ["layer1", "layer2", "layer3", "layer4"]
    assert model.training
    stage = model.get_submodule("layer1")
    assert stage.cut.bypass.conv.out_channels == 16  # type: ignore[union-attr]
    assert type(stage.transition).__name__ == "FusionFirst"
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_a_file_in_a_folder_with_an_at_sign_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "me@home"
    folder.mkdir()
    (folder / "mine.py").write_text(
        "import timm\ndef small(num_classes=3): return timm.create_model('resnet18', num_classes=num_classes)\n",
        encoding="utf-8",
    )
    assert cut(load_model(f"{folder}/mine.py:small", num_classes=3)) == []
    assert len(cut(load_model(f"{folder}/mine.py:small@csp", num_classes=3))) == 4


def test_weights_are_a_function_of_the_seed_and_uncut_layers_equal_the_baseline() -> None:
    first, again = (load_model("resnet18@csp", num_classes=3, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    plain = load_model("resnet18", num_classes=3, seed=3).state_dict()
    assert torch.equal(plain["conv1.weight"], first["conv1.weight"])
    assert torch.equal(plain["fc.weight"], first["fc.weight"])


def test_zero_init_is_also_lifted_after_the_cut() -> None:
    lifted = load_model("resnet18@csp", num_classes=3, seed=0, zero_init=False)
    zeroed = load_model("resnet18@csp", num_classes=3, seed=0)
    gains = [
        name for name, value in zeroed.named_parameters() if name.endswith("bn2.weight") and not value.any()
    ]
    assert len(gains) == 8
    assert all(bool((lifted.get_parameter(name) == 1).all()) for name in gains)


@pytest.mark.parametrize("text", ["csp", "fusion_last,gamma=0.25", "none,stem=cifar"])
def test_pretrained_weights_for_a_changed_network_are_an_error(text: str) -> None:
    with pytest.raises(
        GradlensError, match=r"no pretrained weights of resnet18@.*; leave out pretrained=True"
    ):
        load_model(f"resnet18@{text}", pretrained=True)


# --- stems ---

FIRST_STAGES = {
    "resnet18": "layer1",
    "torchvision:resnet18": "layer1",
    "resnet26d": "layer1",
    "densenet121": "features.denseblock1",
    "peleenet_small": "features.denseblock1",
}


def size_at(model: nn.Module, path: str) -> tuple[int, ...]:
    sizes: list[tuple[int, ...]] = []
    handle = model.get_submodule(path).register_forward_pre_hook(
        lambda _m, args: sizes.append(tuple(args[0].shape[-2:]))
    )
    with torch.no_grad():
        model.eval()(torch.randn(2, 3, 32, 32))
    handle.remove()
    return sizes[0]


@pytest.mark.parametrize(("name", "stage"), FIRST_STAGES.items(), ids=FIRST_STAGES)
def test_a_cifar_stem_keeps_the_resolution_of_the_image(name: str, stage: str) -> None:
    plain, small = (load_model(f"{name}@none{text}", num_classes=3, seed=0) for text in ("", ",stem=cifar"))
    assert size_at(plain, stage) == (8, 8)
    assert size_at(small, stage) == (32, 32)


def test_a_cifar_stem_can_be_combined_with_a_strategy() -> None:
    model = load_model("resnet18@csp,stem=cifar", num_classes=3, in_chans=1, seed=0)
    assert len(cut(model)) == 4
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.in_channels) == ((3, 3), (1, 1), 1)  # type: ignore[union-attr]
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 3)


@pytest.mark.parametrize(
    "build",
    [
        lambda: load_model("darknet17", num_classes=3),
        lambda: load_model("resnet18@none,stem=cifar", num_classes=3),
        lambda: nn.Sequential(nn.Linear(2, 2)),
    ],
    ids=["darknet17", "small already", "no convolution"],
)
def test_a_cifar_stem_for_a_network_without_one_to_change_is_an_error(build: object) -> None:
    with pytest.raises(GradlensError, match="keeps the resolution already; leave out the cifar stem"):
        cifar_stem(build())  # type: ignore[operator]
