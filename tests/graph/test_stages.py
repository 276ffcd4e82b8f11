"""Stages: output strides from shapes, blocks if there is one resolution."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import gradlens as gl
from gradlens.graph.stages import stages


def labels(read: Any, model: nn.Module, size: int = 64, n: int = 4) -> dict[str, str]:
    """Return the stage of each weighted layer by module."""
    graph, owners = read(model, torch.randn(n, 3, size, size))
    by_node = stages(graph, owners, (size, size), n)
    return {owners[i].module: by_node[i] for i in graph.forward_order if graph.nodes[i].weighted}


def test_a_resnets_layers_are_staged_by_output_stride(read: Any) -> None:
    by_module = labels(read, torchvision.models.resnet18(num_classes=5))
    assert by_module["conv1"] == "2"
    assert [by_module[f"layer{i}.0.conv2"] for i in (1, 2, 3, 4)] == ["4", "8", "16", "32"]
    assert by_module["layer2.0.downsample.0"] == "8"
    assert by_module["fc"] == "head"


@pytest.mark.parametrize("size", [48, 80, 72])
def test_strides_are_powers_of_two_even_if_the_image_size_is_not(read: Any, size: int) -> None:
    by_module = labels(read, torchvision.models.resnet18(num_classes=5), size)
    assert set(by_module.values()) == {"2", "4", "8", "16", "32", "head"}


def test_squeeze_and_excitation_stays_in_the_stage_of_its_block(read: Any) -> None:
    by_module = labels(read, timm.create_model("legacy_seresnet18", num_classes=5))
    gates = {module: stage for module, stage in by_module.items() if ".se" in module}
    assert gates
    for module, stage in gates.items():
        assert stage == by_module[module.rpartition(".se")[0] + ".conv2"], module


def test_a_network_of_one_resolution_is_staged_by_block(read: Any) -> None:
    model = timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=8, depth=3, num_heads=2, num_classes=5
    )
    by_module = labels(read, model, 16)
    assert by_module["blocks.0.attn.qkv"] == "blocks.0"
    assert by_module["blocks.2.mlp.fc2"] == "blocks.2"
    assert by_module["head"] == "head"


def test_the_loss_is_no_stage_of_the_model(read: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.Flatten(), nn.Linear(64, 2))
    graph, owners = read(model, torch.ones(4, 3, 16, 16))
    by_node = stages(graph, owners, (16, 16), 4)
    assert by_node[0] == "loss"
    assert [by_node[i] for i in graph.forward_order] == ["2", "4", "4", "head", "loss"]


def test_an_upsampling_decoder_goes_back_to_finer_stages(read: Any) -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.deep = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
            self.fine = nn.Conv2d(8, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.down(x)
            deep = nn.functional.interpolate(self.deep(x), scale_factor=2)
            return self.fine(torch.cat([x, deep], 1))

    assert labels(read, Decoder(), 16) == {"down": "2", "deep": "4", "fine": "2"}


def test_a_network_without_positions_is_staged_by_module(read: Any) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 2))
    assert labels(read, model, 4) == {"1": "1", "3": "3"}


@pytest.mark.parametrize("name", ["mixer_s32_224", "resmlp_12_224"])
def test_layers_that_mix_positions_stay_in_their_block(name: str) -> None:
    """Their rows are channels; read as positions, they would make a separate stage."""
    model = timm.create_model(name, num_classes=4, img_size=64)
    batch = torch.randn(5, 3, 64, 64), torch.arange(5) % 4
    recording = gl.capture(model, [batch], costs=False)
    signal_stages = {p.stage for p in (recording.plan.probes[s] for s in recording.plan.signals)}
    assert signal_stages - {"head", "16", "32"} == {f"blocks.{i}" for i in range(len(model.blocks))}


def test_the_head_of_each_call_of_a_network_is_its_head() -> None:
    """Else the head of the first of two views has by far the largest gradient of the last convolution's stage."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    )
    model = nn.Sequential(body, nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))

    def views(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, targets = batch
        outputs = [network(images), network(images.flip(-1)), network(-images)]
        return torch.stack([nn.functional.cross_entropy(output, targets) for output in outputs]).sum()

    recording = gl.capture(model, [(torch.randn(8, 3, 16, 16), torch.arange(8) % 4)], step=views)
    stages_of = {signal.name: signal.stage for signal in recording.signals}
    assert [stages_of[f"2{call}"] for call in ("", "@2", "@3")] == ["head"] * 3
    assert [stages_of[f"4{call}"] for call in ("", "@2", "@3")] == ["head"] * 3
    assert "exploding signal" not in set(gl.analyze(recording)["diagnosis"].frame["kind"])
