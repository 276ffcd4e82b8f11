"""narrowed: channel counts are scaled, weights are slices of the originals, the rest is unchanged."""

from __future__ import annotations

import copy
import math

import pytest
import timm
import torch
from timm.layers import ScaledStdConv2d, SqueezeExcite
from timm.models.convnext import ConvNeXtBlock
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.dense import drop_channels
from gradlens.models.narrowing import narrowed, without_first_inputs


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items() if value.dim()}


def filled(module: nn.Module) -> nn.Module:
    """Fill parameters and running statistics with different numbers."""
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.arange(1.0, value.numel() + 1).reshape(value.shape))
    return module


def test_inner_widths_scale_by_the_same_factor_as_the_outer_width() -> None:
    block = nn.Sequential(nn.Conv2d(16, 64, 1), nn.Conv2d(64, 24, 3), nn.Conv2d(24, 16, 1, bias=False))
    assert shapes(narrowed(block, 16, 4)) == {
        "0.weight": (16, 4, 1, 1),
        "0.bias": (16,),
        "1.weight": (6, 16, 3, 3),
        "1.bias": (6,),
        "2.weight": (4, 6, 1, 1),
    }


@pytest.mark.parametrize("new", [12, 8, 4])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_keeps_its_last_channels_scaled_by_the_root_of_the_fan_in_ratio(
    kernel: int, new: int
) -> None:
    conv = nn.Conv2d(16, 16, kernel).double()
    cut = narrowed(conv, 16, new)
    torch.testing.assert_close(
        cut.weight, conv.weight[-new:, -new:] * math.sqrt(16 / new), rtol=1e-14, atol=0
    )
    torch.testing.assert_close(cut.bias, conv.bias[-new:], rtol=0, atol=0)
    assert (cut.in_channels, cut.out_channels) == (new, new)


def test_a_linear_layer_keeps_its_last_features_scaled_in_the_same_way() -> None:
    linear = nn.Linear(16, 64).double()
    cut = narrowed(linear, 16, 4)
    torch.testing.assert_close(cut.weight, linear.weight[-16:, -4:] * 2, rtol=1e-14, atol=0)
    torch.testing.assert_close(cut.bias, linear.bias[-16:], rtol=0, atol=0)
    assert (cut.in_features, cut.out_features) == (4, 16)


@pytest.mark.parametrize("new", [96, 64, 32], ids=lambda new: f"{new} of 128")
def test_a_grouped_convolution_keeps_its_number_of_groups_with_fewer_channels_each(new: int) -> None:
    conv = nn.Conv2d(128, 128, 3, groups=32, padding=1).double()
    cut = narrowed(conv, 128, new)
    group_width = new // 32
    assert cut.groups == 32
    assert cut.weight.shape == (new, group_width, 3, 3)
    torch.testing.assert_close(
        cut.weight, conv.weight[-new:, -group_width:] * math.sqrt(4 / group_width), rtol=1e-14, atol=0
    )
    assert cut(torch.randn(1, new, 4, 4, dtype=torch.float64)).shape == (1, new, 4, 4)


def test_widths_around_a_grouped_convolution_are_multiples_of_its_groups() -> None:
    block = nn.Sequential(nn.Conv2d(20, 24, 1), nn.Conv2d(24, 24, 3, groups=8), nn.Conv2d(24, 20, 1))
    cut = narrowed(block, 20, 9)  # 24 · 9/20 = 10.8, nearest multiple of 8
    assert [(m.in_channels, m.out_channels, m.groups) for m in cut] == [(9, 8, 1), (8, 8, 8), (8, 9, 1)]


def test_groups_become_the_largest_number_that_divides_the_width_of_the_part() -> None:
    conv = nn.Conv2d(16, 16, 3, groups=8, padding=1)
    cut = narrowed(conv, 16, 12)
    assert (cut.groups, cut.weight.shape) == (4, (12, 3, 3, 3))
    assert cut(torch.randn(1, 12, 4, 4)).shape == (1, 12, 4, 4)


@pytest.mark.parametrize("times", [1, 2], ids=["one each", "two each"])
def test_a_depthwise_convolution_stays_depthwise(times: int) -> None:
    conv = nn.Conv2d(8, 8 * times, 3, groups=8).double()
    cut = narrowed(conv, 8, 6)
    assert (cut.in_channels, cut.out_channels, cut.groups) == (6, 6 * times, 6)
    torch.testing.assert_close(cut.weight, conv.weight[-6 * times :], rtol=0, atol=0)


def test_batch_norm_keeps_its_last_channels_and_their_running_statistics() -> None:
    norm = filled(nn.BatchNorm2d(8))
    norm.num_batches_tracked.fill_(5)  # type: ignore[operator, union-attr]
    cut = narrowed(norm, 8, 3)
    assert {name: value.tolist() for name, value in cut.state_dict().items()} == {
        "weight": [6, 7, 8],
        "bias": [6, 7, 8],
        "running_mean": [6, 7, 8],
        "running_var": [6, 7, 8],
        "num_batches_tracked": 5,
    }
    assert cut.num_features == 3


@pytest.mark.parametrize(("new", "groups"), [(12, 4), (6, 2), (5, 1)])
def test_group_norm_keeps_as_many_groups_as_divide_its_channels(new: int, groups: int) -> None:
    cut = narrowed(filled(nn.GroupNorm(4, 16)), 16, new)
    assert (cut.num_channels, cut.num_groups) == (new, groups)
    assert cut.weight.tolist() == list(range(17 - new, 17))
    assert cut(torch.randn(2, new, 3, 3)).shape == (2, new, 3, 3)


def test_layer_norm_has_the_width_of_the_part() -> None:
    cut = narrowed(filled(nn.LayerNorm(8)), 8, 3)
    assert cut.normalized_shape == (3,)
    assert cut.bias.tolist() == [6, 7, 8]
    assert cut(torch.randn(2, 3)).shape == (2, 3)


def test_squeeze_and_excitation_scales_its_reduction() -> None:
    cut = narrowed(SqueezeExcite(64, rd_channels=16), 64, 32)
    assert (cut.fc1.out_channels, cut.fc2.in_channels) == (8, 8)
    assert cut(torch.randn(2, 32, 4, 4)).shape == (2, 32, 4, 4)


def test_attention_over_one_channel_has_no_width_to_scale() -> None:
    conv = nn.Conv1d(1, 1, 5)
    assert torch.equal(narrowed(conv, 64, 32).weight, conv.weight)


def test_a_convnext_block_scales_its_depthwise_layer_norm_mlp_and_layer_scale() -> None:
    cut = narrowed(filled(ConvNeXtBlock(8, ls_init_value=1.0)), 8, 6)
    assert shapes(cut) == {
        "gamma": (6,),
        "conv_dw.weight": (6, 1, 7, 7),
        "conv_dw.bias": (6,),
        "norm.weight": (6,),
        "norm.bias": (6,),
        "mlp.fc1.weight": (24, 6),
        "mlp.fc1.bias": (24,),
        "mlp.fc2.weight": (6, 24),
        "mlp.fc2.bias": (6,),
    }
    assert cut.gamma.tolist() == [3, 4, 5, 6, 7, 8]
    assert cut(torch.randn(2, 6, 8, 8)).shape == (2, 6, 8, 8)


@pytest.mark.parametrize("shape", [(8,), (8, 1, 1), (1, 8, 1, 1)], ids=str)
def test_a_gain_with_one_value_per_channel_is_cut_along_its_channels(shape: tuple[int, ...]) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain, self.skip = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(()))

    cut = narrowed(filled(Scale()), 8, 3)
    assert cut.gain.shape == tuple(3 if size == 8 else 1 for size in shape)
    assert cut.gain.flatten().tolist() == [6, 7, 8]
    assert cut.skip.shape == ()


def test_a_standardised_convolution_keeps_the_variance_of_its_output() -> None:
    conv = ScaledStdConv2d(64, 64, 3, padding=1, bias=False)
    cut = narrowed(conv, 64, 16)
    assert cut.scale == pytest.approx((16 * 9) ** -0.5)
    assert cut.gain.shape == (16, 1, 1, 1)
    variances = [
        module(torch.randn(4, width, 8, 8))[..., 1:-1, 1:-1].var().item()
        for module, width in ((conv, 64), (cut, 16))
    ]
    assert variances[1] == pytest.approx(variances[0], rel=0.1)


@pytest.mark.parametrize("new", [1, 3, 5, 7, 10])
def test_odd_widths_run(new: int) -> None:
    block = nn.Sequential(
        nn.Conv2d(11, 6, 1),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 6, 3, 1, 1),
        nn.GroupNorm(3, 6),
        nn.Conv2d(6, 11, 1),
    )
    cut = narrowed(block, 11, new)
    inner = max(1, round(6 * new / 11))
    assert [m.out_channels for m in cut if isinstance(m, nn.Conv2d)] == [inner, inner, new]
    assert cut(torch.randn(2, new, 4, 4)).shape == (2, new, 4, 4)


@pytest.mark.parametrize("new", [192, 128, 64])
def test_a_resnext_bottleneck_of_timm_runs_at_the_width_of_the_part(new: int) -> None:
    block = timm.create_model("resnext50_32x4d").layer1[1]
    cut = narrowed(block, 256, new)
    assert (cut.conv2.groups, cut.conv2.in_channels) == (32, new // 2)
    assert cut(torch.randn(2, new, 4, 4)).shape == (2, new, 4, 4)


def test_the_original_block_is_unchanged() -> None:
    block = nn.Sequential(nn.Conv2d(8, 8, 3, groups=2), nn.BatchNorm2d(8), SqueezeExcite(8))
    before, text = copy.deepcopy(block.state_dict()), str(block)
    cut = narrowed(block, 8, 4)
    with torch.no_grad():
        for value in cut.state_dict().values():
            value.fill_(7)
    assert str(block) == text
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_frozen_layers_stay_frozen() -> None:
    block = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Linear(8, 8)).requires_grad_(False)
    block[2].weight.requires_grad_(True)
    trainable = [name for name, value in narrowed(block, 8, 4).named_parameters() if value.requires_grad]
    assert trainable == ["2.weight"]


class Holds(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Holds(8, 8), r"0 \(Holds\) has parameters of an unknown kind: \(8, 8\)"),
        (
            nn.MultiheadAttention(8, 2),
            r"0 \(MultiheadAttention\) has parameters of an unknown kind: \(24, 8\)",
        ),
        (nn.Embedding(4, 8), r"0 \(Embedding\)"),
        (nn.LayerNorm([8, 4]), r"0 \(LayerNorm\)"),
        (nn.Bilinear(8, 8, 8), r"0 \(Bilinear\)"),
        (nn.ConvTranspose2d(8, 8, 2), r"0 \(ConvTranspose2d\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_the_error_for_a_layer_of_unknown_kind_contains_its_name(block: nn.Module, message: str) -> None:
    with pytest.raises(GradlensError, match=message) as caught:
        narrowed(nn.Sequential(block), 8, 4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("width", [9, 8])
def test_a_depthwise_layer_with_a_multiplier_keeps_it(width: int) -> None:
    block = nn.Sequential(
        nn.Conv2d(12, 10, 1), nn.Conv2d(10, 30, 3, padding=1, groups=10), nn.Conv2d(30, 12, 1)
    )
    cut = narrowed(block, 12, width)
    inner = round(10 * width / 12)
    assert (cut[1].in_channels, cut[1].out_channels, cut[1].groups) == (inner, 3 * inner, inner)
    assert cut(torch.rand(2, width, 4, 4)).shape == (2, width, 4, 4)


# --- dense layers: fewer inputs, the same growth ---


def test_a_dense_layer_reads_fewer_channels_and_adds_the_same_number() -> None:
    layer = timm.create_model("densenet121").features.denseblock1.denselayer1.double()
    cut = copy.deepcopy(layer)
    drop_channels(cut, ("norm1", "conv1"), 16)
    assert (cut.norm1.num_features, cut.conv1.in_channels, cut.conv1.out_channels) == (48, 48, 128)
    torch.testing.assert_close(
        cut.conv1.weight, layer.conv1.weight[:, 16:] * math.sqrt(64 / 48), rtol=1e-14, atol=0
    )
    assert torch.equal(cut.conv2.weight, layer.conv2.weight)
    assert layer.conv1.in_channels == 64


def test_inputs_are_dropped_from_the_front() -> None:
    norm = filled(nn.BatchNorm2d(5))
    without_first_inputs(norm, 2)
    assert norm.running_mean.tolist() == [3, 4, 5]  # type: ignore[union-attr]


def test_a_layer_without_input_channels_is_an_error() -> None:
    with pytest.raises(TypeError, match="ReLU has no input channels"):
        without_first_inputs(nn.ReLU(), 1)
