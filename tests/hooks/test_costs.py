"""Costs, compared with published and hand-computed values."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from gradlens.hooks.costs import owned_parameters, step_costs
from gradlens.recording.costs import Costs


def costs(model: nn.Module, inputs: Tensor) -> Costs:
    return step_costs(model, lambda: model(inputs).sum(), len(inputs))


@pytest.mark.parametrize(
    ("name", "gflops", "millions"), [("resnet50", "8.178", "25.557"), ("cspresnet50", "6.918", "21.616")]
)
def test_flops_and_parameters_of_the_published_networks(name: str, gflops: str, millions: str) -> None:
    model = timm.create_model(name, num_classes=1000).eval()
    counted = costs(model, torch.ones(1, 3, 224, 224))
    assert f"{counted.flops.total() / 1e9:.3f}" == gflops
    assert f"{sum(counted.parameters.values()) / 1e6:.3f}" == millions
    assert counted.peak_bytes >= counted.saved_bytes.total()
    assert max(counted.largest) <= counted.flops.total()
    assert sum(counted.largest) == counted.flops.total()


def test_flops_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 36, 2))
    counted = costs(model, torch.ones(5, 3, 6, 6))
    assert counted.flops == {"0": 2 * 5 * 4 * 36 * 3 * 9, "2": 2 * 5 * 4 * 36 * 2}
    assert counted.largest == [counted.flops["0"], counted.flops["2"]]
    assert counted.samples == 5


def test_grouped_convolutions_count_their_group_only() -> None:
    counted = costs(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=4)), torch.ones(2, 4, 6, 6))
    assert counted.flops == {"0": 2 * 2 * 8 * 36 * 1 * 9}


def test_traffic_counts_convolutions_and_poolings_and_nothing_else() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)
    )
    counted = costs(model, torch.ones(5, 3, 8, 8))
    convolution, pooling, whole = 5 * (3 * 64 + 4 * 64), 5 * (4 * 64 + 4 * 16), 5 * (4 * 16 + 4)
    assert counted.traffic == {"0": convolution, "3": pooling, "4": whole}
    assert counted.traffic_bytes == {"0": 4 * convolution, "3": 4 * pooling, "4": 4 * whole}


def test_traffic_in_bytes_uses_the_element_size() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1)).double()
    counted = costs(model, torch.ones(2, 3, 4, 4, dtype=torch.float64))
    assert counted.traffic_bytes["0"] == 8 * counted.traffic["0"] == 8 * 2 * 7 * 16


def test_saved_bytes_of_a_convolution_and_a_relu_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    counted = costs(model, torch.ones(5, 3, 6, 6))
    # the convolution keeps its input, the relu its result; weights are no activations
    assert counted.saved_bytes == {"0": 4 * 5 * 3 * 36, "1": 4 * 5 * 4 * 36}
    assert counted.peak_bytes >= counted.saved_bytes["1"]


def test_a_tensor_that_two_operations_keep_is_counted_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) + self.b(x)

    assert costs(Twice(), torch.ones(5, 3, 6, 6)).saved_bytes.total() == 4 * 5 * 3 * 36


def test_two_halves_of_one_tensor_keep_all_of_it() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            first, second = x.chunk(2, 1)
            return self.a(first) + self.b(second)

    assert costs(Halves(), torch.ones(5, 4, 6, 6)).saved_bytes.total() == 4 * 5 * 4 * 36


def test_the_peak_includes_saved_tensors_and_a_gradient() -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Conv2d(4, 4, 1), nn.Tanh()) for _ in range(6)])
    counted = costs(model, torch.ones(8, 4, 16, 16))
    activation = 4 * 8 * 4 * 256
    # six results of tanh live until backward, with at most two gradients in addition
    assert 6 * activation <= counted.peak_bytes <= 9.5 * activation


def test_shared_parameters_count_once() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(4, 2, bias=False))
    model[3].weight = nn.Parameter(torch.ones(2, 4))
    tied = nn.Linear(4, 4)
    tied.weight = shared.weight
    model.append(tied)
    assert owned_parameters(model) == {"0": 20, "3": 8, "4": 4}
    assert sum(owned_parameters(model).values()) == sum(p.numel() for p in model.parameters())


def test_each_call_of_a_shared_layer_has_its_own_costs() -> None:
    class Levels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.pool = nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            fine, coarse = self.head(x), self.head(self.pool(x))
            return torch.cat([fine.flatten(1), coarse.flatten(1)], 1)

    counted = costs(Levels(), torch.ones(2, 3, 8, 8))
    fine, coarse = 2 * 2 * 4 * 3 * 64, 2 * 2 * 4 * 3 * 16
    assert counted.by_call["flops"] == {"head": [fine, coarse]}
    assert counted.flops["head"] == fine + coarse
    assert counted.by_call["traffic"] == {"head": [2 * 7 * 64, 2 * 7 * 16]}
    assert counted.parameters == {"head": 16}


def test_counting_leaves_no_hook_and_no_gradient() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    costs(model, torch.ones(2, 3, 4, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_step_that_raises_leaves_no_hook() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    with pytest.raises(RuntimeError):
        costs(model, torch.ones(2, 5, 4, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
