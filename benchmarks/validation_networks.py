"""The networks of the validation page, and what is measured on them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import gradlens as gl
from gradlens.analyzers.cost import Cost
from gradlens.analyzers.energies import energy_steps
from gradlens.analyzers.tracing import weighted_layers
from gradlens.graph.nodes import Graph
from gradlens.graph.sources import combinations, sources

__all__ = ["energy_steps"]
SAMPLES = 16
DENSE_BLOCKS = (6, 12, 24, 16)
GROWTH = 32


class Block(nn.Module):
    """A pre-activated residual block; ``way`` says along which branch its gradient may go."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.way = "both"

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))
        if self.way == "residual":
            return made + x.detach()
        return x + (made.detach() if self.way == "skip" else made)


class ResNet(nn.Module):
    """Veit's unravelled form: blocks of one width, one addition each."""

    def __init__(self, blocks: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def digits() -> Any:
    return gl.load_data("digits", batch_size=SAMPLES, batches=1, image_size=16, seed=0)


def recorded_resnet(blocks: int) -> tuple[gl.Recording, Graph]:
    torch.manual_seed(0)
    recording = gl.capture(ResNet(blocks), digits(), sites="forks", costs=False)
    return recording, recording.plan.graph


def block_flags(recording: gl.Recording) -> list[bool]:
    """One layer of each block, so that a path's length counts the blocks it goes through."""
    return [owner.module.endswith("conv2") and node.weighted
            for owner, node in zip(recording.plan.owners, recording.plan.graph.nodes, strict=True)]  # fmt: skip


def stem(recording: gl.Recording) -> int:
    return weighted_layers(recording)[0]


def sampled_lengths(blocks: int, draws: int = 4) -> np.ndarray:
    """Veit's experiment: the gradient along random paths of ``k`` blocks, times their number, ``[blocks + 1]``."""
    torch.manual_seed(0)
    model, (images, targets) = ResNet(blocks).train(), digits()[0]
    random = np.random.default_rng(0)
    found = np.zeros(blocks + 1)
    for k in range(blocks + 1):
        norms = []
        for _ in range(draws):
            chosen = set(random.choice(blocks, k, replace=False).tolist())
            for place, block in enumerate(model.blocks):
                block.way = "residual" if place in chosen else "skip"
            hidden = model.stem(images)
            loss = functional.cross_entropy(model.head(model.blocks(hidden).mean((2, 3))), targets)
            norms.append(float(torch.autograd.grad(loss, hidden)[0].flatten(1).norm(dim=1).mean()))
        found[k] = math.comb(blocks, k) * float(np.mean(norms))
    return found


class Layer(nn.Module):
    """``W relu(x - mean)``: plain, added to x, or added after a normalisation.

    The theorems assume that what enters a ReLU is centred and independent over inputs; batch statistics
    see to that, without a gradient of their own. ``scaled`` divides by the standard deviation that theorem
    3 gives the l-th layer, ``√l``; ``normalised`` by that of the batch.
    """

    def __init__(self, kind: str, width: int, place: int) -> None:
        super().__init__()
        self.kind, self.place, self.layer = kind, place, nn.Linear(width, width, bias=False)
        nn.init.kaiming_normal_(self.layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(0).detach()
        if self.kind in ("plain", "normalised"):
            centred = centred / x.std(0).detach()
        elif self.kind == "scaled":
            centred = centred / math.sqrt(self.place)
        made = self.layer(torch.relu(centred))
        return made if self.kind == "plain" else x + made


def correlations(
    kind: str, depths: Sequence[int], networks: int = 20, width: int = 256, n: int = 64
) -> dict[int, float]:
    """By depth, covariance over variance of the gradients of two inputs at the first hidden layer."""
    found = {}
    for depth in depths:
        between = own = 0.0
        for seed in range(networks):
            torch.manual_seed(seed)
            first = nn.Linear(width, width, bias=False)
            nn.init.normal_(
                first.weight, std=width**-0.5
            )  # a hidden layer of variance 1, as the theorems have it
            layers = [Layer(kind, width, place) for place in range(1, depth + 1)]
            model = nn.Sequential(first, *layers, nn.Linear(width, 1, bias=False))
            recording = gl.capture(
                model,
                [torch.randn(n, width)],
                step=lambda m, x: m(x).sum(),
                reduction="sum",
                samples=n,
                costs=False,
            )
            gram = recording.grams[recording.plan.signals[0], 0]
            own += float(np.trace(gram)) / n
            between += float(gram.sum() - np.trace(gram)) / (n * (n - 1))
        found[depth] = between / own
    return found


def decay(found: dict[int, float]) -> float:
    """Factor a layer of an exponential fit."""
    return float(np.exp(np.polyfit(list(found), np.log(list(found.values())), 1)[0]))


def power(found: dict[int, float]) -> float:
    """Exponent of a power of the depth."""
    return float(np.polyfit(np.log(list(found)), np.log(list(found.values())), 1)[0])


class DenseSources(NamedTuple):
    """Readers of each layer's output, of each block's input, and of the part that goes round."""

    layers: list[int]
    inputs: list[int]
    bypass: list[int]


def dense_sources(name: str) -> DenseSources:
    recording = _densenet(name)
    graph, owners = recording.plan.graph, recording.plan.owners
    own = combinations(graph)
    weighted = weighted_layers(recording)
    layers = [len(sources(own[i])) for i in weighted if owners[i].module.endswith("conv2")]
    ends = [i for i in weighted if owners[i].module == "features.conv0" or _transition_end(owners[i].module)]
    segments = [own[i] for i in ends[: len(DENSE_BLOCKS)]]
    bypass = [len(own[0].combination) for own in segments if len(own) > 1]
    return DenseSources(layers, [len(own[-1].combination) for own in segments], bypass)


def _transition_end(module: str) -> bool:
    """The convolution whose output enters the next block."""
    return module.endswith("transition.after.conv") or (
        ".transition" in module and module.endswith(".conv") and "denseblock" not in module
    )


def _densenet(name: str) -> gl.Recording:
    model = gl.load_model(name, num_classes=10, seed=0)
    data = gl.load_data("random", batch_size=4, batches=1, image_size=32, seed=0)
    return gl.capture(model, data, sites="forks", costs=False)


def read_channels(name: str) -> int:
    """Channels of the growing concatenation behind each dense layer, read by the next or by the transition."""
    model = gl.load_model(name, num_classes=10, seed=0)
    total = 0
    for path, module in model.named_modules():
        part, _, rest = path.rpartition(".")
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        if (
            (rest == "conv1" and not part.endswith("denselayer1"))
            or path.endswith("transition.before.conv")
            or (rest == "conv" and ".transition" in path and "denseblock" not in path)
        ):
            total += module.in_channels
        elif path == "classifier" and "@" not in name:
            total += module.in_features
    return total


def closed_channels(blocks: Sequence[int], gamma: float) -> int:
    """``Σ c m (1 - γ) + (m² + m) d / 2`` with the channels ``c`` that enter each block of densenet121."""
    total, entering = 0, 64
    for length in blocks:
        total += int(entering * (1 - gamma)) * length + (length**2 + length) * GROWTH // 2
        entering = (entering + length * GROWTH) // 2
    return total


def against_torch_func(name: str) -> tuple[float, int]:
    """Largest relative difference of weight-space Grams from ``vmap(grad)``, and how many weights were compared."""
    model = gl.load_model(name, num_classes=10, seed=0, image_size=32).double().eval()
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 32, 32).double(), torch.tensor([0, 1, 2, 3])
    recording = gl.capture(model, [(x, y)], space="weights", mode="keep", costs=False)
    parameters = {key: value.detach() for key, value in model.named_parameters()}

    def loss(values: dict[str, Tensor], one: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(model, values, (one[None],)), target[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    worst = 0.0
    for number in recording.plan.signals:
        rows = each[f"{recording.plan.probes[number].module}.weight"].flatten(1)
        expected = (rows @ rows.T).numpy()
        worst = max(
            worst, float(np.abs(recording.grams[number, 0] - expected).max() / np.abs(expected).max())
        )
    return worst, len(recording.plan.signals)


def against_single_samples(name: str) -> tuple[float, int]:
    """Largest relative difference of the signals' Grams from a backward pass a sample, and how many were compared."""
    model = gl.load_model(name, num_classes=10, seed=0, image_size=32).double().eval()
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 32, 32).double(), torch.tensor([0, 1, 2, 3])
    recording = gl.capture(model, [(x, y)], mode="keep", costs=False)
    modules = dict(model.named_modules())
    numbers = {recording.plan.probes[number].module: number for number in recording.plan.signals}
    rows: dict[str, list[Tensor]] = {path: [] for path in numbers}
    for sample in range(len(x)):
        outputs: dict[str, Tensor] = {}
        handles = [
            modules[path].register_forward_hook(
                lambda module, given, output, path=path, outputs=outputs: outputs.__setitem__(path, output)
            )
            for path in numbers
        ]
        value = functional.cross_entropy(model(x[sample : sample + 1]), y[sample : sample + 1])
        for path, found in zip(outputs, torch.autograd.grad(value, list(outputs.values())), strict=True):
            rows[path].append(found.flatten())
        for handle in handles:
            handle.remove()
    worst = 0.0
    for path, own in rows.items():
        stacked = torch.stack(own)
        expected = (stacked @ stacked.T).numpy()
        difference = np.abs(recording.grams[numbers[path], 0] - expected).max()
        worst = max(worst, float(difference / np.abs(expected).max()))
    return worst, len(numbers)


def flops(name: str) -> tuple[float, float]:
    """Ours an image, and fvcore's multiply-adds of convolutions and linear layers."""
    model = gl.load_model(name, num_classes=1000, seed=0)
    data = gl.load_data("random", batch_size=4, batches=1, image_size=224, seed=0)
    cost = Cost()(gl.capture(model, data, sites="forks"))
    assert cost is not None
    ours = float(cost.frame.set_index("stage").loc["whole", "flops"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses torch.jit
        from fvcore.nn import FlopCountAnalysis

        counter = FlopCountAnalysis(model.eval(), torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False)
        by_operator = counter.uncalled_modules_warnings(False).by_operator()
    return ours, float(by_operator["conv"] + by_operator["linear"])
