"""The networks of the validation page and the measurements on them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

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
    """A pre-activation residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def residual(self, x: Tensor) -> Tensor:
        return self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


class ResNet(nn.Module):
    """A residual network in the form of Veit et al.: blocks of one width with one addition each."""

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
    """Mark one layer per block as weighted, so that the length of a path counts its blocks."""
    return [owner.module.endswith("conv2") and node.weighted
            for owner, node in zip(recording.plan.owners, recording.plan.graph.nodes, strict=True)]  # fmt: skip


def stem(recording: gl.Recording) -> int:
    return weighted_layers(recording)[0]


def sampled_lengths(blocks: int, draws: int = 4) -> np.ndarray:
    """Repeat the experiment of Veit et al.: mean gradient norm of random paths of ``k`` blocks, times their number.

    All paths share one forward pass: a path decides only which blocks pass the gradient through their residual.

    Returns:
        One value per k, ``[blocks + 1]``.
    """
    torch.manual_seed(0)
    model, (images, targets) = ResNet(blocks).train(), digits()[0]
    inputs, residuals = [], []
    hidden = model.stem(images).detach()
    for block in model.blocks:
        inputs.append(hidden.requires_grad_())
        residuals.append(block.residual(hidden))
        hidden = (hidden + residuals[-1]).detach()
    loss = functional.cross_entropy(model.head(hidden.requires_grad_().mean((2, 3))), targets)
    (last,) = torch.autograd.grad(loss, hidden)
    rng = np.random.default_rng(0)
    totals = np.zeros(blocks + 1)
    for k in range(blocks + 1):
        norms = []
        for _ in range(draws):
            gradient = last
            for index in sorted(rng.choice(blocks, k, replace=False), reverse=True):
                (gradient,) = torch.autograd.grad(
                    residuals[index], inputs[index], gradient, retain_graph=True
                )
            norms.append(float(gradient.flatten(1).norm(dim=1).mean()))
        totals[k] = math.comb(blocks, k) * float(np.mean(norms))
    return totals


class Layer(nn.Module):
    """``W relu(x - mean)``: alone (``plain``), or added to x, with or without a normalisation.

    The theorems assume that the input of a ReLU is centred and independent over samples. Subtracting the batch
    mean, without a gradient through it, ensures this. ``scaled`` divides by the standard deviation of layer l in
    theorem 3, ``√l``; ``plain`` and ``normalised`` divide by that of the batch.
    """

    def __init__(self, kind: str, width: int, depth: int) -> None:
        super().__init__()
        self.kind, self.depth, self.layer = kind, depth, nn.Linear(width, width, bias=False)
        nn.init.kaiming_normal_(self.layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(0).detach()
        if self.kind in ("plain", "normalised"):
            centred = centred / x.std(0).detach()
        elif self.kind == "scaled":
            centred = centred / math.sqrt(self.depth)
        output = self.layer(torch.relu(centred))
        return output if self.kind == "plain" else x + output


def drawn(kind: str, depth: int, width: int) -> nn.Sequential:
    """Return a network of ``depth`` layers whose first hidden layer has variance 1, as in the theorems."""
    first = nn.Linear(width, width, bias=False)
    nn.init.normal_(first.weight, std=width**-0.5)
    layers = [Layer(kind, width, number) for number in range(1, depth + 1)]
    return nn.Sequential(first, *layers, nn.Linear(width, 1, bias=False))


def correlations(
    kind: str, depths: Sequence[int], networks: int = 20, width: int = 256, n: int = 64
) -> dict[int, float]:
    """Return, by depth, the correlation of the gradients of two inputs at the first hidden layer.

    The networks of one depth are the batches of one capture: each comes with its own weights and inputs.
    """
    values = {}
    for depth in depths:

        def total(model: nn.Module, batch: tuple[int], depth: int = depth) -> Tensor:
            torch.manual_seed(batch[0])
            model.load_state_dict(drawn(kind, depth, width).state_dict())
            return cast(Tensor, model(torch.randn(n, width)).sum())

        recording = gl.capture(
            drawn(kind, depth, width),
            [(seed,) for seed in range(networks)],
            step=total,
            reduction="sum",
            samples=n,
            costs=False,
        )
        grams = recording.grams[recording.plan.signals[0]]
        variance = float(np.trace(grams, axis1=1, axis2=2).mean()) / n
        covariance = float(grams.sum((1, 2)).mean() - n * variance) / (n * (n - 1))
        values[depth] = covariance / variance
    return values


def decay(values: dict[int, float]) -> float:
    """Return the factor per layer of an exponential fit to values by depth."""
    return float(np.exp(np.polyfit(list(values), np.log(list(values.values())), 1)[0]))


def power(values: dict[int, float]) -> float:
    """Return the exponent of a power-law fit to values by depth."""
    return float(np.polyfit(np.log(list(values)), np.log(list(values.values())), 1)[0])


class DenseSources(NamedTuple):
    """Numbers of gradient sources: of each layer's output, of each block's input, and of its bypass."""

    layers: list[int]
    inputs: list[int]
    bypass: list[int]


def dense_sources(name: str) -> DenseSources:
    recording = _densenet(name)
    graph, owners = recording.plan.graph, recording.plan.owners
    segments = combinations(graph)
    weighted = weighted_layers(recording)
    layers = [len(sources(segments[i])) for i in weighted if owners[i].module.endswith("conv2")]
    ends = [i for i in weighted if owners[i].module == "features.conv0" or _transition_end(owners[i].module)]
    inputs = [segments[i] for i in ends[: len(DENSE_BLOCKS)]]
    bypass = [len(parts[0].combination) for parts in inputs if len(parts) > 1]
    return DenseSources(layers, [len(parts[-1].combination) for parts in inputs], bypass)


def _transition_end(module: str) -> bool:
    """Whether a module is the convolution whose output enters the next block."""
    return module.endswith("transition.after.conv") or (
        ".transition" in module and module.endswith(".conv") and "denseblock" not in module
    )


def _densenet(name: str) -> gl.Recording:
    model = gl.load_model(name, num_classes=10, seed=0)
    data = gl.load_data("random", batch_size=4, batches=1, image_size=32, seed=0)
    return gl.capture(model, data, sites="forks", costs=False)


def read_channels(name: str) -> int:
    """Count the channels of the growing concatenation that each next dense layer or the transition reads."""
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
    """Return ``Σ c m (1 - γ) + (m² + m) d / 2``, where ``c`` channels enter a block of densenet121."""
    total, entering = 0, 64
    for length in blocks:
        total += int(entering * (1 - gamma)) * length + (length**2 + length) * GROWTH // 2
        entering = (entering + length * GROWTH) // 2
    return total


def against_torch_func(name: str) -> tuple[float, int]:
    """Return the largest relative difference of weight-space Grams from ``vmap(grad)``, and the number of weights."""
    model = gl.load_model(name, num_classes=10, seed=0, image_size=32).double().eval()
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 32, 32).double(), torch.tensor([0, 1, 2, 3])
    recording = gl.capture(model, [(x, y)], space="weights", mode="keep", costs=False)
    parameters = {key: value.detach() for key, value in model.named_parameters()}

    def loss(values: dict[str, Tensor], sample: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(model, values, (sample[None],)), target[None])

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    worst = 0.0
    for number in recording.plan.signals:
        rows = gradients[f"{recording.plan.probes[number].module}.weight"].flatten(1)
        expected = (rows @ rows.T).numpy()
        worst = max(
            worst, float(np.abs(recording.grams[number, 0] - expected).max() / np.abs(expected).max())
        )
    return worst, len(recording.plan.signals)


def against_single_samples(name: str) -> tuple[float, int]:
    """Compare the signals' Grams with one backward pass per sample.

    Returns:
        The largest relative difference, and the number of signals.
    """
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
                lambda module, inputs, output, path=path, outputs=outputs: outputs.__setitem__(path, output)
            )
            for path in numbers
        ]
        value = functional.cross_entropy(model(x[sample : sample + 1]), y[sample : sample + 1])
        for path, gradient in zip(outputs, torch.autograd.grad(value, list(outputs.values())), strict=True):
            rows[path].append(gradient.flatten())
        for handle in handles:
            handle.remove()
    worst = 0.0
    for path, gradients in rows.items():
        stacked = torch.stack(gradients)
        expected = (stacked @ stacked.T).numpy()
        difference = np.abs(recording.grams[numbers[path], 0] - expected).max()
        worst = max(worst, float(difference / np.abs(expected).max()))
    return worst, len(numbers)


def flops(name: str) -> tuple[float, float]:
    """Return the FLOPs per image of gradlens, and the multiply-adds of fvcore for convolutions and linear layers."""
    model = gl.load_model(name, num_classes=1000, seed=0)
    data = gl.load_data("random", batch_size=4, batches=1, image_size=224, seed=0)
    cost = Cost()(gl.capture(model, data, sites="forks"))
    assert cost is not None
    total = float(cost.frame.set_index("stage").loc["whole", "flops"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses torch.jit
        from fvcore.nn import FlopCountAnalysis

        counter = FlopCountAnalysis(model.eval(), torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False)
        by_operator = counter.uncalled_modules_warnings(False).by_operator()
    return total, float(by_operator["conv"] + by_operator["linear"])
