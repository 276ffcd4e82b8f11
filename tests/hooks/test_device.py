"""A model on a device without float64 is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError


class Metal(Tensor):
    """A tensor that says that it is on Apple's Metal, and computes nothing."""

    @staticmethod
    def __new__(cls, *shape: int) -> Metal:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls, shape, dtype=torch.float32, device=torch.device("mps")
        )

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return Metal(*args[0].shape)
        raise AssertionError(f"{func} ran before the device was checked")


def with_weight() -> nn.Module:
    net = nn.Linear(6, 5)
    net.weight = nn.Parameter(Metal(5, 6))
    return net


def with_buffer() -> nn.Module:
    net = nn.Linear(6, 5)
    net.register_buffer("scale", Metal(5))
    return net


@pytest.mark.parametrize(("build", "name"), [(with_weight, "weight"), (with_buffer, "scale")])
def test_a_device_without_float64_is_refused_with_the_remedy(build: Any, name: str) -> None:
    with pytest.raises(GradlensError, match=f"{name} is on mps, which has no float64.*model.to") as error:
        gl.capture(build(), [(torch.randn(8, 6), torch.arange(8) % 5)], progress=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("build", [with_weight, with_buffer])
def test_a_watch_refuses_it_before_the_training(build: Any) -> None:
    with pytest.raises(GradlensError, match=r"is on mps, which has no float64.*model.to"):
        gl.watch(build())
