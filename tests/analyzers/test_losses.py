"""The tables of several losses against plain autograd, known angles, and another library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.analyzers import ANALYZERS


class Toy(nn.Module):
    """A linear trunk whose output of two features is read by two tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(x)


def tasks_at(degrees: float, size: float = 1.0) -> dict[str, Any]:
    """Return two losses whose gradients at the trunk's output have this angle for every sample."""
    radians = math.radians(degrees)
    directions = {"first": (1.0, 0.0), "second": (size * math.cos(radians), size * math.sin(radians))}
    return {
        name: lambda output, target, direction=direction: (
            (output * output.new_tensor(direction)).sum(1).mean()
        )
        for name, direction in directions.items()
    }


def recorded(degrees: float, size: float = 1.0, **options: Any) -> gl.Recording:
    torch.manual_seed(1)
    batches = [(torch.randn(8, 3).double(), torch.zeros(8)) for _ in range(3)]
    return gl.capture(Toy().double(), batches, losses=tasks_at(degrees, size), costs=False, **options)


@pytest.mark.parametrize("space", ["activations", "weights"])
@pytest.mark.parametrize("degrees", [0, 30, 90, 150, 180])
def test_two_tasks_with_a_known_angle(degrees: int, space: str) -> None:
    recording = recorded(degrees, space=space)
    row = ANALYZERS["conflicts"](recording).frame.query("where == 'trunk'").iloc[0]
    expected = math.cos(math.radians(degrees))
    assert row["cosine"] == pytest.approx(expected, abs=1e-12)
    assert row["cosine_of_mean"] == pytest.approx(expected, abs=1e-9)
    if degrees != 90:
        assert row["conflict"] == float(degrees > 90)
    ledger = ANALYZERS["losses"](recording).frame.query("where == 'trunk'")
    assert ledger["share"].tolist() == pytest.approx([0.5, 0.5])
    assert ledger["coherence"].iloc[0] == pytest.approx(1 + expected, abs=1e-12)


@pytest.mark.parametrize("size", [3.0, 0.1])
def test_the_share_is_that_of_the_squared_sizes(size: float) -> None:
    frame = ANALYZERS["losses"](recorded(30, size)).frame.query("level != 'branch'")
    for _, rows in frame.groupby(["level", "where"]):
        assert rows["share"].tolist() == pytest.approx([1 / (1 + size**2), size**2 / (1 + size**2)])
        assert rows["energy"].tolist() == pytest.approx([1.0, size**2])


class Pairs(nn.Module):
    """Two digits side by side: a shared trunk, one head for each label."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.ModuleList(
            [nn.Linear(128, 32), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)]
        )
        self.left, self.right = nn.Linear(32, 10), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.trunk:
            x = torch.tanh(layer(x))
        return self.left(x), self.right(x)


def digit_pairs(count: int, n: int) -> list[tuple[Tensor, Tensor]]:
    images, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(images))[: 2 * count * n].reshape(count, 2, n)
    return [
        (
            torch.tensor(np.concatenate([images[left], images[right]], axis=1) / 16),
            torch.tensor(np.stack([labels[left], labels[right]], axis=1)),
        )
        for left, right in chosen
    ]


SIDES = {
    "left": lambda output, target: functional.cross_entropy(output[0], target[:, 0]),
    "right": lambda output, target: functional.cross_entropy(output[1], target[:, 1]),
}


def trained_pairs() -> nn.Module:
    torch.manual_seed(0)
    model = Pairs().double()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.2)
    for inputs, targets in digit_pairs(4, 32) * 6:
        output = model(inputs)
        optimiser.zero_grad()
        sum(loss(output, targets) for loss in SIDES.values()).backward()
        optimiser.step()
    return model


def plain_conflict(model: nn.Module, weight: Tensor, batches: list[Any]) -> float:
    """Return the share of samples whose two gradients of a weight have a negative inner product."""
    conflicts = []
    for inputs, targets in batches:
        for x, y in zip(inputs.split(1), targets.split(1), strict=True):
            output = model(x)
            grads = [
                torch.autograd.grad(loss(output, y), weight, retain_graph=True)[0] for loss in SIDES.values()
            ]
            conflicts.append(float((grads[0] * grads[1]).sum()) < 0)
    return float(np.mean(conflicts))


def test_layers_are_ranked_by_conflict_as_recon_ranks_them() -> None:
    """Recon (Shi et al. 2023) ranks shared layers by the share of gradient pairs in conflict."""
    model, batches = trained_pairs(), digit_pairs(3, 32)
    recording = gl.capture(model, batches, losses=SIDES, space="weights", costs=False)
    frame = ANALYZERS["conflicts"](recording).frame.query("level == 'signal'").set_index("where")["conflict"]
    shared = [f"trunk.{index}" for index in range(4)]
    truth = pd.Series(
        {path: plain_conflict(model, model.get_submodule(path).weight, batches) for path in shared}
    )
    assert truth.nunique() >= 3
    assert frame[shared].tolist() == pytest.approx(truth.tolist())
    assert frame[shared].rank().tolist() == truth.rank().tolist()


def test_inner_products_of_the_losses_are_those_of_torchjd() -> None:
    """The Gramian of the Jacobian of two losses over a shared weight, from the batch gradients."""
    import torchjd

    model, batches = trained_pairs(), digit_pairs(1, 16)
    recording = gl.capture(model, batches, losses=SIDES, space="weights", costs=False)
    weight = model.trunk[1].weight
    output = model(batches[0][0])
    losses = [loss(output, batches[0][1]) for loss in SIDES.values()]
    torchjd.autojac.backward(losses, inputs=[weight])
    jacobian = weight.jac.reshape(2, -1)
    gramian = (jacobian @ jacobian.T).numpy() * 16**2  # of the summed losses
    number = next(signal.number for signal in recording.signals if signal.name == "trunk.1")
    product = recording.by_loss.read("mean_products")[0, number, 0]
    own = [recording.of_loss(name).grams[number, 0].sum() for name in SIDES]
    np.testing.assert_allclose([own[0], product, own[1]], gramian[np.triu_indices(2)], rtol=1e-8)


def test_duplication_by_loss_is_that_of_each_loss_captured_alone() -> None:
    model, batches = trained_pairs(), digit_pairs(3, 24)
    recording = gl.capture(model, batches, losses=SIDES, costs=False)
    frame = ANALYZERS["duplication_by_loss"](recording).frame.query("stage == 'whole'").set_index("loss")
    for name in SIDES:
        part = recording.of_loss(name)
        alone = ANALYZERS["duplication"](part).frame.query("stage == 'whole' and version == 'energy'").iloc[0]
        assert frame.loc[name, "mean_similarity"] == pytest.approx(alone["mean_similarity"])
    total = ANALYZERS["duplication"](recording).frame.query("stage == 'whole'").set_index("version")
    assert frame.loc["all", "mean_similarity"] == pytest.approx(total.loc["energy", "mean_similarity"])
    assert frame.loc["all", "mean_similarity_given"] == pytest.approx(
        total.loc["energy given loss", "mean_similarity"]
    )
    assert frame["rarefied_duplication_low"].notna().all()


def test_one_loss_has_none_of_these_tables() -> None:
    recording = gl.capture(trained_pairs(), digit_pairs(1, 8), loss=SIDES["left"], costs=False)
    for name in ("losses", "conflicts", "duplication_by_loss", "loss_sums"):
        assert ANALYZERS[name](recording) is None
    with pytest.raises(
        gl.GradlensError, match="no table 'losses': this recording was recorded with one loss"
    ):
        gl.analyze(recording, tables=["losses"])


def test_the_sums_are_exact_in_double_precision() -> None:
    recording = gl.capture(trained_pairs(), digit_pairs(2, 8), losses=SIDES, costs=False)
    frame = ANALYZERS["loss_sums"](recording).frame.set_index("loss")
    assert frame.loc["all", "sum_error"] < 1e-12
    assert frame.loc["all", "value"] == pytest.approx(frame.loc[list(SIDES), "value"].sum())
    assert frame["live_signals"].tolist() == [5, 5, 6]


def test_inspect_and_compare_take_losses() -> None:
    options = {"losses": SIDES, "batches": digit_pairs(3, 16), "progress": False}
    result = gl.inspect(trained_pairs(), **options)
    assert {"losses", "conflicts", "duplication_by_loss", "loss_sums"} <= {*result.tables}
    compared = gl.compare(
        lambda seed: Pairs().double(), trained_pairs, labels=["fresh", "trained"], seeds=2, **options
    )
    frame = compared["losses"].frame
    assert [*dict.fromkeys(frame["network"])] == ["fresh", "trained"]
    by_loss = compared["duplication_by_loss"].frame
    of_sum = by_loss["loss"] == "all"
    for rows, column in ((by_loss[~of_sum], "m"), (by_loss, "m_given"), (by_loss[of_sum], "m")):
        assert all(len(set(sizes.dropna())) <= 1 for _, sizes in rows.groupby("stage")[column])
    assert (
        by_loss[of_sum]["m"].dropna() == by_loss[of_sum]["m_given"].dropna()
    ).all()  # they are read side by side
    with pytest.raises(gl.GradlensError, match="not both"):
        gl.inspect(trained_pairs(), **options, loss=SIDES["left"])
