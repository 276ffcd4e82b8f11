"""Options after the @ of a network name, and stems for small images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models import load_model
from gradlens.models.spec import CspSpec, NetworkSpec
from gradlens.models.stage import CspStage, ShuffledSplit
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
        ("resnet18@csp,cut=random,stem=cifar", "resnet18", CspSpec("csp", stem="cifar", cut="random")),
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
        ("csp,cut=last", "cut 'last' is not known; use one of first, random"),
        ("csp,cut=random,gamma=0", "cut='random' chooses the channels of a split, but here nothing is split"),
        ("csp,cut=random,partial=project", "cut='random' .* partial='split', or leave it out"),
        ("none,cut=random", "cut='random' .* nothing is split"),
        ("narrow", r"names no strategy to match; write resnet18@narrow,flops=csp"),
        ("csp,flops=csp", r"flops= in .* belongs to narrow; write resnet18@narrow,flops=csp"),
        ("narrow,flops=cps", "no transition strategy 'cps'.*did you mean csp"),
        ("narrow,flops=none", "needs .* GFLOPs, not more than"),
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
    lifted = load_model("resnet18@csp", num_classes=3, seed=0)
    zeroed = load_model("resnet18@csp", num_classes=3, seed=0, zero_init=True)
    gains = [
        name for name, value in zeroed.named_parameters() if name.endswith("bn2.weight") and not value.any()
    ]
    assert len(gains) == 8
    assert all(bool((lifted.get_parameter(name) == 1).all()) for name in gains)


@pytest.mark.parametrize("text", ["csp", "fusion_last,gamma=0.25", "none,stem=cifar", "narrow,flops=csp"])
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


# --- the channels that bypass the block ---


@pytest.mark.parametrize(
    ("name", "strategy"), [("resnet18", "csp"), ("resnet18", "no_fusion"), ("peleenet", "fusion_last")]
)
def test_a_random_cut_takes_other_channels_and_keeps_all_weights(name: str, strategy: str) -> None:
    options = {"num_classes": 5, "seed": 0}
    first, drawn = (
        load_model(f"{name}@{strategy}", **options),
        load_model(f"{name}@{strategy},cut=random", **options),
    )  # type: ignore[arg-type]
    weights, others = first.state_dict(), drawn.state_dict()
    assert {key.rpartition(".")[2] for key in others.keys() - weights.keys()} == {"order"}
    assert all(torch.equal(weights[key], others[key]) for key in weights)
    orders = [module.order for module in drawn.modules() if isinstance(module, ShuffledSplit)]
    assert len(orders) == len(cut(drawn))
    for order in orders:
        assert sorted(order.tolist()) == list(range(len(order)))
        assert order.tolist() != sorted(order.tolist())


def test_the_channels_of_a_random_cut_bypass_the_block() -> None:
    stage = load_model("resnet18@no_fusion,cut=random", seed=1).get_submodule("layer2").eval()
    x = torch.randn(2, 64, 8, 8)
    with torch.no_grad():
        led = stage.lead(x)  # type: ignore[operator]
        out = stage(x)
    order, bypass = stage.cut.order, stage.cut.widths[0]  # type: ignore[union-attr]
    assert torch.equal(out[:, :bypass], led[:, order[:bypass]])  # type: ignore[index]


def test_seeds_draw_different_channels() -> None:
    orders = [
        load_model("resnet18@csp,cut=random", seed=seed).get_submodule("layer1.cut").order for seed in (0, 1)
    ]
    assert not torch.equal(*orders)  # type: ignore[arg-type]


def test_a_random_cut_is_a_partial_split() -> None:
    recordings = [
        gl.inspect(name, seeds=1, batches=1, batch_size=4, image_size=32, throughput=False)["branches"].frame
        for name in ("resnet18@csp", "resnet18@csp,cut=random")
    ]
    kinds = [frame["kind"].value_counts().to_dict() for frame in recordings]
    assert kinds[0] == kinds[1]
    branches = [sorted(set(frame["branch_a"]) | set(frame["branch_b"])) for frame in recordings]
    assert branches[0] == branches[1]
