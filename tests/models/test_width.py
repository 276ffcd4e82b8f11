"""A baseline narrowed to the FLOPs of another network."""

from __future__ import annotations

import pytest
import torch
from timm.models.densenet import DenseNet
from timm.models.resnet import Bottleneck, ResNet
from torch import nn

from gradlens.errors import GradlensError
from gradlens.models import cspify, load_model, narrow_to_flops
from gradlens.models.width import forward_flops

SIZE = 32


def macs_of_convolutions_and_linear_layers(model: nn.Module) -> int:
    """Count multiply-adds of one image by the formula of each layer."""
    counts = []

    def count(layer: nn.Module, args: object, output: torch.Tensor) -> None:
        positions = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        counts.append(layer.weight.numel() * positions)

    kinds = (nn.Conv2d, nn.Linear)
    handles = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, SIZE, SIZE))
    for handle in handles:
        handle.remove()
    return sum(counts)


@pytest.mark.filterwarnings("ignore::gradlens.models.StageNotCut")
@pytest.mark.parametrize("name", ["resnet18", "peleenet", "mobilenetv2_100"])
def test_a_narrowed_network_needs_the_flops_of_its_twin(name):
    built = {
        kind: load_model(f"{name}{kind}", num_classes=10, image_size=SIZE, seed=0)
        for kind in ("", "@csp", "@narrow,flops=csp")
    }
    full, twin, narrow = (macs_of_convolutions_and_linear_layers(model) for model in built.values())
    assert narrow < full
    assert narrow == pytest.approx(twin, rel=0.01)
    plain = dict(built[""].named_modules())
    assert {path: type(layer) for path, layer in built["@narrow,flops=csp"].named_modules()} == {
        path: type(layer) for path, layer in plain.items()
    }


def test_a_dense_network_is_narrowed_although_its_widths_are_sums():
    dense = DenseNet(growth_rate=32, block_config=(3, 6, 4), num_classes=10)
    wanted = forward_flops(cspify(dense, seed=0), SIZE)
    model = narrow_to_flops(dense, wanted, image_size=SIZE)
    assert forward_flops(model, SIZE) == pytest.approx(wanted, rel=0.01)
    growth = {layer.conv2.out_channels for layer in model.modules() if type(layer).__name__ == "DenseLayer"}
    assert len(growth) == 1
    assert growth.pop() < 32


def test_narrowing_keeps_the_variance_of_outputs_and_the_classes():
    wide = load_model("resnet18", num_classes=7, seed=0).eval()
    narrow = narrow_to_flops(wide, forward_flops(wide, SIZE) // 2, image_size=SIZE).eval()
    images = torch.randn(16, 3, SIZE, SIZE)
    with torch.no_grad():
        before, after = (
            wide.layer1(wide.maxpool(wide.conv1(images))),
            narrow.layer1(narrow.maxpool(narrow.conv1(images))),
        )
        assert narrow(images).shape == (16, 7)
    assert after.shape[1] < before.shape[1]
    assert float(after.std() / before.std()) == pytest.approx(1, abs=0.2)
    assert wide.layer1[0].conv1.out_channels == 64  # the original does not change


def test_groups_divide_the_narrowed_widths():
    wide = ResNet(Bottleneck, (2, 1, 1, 1), num_classes=10, cardinality=32, base_width=4)
    model = narrow_to_flops(wide, int(0.6 * forward_flops(wide, SIZE)), image_size=SIZE)
    grouped = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert {m.groups for m in grouped} == {32}
    assert all(m.in_channels % 32 == m.out_channels % 32 == 0 for m in grouped)


def test_weights_are_a_function_of_the_seed():
    first, second = (
        load_model("resnet18@narrow,flops=fusion_last", num_classes=10, image_size=SIZE, seed=3) for _ in "ab"
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    state = torch.get_rng_state()
    load_model("resnet18@narrow,flops=fusion_last", num_classes=10, image_size=SIZE, seed=3)
    assert torch.equal(state, torch.get_rng_state())


def test_a_narrowed_network_trains():
    model = load_model(
        "resnet18@narrow,flops=csp,stem=cifar", num_classes=10, image_size=SIZE, seed=0
    ).train()
    model(torch.randn(4, 3, SIZE, SIZE)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.conv1.stride == (1, 1)


class Coarse(nn.Module):
    """A network whose only width is a multiple of 8, so that its FLOPs have few values."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.grouped = nn.Conv2d(16, 16, 3, groups=8)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.grouped(self.conv(x)).mean((2, 3)))


class Idle(Coarse):
    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


class Stores(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.conv(x).reshape(len(x), 16, -1).mean(2))


@pytest.mark.parametrize(
    ("network", "share", "message"),
    [
        (Coarse(), 1.2, "not more than the"),
        (Coarse(), 0.8, r"reaches .* GFLOPs, but the network to match needs .* is more than 1 %"),
        (Idle(), 0.5, "grouped of Idle does not run in eval mode"),
        (Stores(), 0.5, "because it stores channel counts elsewhere"),
    ],
)
def test_what_cannot_be_matched_is_refused(network, share, message):
    flops = round(share * forward_flops(network, 16))
    with pytest.raises(GradlensError, match=message):
        narrow_to_flops(network, flops, image_size=16)
