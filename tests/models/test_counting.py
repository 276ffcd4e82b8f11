"""FLOPs counted without values, against PyTorch's counter on real tensors."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from gradlens.models.counting import meta_flops


class Squeeze(nn.Module):
    """Gains of one value per channel, activations in place and not, a cut and a joined axis."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.gain = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x * self.gain(x.mean((2, 3), keepdim=True))
        first, second = x.chunk(2, 1)
        joined = torch.cat([x, first + self.branch(functional.silu(second))], 1)
        return self.head(joined.amax((2, 3)))


class Broadcast(nn.Module):
    """An operation whose first argument is the smaller one, and a sum with a mask."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6, 1, 1))
        self.conv = nn.Conv2d(3, 6, 1)
        self.after = nn.Conv2d(6, 2, 3)

    def forward(self, x):
        x = self.scale * self.conv(x)
        return self.after(torch.where((x > 0) & (x < 1), x, 0.1 * x) + (x > 0.5))


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).chunk(3, -1)
        tokens = tokens + self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)
        return functional.gelu(functional.layer_norm(tokens, (8,))) @ self.out.weight


NETWORKS = {
    "gains": Squeeze(),
    "broadcast": Broadcast(),
    "attention": Attending(),
    "transposed": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ELU(), nn.ConvTranspose2d(4, 3, 2, 2), nn.Tanh()),
    "statistics of the batch": nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 2, 3)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("size", [(1, 3, 16, 16), (2, 3, 12, 20)], ids=["square", "wide"])
def test_the_flops_are_those_of_pytorchs_counter(network, size):
    blank = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad():
        counted = meta_flops(lambda: blank(torch.empty(size, device="meta")))
        with FlopCounterMode(display=False) as counter:
            network.eval()(torch.rand(size))
    assert counted == counter.get_total_flops() > 0


@pytest.mark.parametrize(
    "join", [lambda a, b: a + b, lambda a, b: torch.cat([a, b]), lambda a, b: torch.cat([a, a], 2)]
)
def test_shapes_that_do_not_fit_raise_as_they_do_with_values(join):
    first, second = torch.rand(2, 3), torch.rand(2, 4)
    with pytest.raises((RuntimeError, IndexError)):
        join(first, second)
    with pytest.raises((RuntimeError, IndexError)):
        meta_flops(lambda: join(first.to("meta"), second.to("meta")))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_joined_tensors_have_the_shape_and_type_that_values_have(axis):
    tensors = [torch.rand(2, 3, 4), torch.rand(2, 3, 4).double()]
    shapes = []
    meta_flops(lambda: shapes.append(torch.cat([tensor.to("meta") for tensor in tensors], axis)))
    expected = torch.cat(tensors, axis)
    assert (shapes[0].shape, shapes[0].dtype) == (expected.shape, expected.dtype)
