"""cspify: cut networks keep the baseline's shapes, the rest is unchanged, and impossible cuts are errors."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.models.densenet import DenseNet
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gradlens.errors import GradlensError
from gradlens.models import StageNotCut, cspify, load_model
from gradlens.models.examining import stage_paths
from gradlens.models.stage import CspStage
from gradlens.models.trial import evaluating

SMALL = ("resnet18", "darknet17", "peleenet_small")
LARGE = ("resnet50", "resnext50_32x4d", "densenet121")
STRATEGIES = ("fusion_first", "fusion_last", "csp")
DENSE = ("densenet121", "peleenet_small", "peleenet")
TRANSITIONS_AFTER = {"densenet121": 3, "peleenet_small": 4, "peleenet": 4}


@functools.cache
def baseline(name: str, classes: int = 10) -> nn.Module:
    return load_model(name, num_classes=classes, seed=0)


def stage_names(name: str) -> list[str]:
    if name in DENSE:
        return [f"features.denseblock{number}" for number in (1, 2, 3, 4)]
    if name.startswith("darknet"):
        return [f"stages.{number}" for number in range(len(baseline(name).stages))]  # type: ignore[arg-type]
    return [f"layer{number}" for number in (1, 2, 3, 4)]


def stage_ends(name: str) -> list[str]:
    """Return the modules that output each stage: the network's own transitions, if it has any."""
    ends = stage_names(name)
    transitions = TRANSITIONS_AFTER.get(name, 0)
    return [end.replace("denseblock", "transition") for end in ends[:transitions]] + ends[transitions:]


def cut_stages(model: nn.Module) -> dict[str, CspStage]:
    return {path: module for path, module in model.named_modules() if isinstance(module, CspStage)}


def outputs(model: nn.Module, paths: list[str], x: Tensor) -> dict[str, Tensor]:
    captured: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda _m, _i, out, path=path: captured.update({path: out.clone()})
        )
        for path in paths
    ]
    training = model.training
    with torch.no_grad():
        captured["logits"] = model.eval()(x)
    model.train(training)
    for handle in handles:
        handle.remove()
    return captured


@functools.cache
def baseline_shapes(name: str) -> dict[str, torch.Size]:
    """Return the shapes of the outputs of each stage and of the network."""
    return {path: out.shape for path, out in outputs(baseline(name), stage_ends(name), images()).items()}


def images(n: int = 1, size: int = 64) -> Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def combinations(
    names: tuple[str, ...], gammas: tuple[float, ...], strategies: tuple[str, ...] = STRATEGIES
) -> list[Any]:
    return [
        pytest.param(name, strategy, partial, gamma, id=f"{name}-{strategy}-{partial}-{gamma}")
        for name in names
        for strategy in strategies
        for partial in ("split", "project")
        for gamma in gammas
    ]


# --- shapes and formulas ---


@pytest.mark.parametrize(
    ("name", "strategy", "partial", "gamma"),
    [*combinations(SMALL, (0.25, 0.5, 0.75)), *combinations(LARGE, (0.5,), ("csp",))],
)
def test_each_cut_stage_has_the_output_shape_of_the_baseline(
    name: str, strategy: str, partial: str, gamma: float
) -> None:
    made = cspify(baseline(name), strategy, gamma=gamma, partial=partial, seed=0)
    assert list(cut_stages(made)) == stage_names(name)
    shapes = {path: out.shape for path, out in outputs(made, stage_ends(name), images()).items()}
    assert shapes == baseline_shapes(name)
    for stage in cut_stages(made).values():
        bypass, dense = cut_widths(stage)
        assert bypass == round(gamma * (bypass + dense))


def cut_widths(stage: CspStage) -> tuple[int, int]:
    if hasattr(stage.cut, "widths"):
        bypass, dense = stage.cut.widths
        return bypass, dense
    convs = [m for m in stage.cut.modules() if isinstance(m, nn.Conv2d)]
    assert convs[0].in_channels == convs[1].in_channels == sum(conv.out_channels for conv in convs)
    return convs[0].out_channels, convs[1].out_channels


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "darknet17"])
def test_a_stage_without_fusion_keeps_its_output_shape(name: str) -> None:
    model, ends = baseline(name), stage_ends(name)
    made = cspify(model, "no_fusion", seed=0)
    expected = {path: out.shape for path, out in outputs(model, ends, images()).items()}
    assert {path: out.shape for path, out in outputs(made, ends, images()).items()} == expected


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "peleenet_small"])
def test_a_cut_network_computes_the_formula_of_the_paper(name: str) -> None:
    """Each stage computes ``T_U(cat[p1, T_T(B(p2))])`` with its own blocks and transitions."""
    made = cspify(baseline(name), "csp", gamma=0.25, seed=0).double().eval()
    paths = list(cut_stages(made))
    stage_inputs: dict[str, Tensor] = {}
    for path in paths:
        made.get_submodule(path).register_forward_pre_hook(
            lambda _m, args, path=path: stage_inputs.update({path: args[0].clone()})
        )
    stage_outputs = outputs(made, paths, images(2).double())
    for path in paths:
        stage = made.get_submodule(path)
        x = stage_inputs[path]
        for step in stage.lead:  # type: ignore[union-attr]
            x = step(x)
        bypass = round(0.25 * x.shape[1])
        p1, p2 = x[:, :bypass], x[:, bypass:].clone()
        merged = torch.cat([p1, stage.transition.before(stage.blocks(p2))], 1)  # type: ignore[operator, union-attr]
        torch.testing.assert_close(stage_outputs[path], stage.transition.after(stage.transition.pool(merged)))  # type: ignore[operator, union-attr]


@pytest.mark.parametrize("name", ["densenet121", "peleenet_small"])
def test_a_dense_block_keeps_its_growth_on_a_part_of_its_input(name: str) -> None:
    before = copy.deepcopy(baseline(name).get_submodule("features.denseblock2")).eval()
    after = cut_stages(cspify(baseline(name), gamma=0.5, seed=0))["features.denseblock2"].blocks.eval()
    width = next(m for m in before.modules() if isinstance(m, nn.Conv2d)).in_channels
    x = torch.randn(2, width, 8, 8)
    assert before(x).shape[1] - width == after(x[:, width // 2 :]).shape[1] - width // 2 > 0


def test_the_original_transition_is_replaced_and_its_pooling_kept() -> None:
    made = cspify(baseline("densenet121"), "fusion_first", seed=0)
    for number in (1, 2, 3):
        assert isinstance(made.get_submodule(f"features.transition{number}"), nn.Identity)
        assert isinstance(made.get_submodule(f"features.denseblock{number}.transition.pool"), nn.AvgPool2d)
    assert isinstance(made.get_submodule("features.denseblock4.transition.pool"), nn.Identity)


@pytest.mark.parametrize(
    ("name", "order"),
    [("resnet18", "Conv2d BatchNorm2d ReLU"), ("densenet121", "BatchNorm2d ReLU Conv2d"),
     ("darknet17", "Conv2d BatchNorm2d LeakyReLU"), ("peleenet_small", "Conv2d BatchNorm2d ReLU")],
)  # fmt: skip
def test_a_transition_has_the_layer_order_of_the_network(name: str, order: str) -> None:
    for stage in cut_stages(cspify(baseline(name), "csp", seed=0)).values():
        for layer in (stage.transition.after, stage.transition.before):
            assert " ".join(type(part).__name__ for part in layer.children()) == order  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "order"),
    [("densenet121", "Conv2d BatchNorm2d ReLU"), ("darknet17", "Conv2d BatchNorm2d LeakyReLU")],
)
def test_a_projection_starts_with_its_convolution(name: str, order: str) -> None:
    for stage in cut_stages(cspify(baseline(name), "csp", partial="project", seed=0)).values():
        for layer in (stage.cut.bypass, stage.cut.dense):
            assert " ".join(type(part).__name__ for part in layer.children()) == order  # type: ignore[union-attr]


def test_a_network_without_batch_normalisation_stays_without_it() -> None:
    made = cspify(Net(8, block(8, norm=nn.GroupNorm(2, 8))), seed=0)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in made.modules())
    assert any(isinstance(m, nn.GroupNorm) for m in cut_stages(made)["layer1"].transition.modules())


@pytest.mark.parametrize("strategy", [*STRATEGIES, "no_fusion"])
@pytest.mark.parametrize("partial", ["split", "project"])
def test_all_weights_of_a_cut_network_receive_gradients(strategy: str, partial: str) -> None:
    made = cspify(load_model("resnet18", num_classes=10, seed=0), strategy, partial=partial, seed=0)
    made(images(4, 32)).logsumexp(1).sum().backward()
    assert [
        name for name, value in made.named_parameters() if value.grad is None or not value.grad.any()
    ] == []


# --- the rest of the network ---


@pytest.mark.parametrize("name", [*SMALL, "densenet121"])
def test_the_strategy_none_equals_the_baseline_bit_for_bit(name: str) -> None:
    model = baseline(name)
    made = cspify(model, "none")
    x = images(2)
    assert made is not model
    assert torch.equal(outputs(made, [], x)["logits"], outputs(model, [], x)["logits"])
    old, new = model.state_dict(), made.state_dict()
    assert list(new) == list(old)
    assert all(torch.equal(value, new[key]) for key, value in old.items())


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_the_original_model_is_unchanged(name: str, training: bool) -> None:
    model = load_model(name, num_classes=10, seed=0).train(training)
    before, text = copy.deepcopy(model.state_dict()), str(model)
    made = cspify(model, "csp", seed=0)
    with torch.no_grad():
        for value in made.state_dict().values():
            value.zero_()
    assert str(model) == text
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    for module in [*model.modules(), *made.modules()]:
        assert module.training is training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_layers_in_eval_mode_stay_in_it_and_new_layers_follow_their_stage() -> None:
    model = baseline("resnet18").train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    made = cspify(model, "csp", partial="project", seed=0)
    stage = made.layer2
    assert made.training
    assert all(m.training for m in (stage, stage.lead, stage.blocks, stage.cut, stage.transition.before.norm))
    norms = [m for m in [*stage.lead.modules(), *stage.blocks.modules()] if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in [made.bn1, *norms])


def test_the_trial_run_does_not_change_batch_statistics() -> None:
    table = cspify(baseline("resnet18"), "csp", seed=0).state_dict()
    assert all(not value.any() for key, value in table.items() if key.endswith(("_tracked", "running_mean")))


@pytest.mark.parametrize("name", [*SMALL, "resnext50_32x4d", "densenet121"])
def test_modules_outside_of_stages_keep_names_and_weights(name: str) -> None:
    model, made = baseline(name), cspify(baseline(name), "csp", seed=0)
    replaced = tuple(path + "." for path in {*stage_names(name), *stage_ends(name)})
    old, new = model.state_dict(), made.state_dict()
    whole = [key for key in old if not key.startswith(replaced)]
    assert whole == [key for key in new if not key.startswith(replaced)]
    assert len(whole) >= 8
    assert all(torch.equal(old[key], new[key]) for key in whole)


def test_the_strided_block_of_a_stage_stays_whole_and_other_blocks_keep_their_names() -> None:
    old, new = baseline("resnet50").state_dict(), cspify(baseline("resnet50"), "csp", seed=0).state_dict()
    lead = {key: value for key, value in old.items() if key.startswith("layer2.0.")}
    assert len(lead) > 20
    assert all(
        torch.equal(value, new[key.replace("layer2.0.", "layer2.lead.0.")]) for key, value in lead.items()
    )
    for number in (1, 2, 3):
        names = {key.removeprefix(f"layer2.{number}.") for key in old if key.startswith(f"layer2.{number}.")}
        start = f"layer2.blocks.{number - 1}."
        assert {key.removeprefix(start) for key in new if key.startswith(start)} == names


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_new_layers_have_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    made = cspify(Net(8, block(8)).to(dtype), "csp", partial="project", seed=0)
    assert {value.dtype for value in made.parameters()} == {dtype}
    assert made(images(2, 32).to(dtype)).dtype == dtype


# --- weights ---


@pytest.mark.parametrize("partial", ["split", "project"])
def test_weights_are_a_function_of_the_seed(partial: str) -> None:
    first, again, other = (
        cspify(baseline("resnet18"), "csp", partial=partial, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    differ = {key for key, value in first.items() if not torch.equal(value, other[key])}
    added = (".transition.before.conv.", ".transition.after.conv.", ".cut.bypass.conv.", ".cut.dense.conv.")
    assert differ == {key for key in first if any(part in key for part in added)}


def test_a_seed_keeps_the_global_random_state_and_without_a_seed_that_state_is_used() -> None:
    model = Net(8, block(8))
    before = torch.get_rng_state()
    cspify(model, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    drawn = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        drawn.append(cspify(model).state_dict()["layer1.transition.after.conv.weight"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_all_strategies_have_the_same_blocks_for_one_seed() -> None:
    tables = [cspify(baseline("resnet18"), strategy, seed=1).state_dict() for strategy in STRATEGIES]
    blocks = [key for key in tables[0] if ".blocks." in key]
    assert len(blocks) > 30
    assert all(torch.equal(table[key], tables[0][key]) for table in tables for key in blocks)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 0.75])
@pytest.mark.parametrize(
    ("name", "mode"), [("resnet18", "out"), ("resnext50_32x4d", "out"), ("densenet121", "in")]
)
def test_a_cut_network_keeps_the_initialisation_rule_of_its_library(
    name: str, mode: str, gamma: float
) -> None:
    """He's variance 2/fan at the new widths; timm takes fan-out in ResNets and fan-in in DenseNets."""
    made = cspify(baseline(name), "csp", gamma=gamma, seed=0)
    checked = 0
    for path, stage in cut_stages(made).items():
        for name_, conv in stage.named_modules():
            if not isinstance(conv, nn.Conv2d) or conv.weight.numel() < 4000:
                continue
            new = name_.startswith("transition")
            weight = conv.weight.detach()
            fan = weight[:, 0].numel() if mode == "out" and not new else weight[0].numel()
            assert weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.06), f"{path}.{name_}"
            checked += 1
    assert checked >= 12


# --- gamma ---


@pytest.mark.parametrize("partial", ["split", "project"])
@pytest.mark.parametrize(
    ("channels", "gamma", "bypass"),
    [
        (5, 0.01, 1),
        (5, 0.25, 1),
        (5, 0.5, 2),  # 2.5 is rounded to even
        (5, 0.75, 4),
        (5, 0.99, 4),
        (7, 0.25, 2),
        (7, 0.5, 4),  # 3.5 is rounded to even
        (7, 0.75, 5),
        (2, 0.9, 1),
    ],
)
def test_odd_channel_counts_are_rounded_and_each_branch_has_at_least_one_channel(
    channels: int, gamma: float, bypass: int, partial: str
) -> None:
    model = Net(channels, block(channels), block(channels))
    for strategy in (*STRATEGIES, "no_fusion"):
        made = cspify(model, strategy, gamma=gamma, partial=partial, seed=0)
        assert cut_widths(cut_stages(made)["layer1"]) == (bypass, channels - bypass)
        assert outputs(made, ["layer1"], images(2, 32))["layer1"].shape == (2, channels, 16, 16)


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d", "densenet121", "darknet53", "peleenet"])
def test_csp_costs_less_than_the_baseline(name: str) -> None:
    model = baseline(name)
    assert flops(cspify(model, "csp", gamma=0.5, seed=0)) < 0.95 * flops(model)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_flops_fall_with_gamma(strategy: str) -> None:
    model = DenseNet(growth_rate=8, block_config=(2, 3), num_classes=3)
    counts = [flops(cspify(model, strategy, gamma=gamma, seed=0)) for gamma in (0.25, 0.5, 0.75)]
    assert counts[0] > counts[1] > counts[2]


def flops(model: nn.Module, size: int = 64) -> int:
    counter = FlopCounterMode(display=False)
    with counter, evaluating(model), torch.no_grad():
        model(images(size=size))
    return counter.get_total_flops()


# --- which stages ---


def test_only_named_stages_are_cut() -> None:
    made = cspify(baseline("resnet18"), stages=["layer3", "layer1"], seed=0)
    assert set(cut_stages(made)) == {"layer1", "layer3"}
    old, new = baseline("resnet18").state_dict(), made.state_dict()
    assert all(torch.equal(new[key], old[key]) for key in old if key.startswith(("layer2.", "layer4.")))


def test_a_single_stage_can_be_named_without_a_list() -> None:
    assert list(cut_stages(cspify(baseline("resnet18"), stages="layer3", seed=0))) == ["layer3"]


class Folded(nn.Module):
    """Pixels are folded into channels before the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), conv(12, 8))
        self.layer1 = nn.Sequential(block(8), block(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer1(self.stem(x)).mean((2, 3))


@pytest.mark.parametrize("image_size", [None, 32, (3, 16, 24)])
def test_a_stem_that_folds_pixels_runs_on_an_image(image_size: Any) -> None:
    made = cspify(Folded(), image_size=image_size, seed=0)
    assert list(cut_stages(made)) == ["layer1"]
    assert made(images(2, 32)).shape == (2, 8)


def test_a_network_with_many_input_channels_can_be_cut() -> None:
    assert cut_stages(cspify(timm.create_model("resnet18", in_chans=12), seed=0))


def test_a_network_on_the_meta_device_is_an_error() -> None:
    with torch.device("meta"):
        model = timm.create_model("resnet18")
    with pytest.raises(GradlensError, match="ResNet is on the meta device"):
        cspify(model)


def test_a_sequence_with_an_unusual_name_can_be_cut_by_name() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(3, 6, 2), block(6), block(6))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x).mean((2, 3))

    made = cspify(Odd(), stages=["body"], seed=0)
    stage = cut_stages(made)["body"]
    assert (len(stage.lead), len(stage.blocks)) == (1, 2)  # type: ignore[arg-type]
    assert made(images(2, 32)).shape == (2, 6)


def test_a_warning_names_stages_that_stay_whole_and_the_reason() -> None:
    with pytest.warns(StageNotCut) as caught:
        made = cspify(load_model("regnetx_002", num_classes=10, seed=0), seed=0)
    assert list(cut_stages(made)) == ["s3", "s4"]
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert messages[0].startswith("not cut: s1: no block after its last change of resolution or width ((32,")
    assert messages[1].startswith("not cut: s2: no block")
    assert {warning.filename for warning in caught} == {__file__}


def test_networks_with_all_stages_cut_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cspify(baseline("resnet18"), seed=0)


# --- refusals ---


def conv(inputs: int, outputs_: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    made = nn.Conv2d(inputs, outputs_, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(made, nn.BatchNorm2d(outputs_), nn.ReLU())


def block(channels: int, norm: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(3 * channels, channels, 3, 1, 1),
        norm or nn.BatchNorm2d(channels), nn.ReLU(),
    )  # fmt: skip


class Net(nn.Module):
    """Stem, one stage, head."""

    def __init__(self, channels: int, *blocks: nn.Module, stage: nn.Module | None = None) -> None:
        super().__init__()
        has_norm = not any(isinstance(m, nn.GroupNorm) for b in blocks for m in b.modules())
        self.stem = conv(3, channels, 2) if has_norm else nn.Conv2d(3, channels, 3, 2, 1)
        self.layer1 = stage or nn.Sequential(*blocks)
        self.head = nn.LazyLinear(5)
        with torch.no_grad():
            self.eval()(torch.zeros(1, 3, 32, 32))
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer1(self.stem(x)).flatten(2).mean(2))


class Shortcut(nn.Sequential):
    """A stage whose forward is not a plain sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Counted(nn.Module):
    """A block that stores a width outside its layers, as Res2Net does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width, self.conv = channels // 2, nn.Conv2d(channels // 2, channels // 2, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.split(self.width, 1)
        return torch.cat([first, self.conv(second)], 1)


class Placed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(16, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.table.mean())


class Fixed(Net):
    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] == 32, "images of 32 pixels"
        return super().forward(x)


class Straight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 4, 2), conv(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "attention": (
        lambda: load_model("vit_tiny_patch16_224", num_classes=10, seed=0),
        r"blocks\.0: attn \(Attention\) is attention, whose width cannot change",
    ),
    "not a sequence": (
        lambda: Net(8, stage=Shortcut(block(8), block(8))),
        r"layer1: its forward does not run its modules one after another \(Shortcut\)",
    ),
    "its own csp": (
        lambda: load_model("cspresnet50", num_classes=10, seed=0),
        r"stages\.0: its forward does not run its modules one after another \(CrossStage\)",
    ),
    "cut already": (
        lambda: cspify(Net(8, block(8)), seed=0),
        r"its forward does not run its modules one after another \(CspStage\)",
    ),
    "nothing left": (
        lambda: Net(8, conv(8, 16, 2)),
        r"layer1: no block after its last change of resolution or width \(\(8, 32, 32\) to \(16, 16, 16\)\)",
    ),
    "only a normalisation left": (
        lambda: Net(8, nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
        r"layer1: no block after its last change",
    ),
    "tokens": (
        lambda: Net(8, stage=nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(2), nn.Linear(16, 16))),
        r"layer1: it works on \(1, 8, 16\), not on images",
    ),
    "unknown parameters": (
        lambda: Net(16, block(16), Placed()),
        r"layer1: .*Placed\) has parameters of an unknown kind: \(16, 32, 32\)",
    ),
    "counts outside layers": (
        lambda: Net(8, Counted(8)),
        r"layer1: a block does not run at the width of a part, because it stores channel counts outside its layers \(",
    ),
    "res2net": (
        lambda: load_model("res2net50_26w_4s", num_classes=10, seed=0),
        "stores channel counts outside its layers",
    ),
    "no stages": (
        Straight,
        r"found no stages in Straight .*name them, for example stages=",
    ),
    "one channel": (lambda: Net(1, block(1)), "layer1 has 1 channel and cannot be cut"),
    "other size": (
        lambda: Fixed(8, block(8)),
        r"Fixed does not run on an image \(1, 3, 64, 64\) \(images of 32 pixels.*\); give another image_size=",
    ),
    "no convolution": (lambda: nn.Sequential(nn.Linear(4, 4)), "Sequential has no convolution"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_error_for_a_network_that_cannot_be_cut_is_one_line(case: str) -> None:
    build, message = REFUSED[case]
    with pytest.raises(GradlensError, match=message) as caught:
        cspify(build(), seed=0)
    assert "\n" not in str(caught.value)


class Half(nn.Module):
    """One stage can be cut, the other stores a channel count outside its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.layer1, self.layer2 = nn.Sequential(block(8), block(8)), nn.Sequential(Counted(8), Counted(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(self.layer1(self.stem(x))).mean((2, 3))


def test_other_stages_are_cut_if_one_cannot_be() -> None:
    with pytest.warns(StageNotCut, match=r"not cut: layer2: a block does not run at the width of a part"):
        made = cspify(Half(), seed=0)
    assert list(cut_stages(made)) == ["layer1"]


def test_numbered_single_layers_are_not_stages() -> None:
    model = nn.Module()
    model.layers = nn.Sequential(conv(3, 8), conv(8, 8), nn.Sequential(block(8), block(8)))
    assert stage_paths(model) == ["layers.2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet18",), "a str is not a torch.nn.Module"),
        ((None, "csp"), "a NoneType is not a torch.nn.Module"),
    ],
)
def test_objects_that_are_not_modules_are_errors(arguments: Any, message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        cspify(*arguments)


def test_a_named_stage_that_cannot_be_cut_is_an_error() -> None:
    with pytest.raises(GradlensError, match=r"cannot be made cross stage partial: s1: no block after"):
        cspify(load_model("regnetx_002", num_classes=10, seed=0), stages=["s1", "s4"], seed=0)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["layer5"], "there is no module 'layer5'; did you mean layer"),
        ([], "stages is empty"),
        (["layer1", "layer1.1"], r"layer1\.1 is inside layer1"),
    ],
    ids=["unknown", "none", "nested"],
)
def test_invalid_stages_are_errors(stages: list[str], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        cspify(baseline("resnet18"), stages=stages)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "fusion_frist"}, r"no transition strategy 'fusion_frist'; use one of none, .*mean fusion_first"),
        ({"strategy": None}, "no transition strategy None"),
        ({"stages": ["layer1", 3]}, r"stages=\['layer1', 3\]; give module paths"),
        ({"strategy": ""}, "no transition strategy ''"),
        ({"partial": "splt"}, "partial 'splt' is not known; use one of split, project"),
        *(({"gamma": gamma}, "gamma is .* at least 0 and below 1") for gamma in (1.0, -0.5, 1.5, float("nan"))),
        ({"gamma": 0, "strategy": "no_fusion"}, "gamma is 0, but no_fusion adds no transition"),
        ({"gamma": 0.0, "partial": "project"}, "nothing is cut and partial='project' has no meaning"),
        ({"gamma": "0.5"}, "gamma is '0.5'; it is the share"),
        ({"seed": -1}, "seed is -1"),
        ({"strategy": "none", "gamma": 2.0}, "gamma is 2"),
    ],
    ids=str,
)  # fmt: skip
def test_invalid_options_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        cspify(baseline("resnet18"), **options)


def test_no_fusion_cannot_change_the_width_of_a_dense_block() -> None:
    with pytest.raises(GradlensError, match=r"change 32 \+ 224 channels to the 128"):
        cspify(baseline("densenet121"), "no_fusion")


def test_a_bypass_wider_than_the_output_of_the_stage_is_an_error() -> None:
    model = DenseNet(growth_rate=4, block_config=(1, 1), num_classes=3)
    with pytest.raises(
        GradlensError, match=r"6 of 8 channels would bypass the block, .* only 6; use a smaller gamma"
    ):
        cspify(model, "csp", gamma=0.75)


def test_a_failed_cut_leaves_the_model_unchanged() -> None:
    model = Net(8, Counted(8)).train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(GradlensError):
        cspify(model)
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_block_with_an_in_place_first_layer_can_be_trained() -> None:
    """Autograd does not allow in-place changes of an output of a split."""
    model = nn.Sequential()
    model.add_module("layer1", nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1)))
    stem = nn.Sequential(nn.Conv2d(3, 8, 3), model)
    cut = cspify(stem, "csp", stages=["1.layer1"])
    cut(torch.randn(4, 3, 16, 16)).sum().backward()
    assert stem[1].layer1[0].inplace


def test_a_network_of_two_inputs_is_cut_in_the_part_that_takes_one():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = load_model("resnet18", num_classes=4, seed=0)

        def forward(self, x, mask):
            return self.backbone(x * mask)

    model = Two()
    with pytest.raises(
        GradlensError, match=r"takes 2 inputs \(x, mask\), .*model.backbone = cspify"
    ) as raised:
        cspify(model, "csp", stages=["backbone.layer1"], image_size=32)
    assert "image_size" not in str(raised.value)
    model.backbone = cspify(model.backbone, "csp", image_size=32)
    x = torch.rand(4, 3, 32, 32)
    assert model(x, torch.ones_like(x)).shape == (4, 4)
