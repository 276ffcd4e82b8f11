"""darknet: files: published counts, layers and weights checked by hand, and errors for mistakes in a file."""

from __future__ import annotations

import math
import struct
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles import darknet_cfgs as cfgs
from oracles.darknet_cfgs import conv, net, route, section, shortcut
from oracles.darknet_layers import outputs
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models import load_checkpoint, load_model
from gradlens.models.darknet import DarknetModel, darknet_model, load_weights, parse_cfg, read_cfg
from gradlens.models.darknet.layers import EPS, ConnectedLayer, ConvLayer
from gradlens.models.darknet.network import FreshHead
from gradlens.models.darknet.resampling import PoolLayer
from gradlens.models.shape import InputShape

SOFTMAX = section("softmax")
NO_CHANGES = InputShape(None, 3, None)


def build(*layers: str, channels: int = 3, size: int = 8, seed: int = 0) -> DarknetModel:
    torch.manual_seed(seed)
    return DarknetModel(parse_cfg(net(channels, size, size) + "".join(layers), "t.cfg"))


def images(channels: int = 3, size: int = 8, n: int = 2) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def write_file(folder: Path, text: str, name: str = "net.cfg") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# --- the published networks ---


def counts(text: str) -> dict[str, float]:
    """Return convolution weights (M), BFLOPs, traffic (M elements) and BFLOPs of the largest layer, as in the paper."""
    flops: list[int] = []
    traffic: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        traffic.append(inputs[0].numel() + output.numel())
        if isinstance(module, nn.Conv2d):
            flops.append(2 * module.weight.numel() * output[0, 0].numel())

    with torch.device("meta"):
        model = DarknetModel(parse_cfg(text))
        for module in model.modules():
            if isinstance(module, nn.Conv2d | PoolLayer | nn.AdaptiveAvgPool2d):
                module.register_forward_hook(count)
        assert model(torch.empty(1, 3, 256, 256)).shape == (1, 1000)
    weights = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Conv2d))
    figures = {"parameters": weights / 1e6, "bflops": sum(flops) / 1e9}
    return {**figures, "traffic": sum(traffic) / 1e6, "largest": max(flops) / 1e9}


@pytest.mark.parametrize(
    ("name", "parameters", "bflops", "traffic", "largest"),
    [
        ("resnet10", 5.240, 2.272, None, None),
        ("resnet50", 22.734, 9.999, 25.95, None),
        ("csresnet50", 21.567, 8.967, 23.69, None),
        ("resnext50", 22.191, 10.110, 34.41, None),
        ("csresnext50", 20.499, 7.929, 32.64, 0.537),
        ("darknet53", 41.573, 18.570, 24.97, 0.604),
        ("csdarknet53", 27.606, 13.067, 35.85, 0.604),
    ],
)
def test_counts_of_the_published_networks_equal_those_of_the_paper(
    name: str, parameters: float, bflops: float, traffic: float | None, largest: float | None
) -> None:
    measured = counts(getattr(cfgs, name)())
    assert round(measured["parameters"], 3) == parameters
    assert round(measured["bflops"], 3) == bflops
    assert traffic is None or round(measured["traffic"], 2) == traffic
    assert largest is None or round(measured["largest"], 3) == largest


# --- each layer against its formula ---


def convolved(x: np.ndarray[Any, Any], layer: nn.Conv2d) -> np.ndarray[Any, Any]:
    """Compute the convolution pixel by pixel."""
    weight, groups = layer.weight.detach().numpy(), layer.groups
    (size, _), (stride, _), (pad, _) = layer.kernel_size, layer.stride, layer.padding  # type: ignore[misc]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    side = (x.shape[2] + 2 * pad - size) // stride + 1
    out = np.zeros((len(x), len(weight), side, side))
    ins, outs = x.shape[1] // groups, len(weight) // groups
    for o in range(len(weight)):
        part = padded[:, o // outs * ins : (o // outs + 1) * ins]
        for i in range(side):
            for j in range(side):
                window = part[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
                out[:, o, i, j] = (window * weight[o]).sum((1, 2, 3))
    return out


@pytest.mark.parametrize(
    ("size", "stride", "options"), [(3, 2, {}), (1, 1, {}), (3, 1, {"pad": 0, "padding": 2})]
)
def test_a_convolution_with_groups_and_batch_norm(size: int, stride: int, options: dict[str, int]) -> None:
    model = build(conv(6, size, stride, groups=2, **options), channels=4, size=5)
    layer = model.layers[0]
    assert isinstance(layer, ConvLayer)
    with torch.no_grad():
        for tensor in (layer.bn.weight, layer.bn.bias, layer.bn.running_mean):
            tensor.normal_()  # type: ignore[union-attr, operator]
        layer.bn.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
    x = images(4, 5)
    raw = convolved(x.numpy(), layer.conv)
    state = {key: value.numpy()[:, None, None] for key, value in layer.bn.state_dict().items() if value.dim()}
    normal = (raw - state["running_mean"]) / np.sqrt(state["running_var"] + EPS)
    normal = normal * state["weight"] + state["bias"]
    output = outputs(model.eval(), x)[0].numpy()
    assert output == pytest.approx(np.where(normal > 0, normal, 0.1 * normal), abs=1e-5)


def test_without_batch_norm_a_convolution_has_a_bias() -> None:
    model = build(conv(2, 3, batch_normalize=0, activation="linear"))
    layer = model.layers[0]
    assert isinstance(layer, ConvLayer)
    with torch.no_grad():
        layer.conv.bias += torch.tensor([1.0, -2.0])  # type: ignore[misc]
    expected = convolved(images().numpy(), layer.conv) + np.array([1.0, -2.0])[:, None, None]
    assert outputs(model, images())[0].numpy() == pytest.approx(expected, abs=1e-5)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky": lambda x: torch.where(x > 0, x, 0.1 * x),
    "mish": lambda x: x * torch.tanh(torch.log1p(torch.exp(x))),
    "swish": lambda x: x / (1 + torch.exp(-x)),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "relu": lambda x: x.clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "relie": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + torch.tanh(0.797885 * x + 0.035677 * x**3)),
    "hardtan": lambda x: x.clamp(-1, 1),
    "tanh": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    "linear": lambda x: x,
    "logistic": lambda x: 1 / (1 + torch.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_convolutions_and_shortcuts(name: str) -> None:
    model = build(conv(3, activation=name, batch_normalize=0), shortcut(-1, name))
    x = images()
    first, second = outputs(model, x)
    raw = model.layers[0].conv(x)  # type: ignore[operator, union-attr]
    assert torch.allclose(first, ACTIVATIONS[name](raw), atol=1e-5)
    assert torch.allclose(second, ACTIVATIONS[name](first + first), atol=1e-5)


def test_defaults_are_those_of_darknet() -> None:
    plain = build(section("convolutional", filters=2, size=3), section("shortcut", from_=-1))
    layer = plain.layers[0]
    assert isinstance(layer, ConvLayer)
    assert isinstance(layer.act, nn.Sigmoid)
    assert (layer.conv.padding, layer.conv.stride, layer.conv.groups) == ((0, 0), (1, 1), 1)
    assert layer.conv.bias is not None
    assert isinstance(plain.layers[1].act, nn.Identity)


def test_new_weights_have_the_distribution_of_darknet() -> None:
    layer = build(conv(64, 3, groups=2), channels=8).layers[0]
    assert isinstance(layer, ConvLayer)
    bound = math.sqrt(2 / (4 * 9))
    assert float(layer.conv.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(layer.conv.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_a_shortcut_adds_the_common_channels() -> None:
    model = build(conv(4), conv(6), shortcut(-2), conv(2), shortcut(2))
    a, b, wide, d, narrow = outputs(model, images())
    assert torch.equal(wide[:, :4], b[:, :4] + a)
    assert torch.equal(wide[:, 4:], b[:, 4:])
    assert torch.equal(narrow, d + wide[:, :2])


@pytest.mark.parametrize("size", [8, 7])
def test_a_shortcut_subsamples_a_larger_map(size: int) -> None:
    model = build(conv(4), conv(4, 3, 2), shortcut(-2), size=size)
    large, small, out = outputs(model, images(size=size))
    for i in range(small.shape[2]):
        for j in range(small.shape[3]):
            assert torch.equal(out[:, :, i, j], small[:, :, i, j] + large[:, :, 2 * i, 2 * j])


def test_a_route_concatenates_in_order_and_selects_groups() -> None:
    model = build(conv(4), conv(6), route(-1, 0), route(-2), route(0, 1, groups=2, group_id=1))
    a, b, concatenated, single, parts = outputs(model, images())
    assert torch.equal(concatenated, torch.cat([b, a], 1))
    assert torch.equal(single, b)
    assert torch.equal(parts, torch.cat([a[:, 2:], b[:, 3:]], 1))


def pooled(x: Tensor, size: int, stride: int, padding: int, average: bool) -> Tensor:
    """Pool window by window; pixels outside of the map are left out."""
    height, width = ((length + padding - size) // stride + 1 for length in x.shape[2:])
    out = torch.empty(*x.shape[:2], height, width)
    for i in range(height):
        for j in range(width):
            top, left = i * stride - padding // 2, j * stride - padding // 2
            window = x[:, :, max(top, 0) : top + size, max(left, 0) : left + size]
            out[:, :, i, j] = window.mean((2, 3)) if average else window.amax((2, 3))
    return out


@pytest.mark.parametrize("average", [False, True], ids=["max", "average"])
@pytest.mark.parametrize(
    ("length", "size", "stride", "padding"),
    [
        (8, 2, 2, None),
        (7, 2, 2, None),
        (8, 3, 2, None),
        (7, 3, 2, 0),
        (6, 2, 1, None),
        (8, 5, 1, None),
        (9, 4, 3, 1),
    ],
)
def test_pooling_equals_that_of_darknet(
    length: int, size: int, stride: int, padding: int | None, average: bool
) -> None:
    options = {"size": size, "stride": stride} | ({} if padding is None else {"padding": padding})
    model = build(section("local_avgpool" if average else "maxpool", **options), conv(1), size=length)
    x = images(size=length)
    expected = pooled(x, size, stride, size - 1 if padding is None else padding, average)
    assert torch.allclose(outputs(model, x)[0], expected, atol=1e-6)


def test_a_pool_without_size_is_as_large_as_its_stride() -> None:
    assert parse_cfg(net() + section("maxpool", stride=3)).layers[0].size == 3  # type: ignore[union-attr]


def test_average_pooling_and_upsampling_and_sections_that_are_left_out() -> None:
    upsampled, averaged = outputs(build(section("upsample", stride=3), section("avgpool")), images())
    assert torch.equal(upsampled, images().repeat_interleave(3, 2).repeat_interleave(3, 3))
    assert torch.allclose(averaged[:, :, 0, 0], images().mean((2, 3)), atol=1e-6)
    with_ends = build(conv(5), section("avgpool"), SOFTMAX, section("cost", type="sse"))
    assert len(with_ends.layers) == 4
    assert torch.equal(with_ends(images()), build(conv(5), section("avgpool"))(images()))


def test_upsampling_doubles_by_default_and_dropout_has_its_probability() -> None:
    model = build(section("upsample"), section("dropout", probability=".25"), size=32)
    up, dropped = outputs(model, images(size=32) + 9)
    assert up.shape[2:] == (64, 64)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert torch.allclose(dropped[dropped != 0], up[dropped != 0] / 0.75)


@pytest.mark.parametrize("normalize", [0, 1])
def test_connected_layers_read_all_pixels(normalize: int) -> None:
    connected = section("connected", output=5, activation="relu", batch_normalize=normalize)
    model = build(conv(2, 3, 2), connected).eval()
    layer = model.layers[1]
    assert isinstance(layer, ConnectedLayer)
    flat = outputs(model, images())[0].reshape(2, 2 * 4 * 4)
    shift = layer.linear.bias if layer.linear.bias is not None else torch.zeros(5)
    raw = (flat @ layer.linear.weight.T + shift) / (math.sqrt(1 + EPS) if normalize else 1)
    assert (layer.linear.bias is None) == bool(normalize)
    assert torch.allclose(model(images()), raw.clamp(min=0), atol=1e-6)


# --- whole networks ---


CSP = (
    conv(8, 3),
    cfgs.cross_stage(cfgs.unit(4, 4), 2, 4, 4, 4, 8),
    conv(16, 3, 2),
    cfgs.cross_stage(cfgs.bottleneck(8, 8, groups=4), 1, 8, 8, 8, 16),
    section("avgpool"),
    conv(10, activation="linear", batch_normalize=0),
    SOFTMAX,
)


def test_all_weights_receive_gradients() -> None:
    model = build(*CSP)
    nn.functional.cross_entropy(model(images(n=4)), torch.tensor([0, 3, 5, 9])).backward()
    assert all(value.grad is not None and bool(value.grad.any()) for value in model.parameters())
    assert all(bool(value.grad.isfinite().all()) for value in model.parameters() if value.grad is not None)


def test_layers_have_the_numbers_of_darknet() -> None:
    names = [name for name, module in build(*CSP).named_modules() if isinstance(module, nn.Conv2d)]
    assert names[:3] == ["layers.0.conv", "layers.1.conv", "layers.3.conv"]  # 2 is a route, without weights


def test_only_outputs_that_are_read_later_stay_in_memory() -> None:
    model = build(conv(4), conv(4), conv(4), shortcut(0), conv(4), conv(4))
    refs: list[weakref.ref[Tensor]] = []
    alive: list[list[int]] = []

    def watch(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        refs.append(weakref.ref(output))
        alive.append([index for index, ref in enumerate(refs[:-2]) if ref() is not None])

    for layer in model.layers:
        layer.register_forward_hook(watch)
    with torch.no_grad():
        model(images())
    assert alive == [[], [], [0], [0], [], []]  # in addition to the input and output of a layer


def test_a_saved_checkpoint_can_be_loaded(tmp_path: Path) -> None:
    source, target = build(*CSP, seed=1), build(*CSP, seed=2)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    load_checkpoint(target, tmp_path / "w.pt")
    assert torch.equal(source.eval()(images()), target.eval()(images()))


def test_classes_channels_and_size_follow_the_data(tmp_path: Path) -> None:
    model = darknet_model(write_file(tmp_path, net() + "".join(CSP)), InputShape(7, 1, 8))
    assert model(images(1)).shape == (2, 7)
    connected = conv(2) + section("connected", output=9) + section("dropout", probability=0.5) + SOFTMAX
    file = write_file(tmp_path, net() + connected)
    assert darknet_model(file, InputShape(4, 1, 8))(images(1)).shape == (2, 4)
    assert darknet_model(file, NO_CHANGES)(images(size=256, n=1)).shape == (1, 9)


def test_the_classifier_may_come_before_the_average_pooling(tmp_path: Path) -> None:
    file = write_file(tmp_path, net() + conv(4) + conv(9) + section("avgpool") + SOFTMAX)
    assert darknet_model(file, InputShape(3, 3, None))(images()).shape == (2, 3)


def test_a_network_without_a_classifier_returns_maps() -> None:
    assert build(conv(4, 3, 2))(images()).shape == (2, 4, 4, 4)


def test_the_syntax_of_a_cfg(tmp_path: Path) -> None:
    lines = [
        "# a comment", "; another", "[network]", " channels = 3 # RGB", "height=8", "width=8", "width=9",
        "burn_in=1000", "", "[conv]", "filters=4", "size=1", "stopbackward=1", "activation=mish", "[route]",
        "layers = -1, 0", "[max]", "size=2",
    ]  # fmt: skip
    text = "\r\n".join(lines)
    (tmp_path / "net.cfg").write_bytes(b"\xef\xbb\xbf" + text.encode())
    cfg = read_cfg(tmp_path / "net.cfg")
    assert (cfg.net.line, cfg.net.width) == (3, 8)
    assert [(type(layer).__name__, layer.line) for layer in cfg.layers] == [
        ("Convolutional", 10), ("Route", 15), ("Pool", 17),
    ]  # fmt: skip
    assert cfg.layers[1].layers == (-1, 0)  # type: ignore[union-attr]


# --- weights ---


def header(version: tuple[int, int, int], seen: int = 32013312) -> bytes:
    wide = version[0] * 10 + version[1] >= 2 and max(version) < 1000
    return struct.pack("<3i", *version) + struct.pack("<q" if wide else "<i", seen)


WEIGHTED = (
    conv(4, 3, groups=2),
    section("maxpool", size=2, stride=2),
    conv(3, batch_normalize=0),
    section("connected", output=5, batch_normalize=1),
    section("connected", output=2),
    SOFTMAX,
)
ORDER = (
    *(
        f"layers.0.{name}"
        for name in ("bn.bias", "bn.weight", "bn.running_mean", "bn.running_var", "conv.weight")
    ),
    *(f"layers.2.conv.{name}" for name in ("bias", "weight")),
    *(
        f"layers.3.{name}"
        for name in ("bn.bias", "linear.weight", "bn.weight", "bn.running_mean", "bn.running_var")
    ),
    *(f"layers.4.linear.{name}" for name in ("bias", "weight")),
)
SHAPES = {
    "layers.0.conv.weight": (4, 2, 3, 3),
    "layers.2.conv.weight": (3, 4, 1, 1),
    "layers.3.linear.weight": (5, 48),
    "layers.4.linear.weight": (2, 5),
}
BIASES = {"layers.0": 4, "layers.2": 3, "layers.3": 5, "layers.4": 2}


def weights_file(folder: Path, version: tuple[int, int, int] = (0, 2, 0)) -> tuple[Path, dict[str, Tensor]]:
    """Write a file by hand; return its path and the expected tensors."""
    random = np.random.default_rng(0)
    parts: dict[str, np.ndarray[Any, Any]] = {}
    content = header(version)
    for name in ORDER:
        shape = SHAPES.get(name, (BIASES[name[:8]],))
        parts[name] = random.uniform(0.5, 1.5, shape).astype("<f4")
        stored = parts[name].T if version[0] > 1000 and "linear.weight" in name else parts[name]
        content += np.ascontiguousarray(stored).tobytes()
    (folder / "net.weights").write_bytes(content)
    return folder / "net.weights", {name: torch.from_numpy(part) for name, part in parts.items()}


@pytest.mark.parametrize("version", [(0, 1, 0), (0, 2, 0), (0, 2, 5), (1, 0, 0), (1001, 0, 0)])
def test_all_numbers_of_a_weights_file_are_loaded_into_their_tensors(
    tmp_path: Path, version: tuple[int, int, int]
) -> None:
    model = build(*WEIGHTED, channels=4)
    path, parts = weights_file(tmp_path, version)
    load_weights(model, path)
    state = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    assert state.keys() == parts.keys()
    for name, part in parts.items():
        assert torch.equal(state[name], part), name
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_weights_are_loaded_and_the_classifier_follows_the_data(tmp_path: Path) -> None:
    """Published weights have 1000 classes; the data may have another number."""
    cfg = write_file(tmp_path, net(4, 8, 8) + "".join(WEIGHTED))
    path, parts = weights_file(tmp_path)
    options: dict[str, Any] = {"in_chans": 4, "image_size": 8, "checkpoint": path, "seed": 0}
    with pytest.warns(
        FreshHead, match=r"the classifier layers\.4 is fresh: the weights have 2 classes, the data 7"
    ):
        model = load_model(f"darknet:{cfg}", num_classes=7, **options)
    state = model.state_dict()
    assert state["layers.4.linear.weight"].shape == (7, 5)
    for name, part in parts.items():
        if not name.startswith("layers.4"):
            assert torch.equal(state[name], part), name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = load_model(f"darknet:{cfg}", num_classes=2, **options)
    assert torch.equal(whole.state_dict()["layers.4.linear.weight"], parts["layers.4.linear.weight"])


def test_the_expected_length_is_that_of_the_cfg(tmp_path: Path) -> None:
    cfg = write_file(tmp_path, net(4, 8, 8) + "".join(WEIGHTED))
    path, _ = weights_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(GradlensError, match="holds 373 numbers, but this network has 375"):
        load_model(f"darknet:{cfg}", num_classes=9, in_chans=4, image_size=8, checkpoint=path)


def test_a_cfg_with_a_strategy_is_an_error(tmp_path: Path) -> None:
    cfg = write_file(tmp_path, net(3, 8, 8) + "".join(WEIGHTED).replace("groups=2", "groups=1"))
    with pytest.raises(GradlensError, match=r"a darknet \.cfg has no stages to cut"):
        load_model(f"darknet:{cfg}@csp", num_classes=2, image_size=8)


def wrong_length(extra: int) -> Callable[[bytes], bytes]:
    return lambda content: content + bytes(extra) if extra > 0 else content[:extra]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (wrong_length(4), "holds 376 numbers, but this network has 375"),
        (wrong_length(-8), "holds 373 numbers, but this network has 375"),
        (wrong_length(-3), "ends within a number, after 374"),
        (lambda content: content[:20], "holds 0 numbers, but this network has 375"),
        (lambda content: content[:19], "it has 19 bytes, and its header alone 20"),
        (lambda content: content[:9], "it has 9 bytes, and its header alone 16"),
        (lambda content: b"", "it has 0 bytes, and its header alone 16"),
    ],
)
def test_weights_that_do_not_fit_leave_the_model_unchanged(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    model, before = build(*WEIGHTED, channels=4), build(*WEIGHTED, channels=4)
    path, _ = weights_file(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(GradlensError) as caught:
        load_weights(model, path)
    assert message in str(caught.value)
    assert "net.weights" in str(caught.value)
    others = before.state_dict()
    assert all(torch.equal(value, others[key]) for key, value in model.state_dict().items())


def test_missing_weights_and_weights_for_other_models_are_errors(tmp_path: Path) -> None:
    with pytest.raises(GradlensError, match="does not exist"):
        load_weights(build(conv(1)), tmp_path / "no.weights")
    with pytest.raises(GradlensError, match="is a folder"):
        load_weights(build(conv(1)), tmp_path)
    with pytest.raises(GradlensError, match=r"fit only darknet:FILE\.cfg models"):
        load_weights(nn.Linear(1, 1), weights_file(tmp_path)[0])


# --- mistakes ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.cfg has no sections"),
        ("# only a comment\n", "t.cfg has no sections"),
        (conv(3), "line 1: [convolutional] comes first; a darknet .cfg begins with [net]"),
        (net(), "t.cfg ends after its [net]"),
        ("[net]\nheight=8\nwidth=8\n[avgpool]\n", "line 1: [net] has no key 'channels'"),
        (net(0) + conv(1), "line 2: channels of [net] is '0'; it must be from 1 to 2147483647"),
        (net() + "[convolutional]\nfilters=3\n", "line 6: [convolutional] has no key 'size'; is the file cut off?"),
        (net() + "[convolutional]\nsize=3\n", "[convolutional] has no key 'filters'"),
        (net() + "[shortcut]\nactivation=linear\n", "[shortcut] has no key 'from'"),
        (net() + "[route]\n", "[route] has no key 'layers'"),
        (net() + "[connected]\n", "[connected] has no key 'output'"),
        (net() + "[maxpool]\n", "[maxpool] has no key 'size'"),
        (net() + "[dropout]\n", "[dropout] has no key 'probability'"),
        (net() + "[convolutional]\nfilt", "line 7: 'filt' is not of the form key=value"),
        (net() + "[convolutional]\nfilters=", "line 7: 'filters=' is not of the form key=value"),
        (net() + "[convol", "line 6: '[convol' has no closing bracket"),
        ("channels=3\n" + net(), "line 1: 'channels' comes before the first [section]"),
        (net() + "[lstm]\noutput=1\n", "line 6: [lstm] is a section that gradlens does not know; it may be convol"),
        (net() + "[implicit_add]\nfilters=2\n", "line 6: [implicit_add] is a section that gradlens does not know"),
        (net() + "[Gaussian_yolo]\nmask=1\n", "[Gaussian_yolo] is a section that gradlens does not know; it may be"),
        (net() + "[shortcuts]\n", "[shortcuts] is a section that gradlens does not know; did you mean shortcut?"),
        (net() + conv(3, binary=1), "line 13: [convolutional] with binary=1 is not supported; gradlens builds it"),
        (net() + conv(3) + section("shortcut", from_=-1, weights_type="per_feature"), "weights_type=per_feature is no"),
        (net() + conv(3) + section("sam", from_="-1,-2"), "line 14: [sam] reads 2 layers; it has one 'from'"),
        (net() + conv(3) + conv(4, 3, 2) + section("shortcut", from_="-1,0,-5"), "layer 2 reads layer -3 (-5 in the"),
        (net() + conv("many"), "filters of [convolutional] is 'many'; it must be a whole number"),  # type: ignore[arg-type]
        (net() + conv(2.5), "filters of [convolutional] is '2.5'"),  # type: ignore[arg-type]
        (net() + conv(3, 0), "size of [convolutional] is '0'; it must be from 1"),
        (net() + conv(3, stride=0), "stride of [convolutional] is '0'"),
        (net() + conv(99999999999), "filters of [convolutional] is '99999999999'"),
        (net() + conv(2**31 - 1, 3), "layer 0 would have 57982058469 weights; darknet counts to 2147483647"),
        (net() + section("connected", output=2**20), "layer 0 would have 206158430208 weights"),
        (net() + section("route", layers="-1,"), "layers of [route] is '-1,'; it must be layer numbers"),
        (net() + section("dropout", probability=1), "probability of [dropout] is '1'; it must be a number from 0"),
        (net() + section("dropout", probability="nan"), "probability of [dropout] is 'nan'"),
        (net() + conv(3, activation="leeky"), "layer 0 has an activation 'leeky' that gradlens does not know; did"),
        (net() + conv(3) + shortcut(-1, "stair"), "has an activation 'stair' that gradlens does not know; it may be"),
        (net() + section("connected", output=1, activation="norm_chan"), "has an activation 'norm_chan'"),
        (net() + shortcut(-1), "line 6: layer 0 reads layer -1 (-1 in the file), but there is none before it"),
        (net() + conv(3) + shortcut(-3), "layer 1 reads layer -2 (-3 in the file), but it may read 0 to 0"),
        (net() + conv(3) + route(1), "layer 1 reads layer 1 (1 in the file), but it may read 0 to 0"),
        (net() + conv(3) + route(-1, 9), "line 14: layer 1 reads layer 9 (9 in the file)"),
        (net() + conv(4, groups=2), "layer 0 has 2 groups, which do not divide the 3 input channels"),
        (net() + conv(4, groups=3), "layer 0 has 3 groups, which do not divide the 4 output channels"),
        (net() + conv(4) + route(-1, groups=3), "layer 1 has 3 groups, which do not divide the 4 source channels"),
        (net() + conv(4) + route(-1, groups=2, group_id=2), "layer 1 takes group 2, but its 2 groups count from 0"),
        (net() + conv(4) + conv(4, 3, 2) + route(-1, -2), "joins maps of 128×128 (layer 1), 256×256 (layer 0) pixels"),
        (net() + conv(4, 3, 2) + section("upsample") + shortcut(-2), "adds maps of 128×128 pixels (layer 0) to"),
        (net(3, 4, 4) + conv(4, 7, pad=0), "layer 0 reduces maps of 4×4 to less than one pixel; use larger images"),
        (net(3, 4, 4) + section("maxpool", size=5, padding=0), "layer 0 reduces maps of 4×4 to less than one pixel"),
        (net() + section("maxpool", size=2, padding=3), "pads by 3 pixels, so some windows of 2 would contain none"),
        (net() + SOFTMAX + conv(3), "layer 0 is a [softmax] with layers after it"),
        (net() + section("cost") + section("avgpool"), "layer 0 is a [cost] with layers after it"),
    ],
)  # fmt: skip
def test_the_error_for_a_mistake_in_a_cfg_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(GradlensError) as caught:
        DarknetModel(parse_cfg(text, "t.cfg"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("t.cfg")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "layers",
    [conv(3) + shortcut(-1), conv(3) + section("avgpool") + route(-1), section("avgpool")],
)
def test_classes_for_a_network_without_a_classifier_are_an_error(tmp_path: Path, layers: str) -> None:
    file = write_file(tmp_path, net() + layers)
    darknet_model(file, NO_CHANGES)
    with pytest.raises(GradlensError, match=r"net\.cfg does not end in a classifier that can have 5 classes"):
        darknet_model(file, InputShape(5, 3, None))


def test_images_of_another_size_are_an_error() -> None:
    with pytest.raises(GradlensError, match="built for 192 features receives 75"):
        build(section("connected", output=2))(images(size=5))
    halved = conv(2) + conv(2, 2, 2, pad=0) + section("upsample")
    with pytest.raises(GradlensError, match=r"joins maps of 7×7, 6×6 pixels"):
        build(halved, route(0, -1))(images(size=7))
    with pytest.raises(GradlensError, match=r"adds maps of 6×6 pixels to maps of 7×7"):
        build(halved, route(0), shortcut(2))(images(size=7))


def test_files_that_are_missing_or_not_text_are_errors(tmp_path: Path) -> None:
    write_file(tmp_path, net())
    with pytest.raises(GradlensError, match=r"no file .*nett\.cfg; did you mean net\.cfg\?"):
        read_cfg(tmp_path / "nett.cfg")
    with pytest.raises(GradlensError, match=r"no file .*nowhere; give a darknet \.cfg"):
        read_cfg(tmp_path / "nowhere")
    (tmp_path / "bin.cfg").write_bytes(bytes(range(200)))
    with pytest.raises(GradlensError, match="is not text"):
        read_cfg(tmp_path / "bin.cfg")
