"""Layers of darknet's detectors against their formulas, written pixel by pixel, and the count of FLOPs by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from oracles.darknet_cfgs import conv, net, route, section, shortcut
from oracles.darknet_layers import outputs
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.darknet import DarknetModel, darknet_flops, load_weights, parse_cfg


def build(*layers: str, channels: int = 3, size: int = 8) -> DarknetModel:
    torch.manual_seed(0)
    return DarknetModel(parse_cfg(net(channels, size, size) + "".join(layers), "t.cfg"))


def images(channels: int = 3, size: int = 8, n: int = 2) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def test_a_shortcut_adds_several_layers() -> None:
    model = build(conv(4), conv(6), conv(4), section("shortcut", from_="-2,0,-1", activation="leaky"))
    a, b, c, out = outputs(model, images())
    total = c + b[:, :4] + a + c
    assert torch.allclose(out, torch.where(total > 0, total, 0.1 * total), atol=1e-6)


def test_the_sources_of_several_shortcuts_receive_the_gradient() -> None:
    model = build(conv(4), conv(4), section("shortcut", from_="-1,-2"), section("avgpool"))
    x = images().requires_grad_()
    model.eval()(x).sum().backward()
    y = images().requires_grad_()
    a = model.layers[0](y)
    b = model.layers[1](a)
    (b + b + a).mean((2, 3)).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert torch.allclose(x.grad, y.grad, atol=1e-6)


@pytest.mark.parametrize("activation", ["linear", "logistic", "relu6"])
def test_scale_channels_multiplies_each_channel_of_a_layer(activation: str) -> None:
    squeeze = section("avgpool") + conv(4, activation="logistic")
    model = build(conv(4), squeeze, section("scale_channels", from_=-3, activation=activation), conv(2))
    a, _, factors, out, _ = outputs(model, images())
    expected = {
        "linear": lambda x: x, "logistic": lambda x: 1 / (1 + torch.exp(-x)), "relu6": lambda x: x.clamp(0, 6),
    }[activation](a * factors)  # fmt: skip
    assert torch.allclose(out, expected, atol=1e-6)


def test_scale_channels_by_pixel() -> None:
    model = build(conv(4), conv(1, activation="logistic"), section("scale_channels", from_=-2, scale_wh=1))
    a, factors, out = outputs(model, images())
    assert torch.equal(out, a * factors)


def test_sam_multiplies_each_element_of_a_layer() -> None:
    model = build(conv(4), conv(4, activation="logistic"), section("sam", from_=-2), conv(2))
    a, factors, out, _ = outputs(model, images())
    assert torch.equal(out, a * factors)


@pytest.mark.parametrize("stride", [2, 3])
def test_reorg3d_moves_the_pixels_of_a_square_to_channels(stride: int) -> None:
    x = images(4, 12)
    out = build(section("reorg3d", stride=stride), channels=4, size=12)(x)
    for row in range(stride):
        for column in range(stride):
            offset = row * stride + column
            assert torch.equal(out[:, 4 * offset : 4 * offset + 4], x[:, :, row::stride, column::stride])  # type: ignore[call-overload]


def test_reorg_reads_the_memory_as_darknet_does() -> None:
    """Index by index: ``out[i + w (j + h k)] = x[w2 + w s (h2 + h s c2)]`` with the shape of the input."""
    c, h, w, s = 8, 4, 6, 2
    x = torch.arange(c * h * w, dtype=torch.float32)
    memory = torch.empty_like(x)
    for k in range(c):
        for j in range(h):
            for i in range(w):
                c2, offset = k % (c // s**2), k // (c // s**2)
                w2, h2 = i * s + offset % s, j * s + offset // s
                memory[i + w * (j + h * k)] = x[w2 + w * s * (h2 + h * s * c2)]
    model = DarknetModel(parse_cfg(net(c, h, w) + section("reorg", stride=s)))
    assert torch.equal(model(x.reshape(1, c, h, w)), memory.reshape(1, c * s * s, h // s, w // s))


def test_a_reorg_of_images_of_other_sizes_is_an_error() -> None:
    with pytest.raises(GradlensError, match=r"a \[reorg\] with stride 2 receives maps of 7×7 pixels"):
        build(section("reorg3d", stride=2))(images(size=7))


def test_a_maxpool_over_channels() -> None:
    out = build(section("maxpool", maxpool_depth=1, out_channels=2), channels=6)(images(6))
    expected = torch.stack([images(6)[:, first::2].amax(1) for first in range(2)], dim=1)
    assert torch.equal(out, expected)


@pytest.mark.parametrize("size", [5, 9, 13])
def test_the_pools_of_spp_keep_the_size(size: int) -> None:
    out = build(section("maxpool", stride=1, size=size))(images())
    assert torch.equal(out, nn.functional.max_pool2d(images(), size, 1, size // 2))


def test_strides_of_rows_and_columns_differ() -> None:
    model = build(conv(4, 3, stride_x=1, stride_y=2), section("maxpool", size=2, stride_x=2, stride_y=1))
    a, b = outputs(model, images())
    assert a.shape[2:] == (4, 8)
    assert b.shape[2:] == (4, 4)
    full = build(conv(4, 3, 1))
    full.load_state_dict(model.state_dict())
    raw, whole = (each.layers[0].conv(images()) for each in (model, full))  # type: ignore[union-attr, operator]
    assert torch.allclose(raw, whole[:, :, ::2], atol=1e-6)


def test_a_dilated_convolution_keeps_the_size() -> None:
    model = build(conv(4, 3, dilation=2))
    layer = model.layers[0]
    expected = nn.functional.conv2d(images(), layer.conv.weight, padding=2, dilation=2)  # type: ignore[union-attr, arg-type]
    assert torch.equal(layer.conv(images()), expected)  # type: ignore[union-attr, operator]
    assert outputs(model, images())[0].shape[2:] == (8, 8)


def test_activations_and_empty_sections_leave_their_input_to_other_layers() -> None:
    text = (conv(4), section("activation", activation="relu"), section("empty"), route(0, -1))
    a, activated, empty, joined = outputs(build(*text), images())
    assert torch.equal(activated, a.clamp(min=0))
    assert torch.equal(empty, activated)
    assert torch.equal(joined, torch.cat([a, activated], 1))
    assert bool((a < 0).any())


def test_upsampling_may_scale() -> None:
    out = build(section("upsample", stride=2, scale=0.5))(images())
    assert torch.equal(out, images().repeat_interleave(2, 2).repeat_interleave(2, 3) / 2)


def test_a_batch_norm_of_its_own_and_its_weights(tmp_path: Path) -> None:
    model = build(section("batchnorm"), conv(2, batch_normalize=0))
    numbers = torch.rand(12 + 2 + 6) + 0.5
    file = tmp_path / "net.weights"
    file.write_bytes(struct.pack("<3iq", 0, 2, 0, 0) + numbers.numpy().astype("<f4").tobytes())
    load_weights(model, file)
    shift, gain, mean, variance = (part[:, None, None] for part in numbers[:12].split(3))
    expected = (images() - mean) / torch.sqrt(variance + 1e-5) * gain + shift
    assert torch.allclose(outputs(model.eval(), images())[0], expected, atol=1e-5)


def test_flops_are_those_of_convolutions_and_with_pools_and_shortcuts() -> None:
    text = (
        net(3, 16, 16)
        + conv(8, 3, 2)
        + conv(8, 3, groups=2)
        + shortcut(-2)
        + section("maxpool", size=2, stride=2)
        + route(-1, groups=2, group_id=1)
        + conv(5)
        + section("connected", output=7)
    )
    convolutions = 2 * (8 * 3 * 9 * 64 + 8 * 4 * 9 * 64 + 5 * 4 * 16)
    assert darknet_flops(parse_cfg(text)) == (convolutions, convolutions + 8 * 64 + 4 * 8 * 16)
    larger = darknet_flops(parse_cfg(text), image_size=32)
    assert larger.convolutions == 4 * convolutions
