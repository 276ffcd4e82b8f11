"""Shattering: cases with a known answer, and the published contrast of plain and residual networks."""

import math

import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.errors import GradlensError


def stacked(depth, residual, width=200):
    """Return a ReLU network with BatchNorm on one number, plain or with skips (Balduzzi 2017, figure 1)."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.layer = nn.BatchNorm1d(width), nn.Linear(width, width)
            nn.init.kaiming_normal_(self.layer.weight, nonlinearity="relu")

        def forward(self, x):
            output = self.layer(torch.relu(self.norm(x)))
            return x + output if residual else output

    return nn.Sequential(nn.Linear(1, width), *[Block() for _ in range(depth)], nn.Linear(width, 1))


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_a_linear_network_does_not_shatter():
    frame = gl.shattering(nn.Linear(5, 3), torch.zeros(5), torch.ones(5), points=10, lags=3).frame
    assert frame["cosine"].tolist() == pytest.approx([1.0] * 4)
    assert frame["autocorrelation"].isna().all()
    assert frame["distance"].tolist() == pytest.approx([0, *[lag * math.sqrt(5) / 9 for lag in (1, 2, 3)]])


class Square(nn.Module):
    """Half the squared norm: its gradient is the input itself."""

    def forward(self, x):
        return x.square().sum(1, keepdim=True) / 2


def test_the_gradient_of_a_parabola_is_the_line_itself():
    frame = gl.shattering(
        Square(), torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0]), points=5, lags=2
    ).frame
    line = [-1.0, -0.5, 0.0, 0.5, 1.0]
    variance = sum(x * x for x in line) / 5
    expected = [
        sum(a * b for a, b in zip(line[: 5 - lag], line[lag:], strict=True)) / (5 - lag) for lag in range(3)
    ]
    assert frame["autocorrelation"].tolist() == pytest.approx([value / variance for value in expected])


def test_deep_plain_networks_shatter_and_residual_ones_less():
    """Figure 1: 24 plain layers are white noise, one layer and residual ones are not."""
    ends = torch.tensor([-2.0]), torch.tensor([2.0])
    correlations = {}
    for name, depth, residual in (("shallow", 1, False), ("plain", 24, False), ("residual", 24, True)):
        table = gl.shattering(stacked(depth, residual), *ends, points=256, lags=1, mode="train")
        correlations[name] = table.frame["autocorrelation"].iloc[1]
    assert abs(correlations["plain"]) < 0.3
    assert 0.4 < correlations["residual"] < correlations["shallow"]
    assert correlations["shallow"] > 0.9


def test_images_are_allowed_and_the_model_is_unchanged():
    model = gl.load_model("resnet10t", num_classes=4, seed=0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.rand(2, 3, 32, 32)
    frame = gl.shattering(model, *images, points=40, lags=2, mode="train").frame
    assert frame["autocorrelation"].iloc[0] == pytest.approx(1.0)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("ends", "options", "message"),
    [
        ((torch.zeros(3), torch.zeros(4)), {}, r"the inputs have shapes \(3,\) and \(4,\)"),
        ((torch.zeros(3), torch.ones(3)), {"points": 4, "lags": 4}, "4 lags over 4 points"),
    ],
)
def test_bad_input_is_refused(ends, options, message):
    with pytest.raises(GradlensError, match=message):
        gl.shattering(nn.Linear(3, 1), *ends, **options)
