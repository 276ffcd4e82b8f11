"""One training step with gradlens, with other tools, and with bare hooks, on the same network and batch.

``PEERS`` has an entry per step. A step is made from a fresh copy of the network, because some tools change the network
they are used on. benchmarks/peers.txt lists the packages.
"""

from __future__ import annotations

import copy
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measuring import Step
from benchmarks.overhead import KINDS, captured_step, plain_step
from gradlens.hooks.watcher import Watcher
from gradlens.metrics import cka, hsic_matrix

Make = Callable[[nn.Module, Tensor, Tensor], Step]
"""Returns the step of a network on images and labels."""
GROUPS = (32, 16, 8, 4, 2, 1)
"""Groups of a GroupNorm: the first that divides the channels."""
UNCHANGED, GROUPED = "plain", "plain, GroupNorm"
"""The plain steps: of the network as it is, and with GroupNorm in the place of BatchNorm."""


@dataclass(frozen=True)
class Peer:
    """A step to measure.

    Attributes:
        title: what it does, for the page.
        make: prepares the step; what it does once per network is not measured.
        package: distribution that it needs, empty for PyTorch and gradlens.
        base: the plain step that it is compared with.
    """

    title: str
    make: Make
    package: str = ""
    base: str = UNCHANGED

    def version(self) -> str | None:
        """Return the installed version of the package, None if it is missing; empty if it needs none."""
        if not self.package:
            return ""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def step(self, model: nn.Module, images: Tensor, labels: Tensor) -> Step:
        """Return the step of a copy of the network."""
        return self.step_of(copy.deepcopy(model), images, labels)

    def step_of(self, model: nn.Module, images: Tensor, labels: Tensor) -> Step:
        """Return the step of the network, which may change."""
        return self.make(grouped(model) if self.base == GROUPED else model, images, labels)


def grouped(model: nn.Module) -> nn.Module:
    """Replace each BatchNorm by a GroupNorm, which does not mix samples; an activation that it contains is kept."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            norm = nn.GroupNorm(next(count for count in GROUPS if channels % count == 0), channels)
            activation = getattr(child, "act", None)  # timm joins both
            setattr(model, name, norm if activation is None else nn.Sequential(norm, activation))
        else:
            grouped(child)
    return model


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the convolutions and linear layers."""
    return [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def _backward(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Run a step whose gradients go to the parameters, as most tools need it."""
    model.zero_grad()
    functional.cross_entropy(model(images), labels).backward()


def empty_hooks(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Register a hook that does nothing at every node of the graph, and walk the graph to find the nodes."""
    parameters = list(model.parameters())

    def run() -> None:
        loss = functional.cross_entropy(model(images), labels)
        handles = [node.register_hook(lambda inputs, outputs: None) for node in nodes_of(loss)]
        torch.autograd.grad(loss, parameters, allow_unused=True)
        for handle in handles:
            handle.remove()

    return run


def nodes_of(loss: Tensor) -> list[torch.autograd.graph.Node]:
    """Return the nodes of a graph, without those of the parameters."""
    waiting, known = [loss.grad_fn], {loss.grad_fn}
    for node in waiting:
        for reached, _ in () if node is None else node.next_functions:
            if reached is not None and reached not in known and reached.next_functions:
                known.add(reached)
                waiting.append(reached)
    return [node for node in waiting if node is not None]


def module_hooks(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Register full backward hooks, which do nothing, at all modules without children."""
    for module in model.modules():
        if not any(True for _ in module.children()):
            module.register_full_backward_hook(lambda module, inputs, outputs: None)
    return partial(_backward, model, images, labels)


def similarity(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Capture the signals and compute CKA between all of them."""
    watcher = Watcher(model, KINDS["signals"])
    state, _ = watcher.first((images, labels))
    signals = list(state.plan.signals)

    def run() -> None:
        grams = watcher.next(state, 0, (images, labels)).grams.grams
        cka(hsic_matrix(grams[signals][:, None]))

    return run


def kept_gradients(model: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the gradients ``[n, d]`` at the outputs of all convolutions and linear layers."""
    gradients: list[Tensor] = []

    def keep(gradient: Tensor) -> None:
        gradients.append(gradient.detach().clone().flatten(1))

    handles = [
        layer.register_forward_hook(lambda module, inputs, output: output.register_hook(keep) and None)
        for layer in layers_of(model)
    ]
    functional.cross_entropy(model(images), labels).backward()
    for handle in handles:
        handle.remove()
    return gradients


def pytorch_cka(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Keep the gradients at the outputs of all layers, and compute CKA between all of them with pytorch-cka."""
    from cka import cka_from_features

    def run() -> None:
        model.zero_grad()
        gradients = kept_gradients(model, images, labels)
        cka_from_features(gradients, gradients)

    return run


def torchlens_trace(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Save outputs and gradients of all operations in a trace with all metadata."""
    import torchlens

    options = torchlens.options.CaptureOptions(save_grads=True, layers_to_save="all")

    def run() -> None:
        model.zero_grad()
        trace = torchlens.trace(model, images, capture=options)
        output = trace[trace.output_layers[0]].out
        trace.log_backward(functional.cross_entropy(output, labels))

    return run


def torchlens_record(chosen: str, model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Save gradients with the faster recording of torchlens: of all operations, or of one function."""
    import torchlens

    save = torchlens.func(chosen) if chosen else lambda context: context.tensor_requires_grad is True

    def run() -> None:
        model.zero_grad()
        output, recording = torchlens.fastlog.record(
            model, images, save=save, save_grads=True, return_output=True, backward_ready=True
        )
        recording.log_backward(functional.cross_entropy(output, labels))
        if not recording.grad_records:
            raise RuntimeError("no gradient was saved")

    return run


def backpack_batch(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Compute the weight gradient of each sample with BackPACK, in all convolutions and linear layers."""
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    weights = [extend(layer).weight for layer in layers_of(model)]

    def run() -> None:
        with backpack(BatchGrad()):
            _backward(model, images, labels)
        for parameter in model.parameters():
            if hasattr(parameter, "grad_batch"):
                del parameter.grad_batch
            elif any(parameter is weight for weight in weights):
                raise RuntimeError("a weight has no gradients of samples")

    return run


def opacus_samples(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Compute the weight gradient of each sample with opacus, in all convolutions and linear layers."""
    from opacus import GradSampleModule

    model.requires_grad_(False)
    for layer in layers_of(model):
        layer.requires_grad_(True)
    wrapped = GradSampleModule(model)

    def run() -> None:
        _backward(wrapped, images, labels)
        for parameter in wrapped.parameters():
            if parameter.requires_grad and getattr(parameter, "grad_sample", None) is None:
                raise RuntimeError("a weight has no gradients of samples")
            parameter.grad_sample = None

    return run


def graphyco_monitor(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Observe a step with graphyco's live monitor."""
    from graphyco import LiveTrainingMonitor

    monitor = LiveTrainingMonitor(model)

    def run() -> None:
        with monitor.observe(0):
            _backward(model, images, labels)
        monitor.trajectory.clear()

    return run


PEERS = {
    UNCHANGED: Peer("plain step", plain_step),
    "empty hooks": Peer("empty hooks at every node of the graph", empty_hooks),
    "forks": Peer('gradlens, `sites="forks"`', partial(captured_step, "forks")),
    "signals": Peer('gradlens, `sites="signals"`', partial(captured_step, "signals")),
    "all": Peer('gradlens, `sites="all"`', partial(captured_step, "all")),
    "weights": Peer('gradlens, `space="weights"`', partial(captured_step, "weights")),
    "module hooks": Peer("empty full backward hooks at all modules", module_hooks),
    "torchlens, chosen": Peer(
        "torchlens `fastlog.record`, gradients of convolutions or linear layers",
        lambda model, images, labels: torchlens_record(
            "conv2d" if sum(isinstance(layer, nn.Conv2d) for layer in layers_of(model)) > 1 else "linear",
            model,
            images,
            labels,
        ),
        "torchlens",
    ),
    "torchlens, all": Peer(
        "torchlens `fastlog.record`, gradients of all operations", partial(torchlens_record, ""), "torchlens"
    ),
    "torchlens, trace": Peer(
        "torchlens `trace`, outputs and gradients of all operations", torchlens_trace, "torchlens"
    ),
    "graphyco": Peer("graphyco `LiveTrainingMonitor`", graphyco_monitor, "graphyco"),
    "similarity": Peer("gradlens, signals and CKA between all of them", similarity),
    "pytorch-cka": Peer(
        "gradients of the layers kept, CKA between all of them by pytorch-cka", pytorch_cka, "pytorch-cka"
    ),
    GROUPED: Peer("plain step, GroupNorm for BatchNorm", plain_step, base=GROUPED),
    "weights, GroupNorm": Peer(
        'gradlens, `space="weights"`, Gram of each weight', partial(captured_step, "weights"), base=GROUPED
    ),
    "opacus": Peer(
        "opacus `GradSampleModule`, weight gradients of each sample", opacus_samples, "opacus", GROUPED
    ),
    "BackPACK": Peer(
        "BackPACK `BatchGrad`, weight gradients of each sample",
        backpack_batch,
        "backpack-for-pytorch",
        GROUPED,
    ),
}
"""The steps by name."""
