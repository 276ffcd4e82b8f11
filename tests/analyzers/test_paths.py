"""Paths of real graphs: counts, energies along them, and equal results for the three spellings of a split."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.analyzers.energies import energy_steps
from gradlens.analyzers.paths import PathLengths, Paths
from gradlens.analyzers.structure import Structure
from gradlens.analyzers.tracing import weighted_layers
from gradlens.metrics import coherence


class Residual(nn.Module):
    """Two residual blocks of one layer and a head; ``gain`` scales the output of a block."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + self.gain * block(x)
        return self.head(x.mean((2, 3)))


class Cut(nn.Module):
    """A partial split by any spelling; one part goes through a layer."""

    def __init__(self, spelling):
        super().__init__()
        self.spelling = spelling
        self.stem, self.dense = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        h = self.stem(x).relu()
        if self.spelling == "split":
            first, second = h.split([4, 4], 1)
        elif self.spelling == "chunk":
            first, second = h.chunk(2, 1)
        else:
            first, second = h[:, :4], h[:, 4:]
        return self.head(torch.cat([first, self.dense(second)], 1).mean((2, 3)))


def record(model, batches=1, **options):
    torch.manual_seed(0)
    data = gl.load_data("digits", batch_size=8, batches=batches, image_size=16, seed=0)
    return gl.capture(model, data, costs=False, **options)


@pytest.fixture
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_a_residual_network_has_one_path_per_choice_of_branches(seeded):
    frame = Paths()(record(Residual())).frame.set_index("layer")
    assert list(frame.index) == ["stem", "blocks.0", "blocks.1", "head"]
    assert list(frame["paths"]) == ["4", "2", "1", "1"]
    assert list(frame["shortest"]) == [2, 2, 2, 1]
    assert (
        frame.loc["stem", "shortest"],
        frame.loc["stem", "longest"],
        frame.loc["stem", "mean_length"],
    ) == (2, 4, 3.0)
    assert frame.loc["stem", "timestamps"] == "2 3 4"
    assert (frame.loc["head", "sources"], frame.loc["head", "reuse"]) == (1, 3)


def test_without_energy_through_the_blocks_only_the_skips_count(seeded):
    frame = Paths()(record(Residual(gain=1e-9))).frame.set_index("layer")
    assert frame.loc["stem", "effective_length"] == pytest.approx(2.0, abs=1e-6)
    assert frame.loc["stem", "mean_length"] == 3.0


def test_the_effective_length_follows_the_measured_shares(seeded):
    """By hand: at each fork the residual branch is one layer longer."""
    recording = record(Residual())
    longer = []
    for group in recording.plan.groups:
        energies = np.array([recording.energies[list(member)].sum() for member in group.members])
        longer.append(dict(zip(group.labels, energies / energies.sum(), strict=True))["residual"])
    frame = Paths()(recording).frame.set_index("layer")
    assert frame.loc["stem", "effective_length"] == pytest.approx(2 + sum(longer), rel=1e-9)
    lengths = PathLengths()(recording).frame
    stem = lengths[lengths["layer"] == "stem"].set_index("length")
    assert stem["share"].to_dict() == {2: 0.25, 3: 0.5, 4: 0.25}
    assert stem.loc[4, "energy_share"] == pytest.approx(longer[0] * longer[1], rel=1e-9)
    assert stem["energy_share"].sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("spelling", ["split", "chunk", "slices"])
def test_the_parts_of_a_split_share_by_their_energy(spelling, seeded):
    recording = record(Cut(spelling))
    (group,) = (group for group in recording.plan.groups if group.where == "split")
    energies = np.array([recording.energies[list(member)].sum() for member in group.members])
    through = dict(zip(group.labels, energies / energies.sum(), strict=True))["dense"]
    frame = Paths()(recording).frame.set_index("layer")
    assert frame.loc["stem", "paths"] == "2"
    assert frame.loc["stem", "effective_length"] == pytest.approx(2 + through, rel=1e-9)
    assert frame.loc["stem", "combinations"] == 2
    assert frame.loc["stem", "timestamps"] == "2 | 3"


def test_without_a_watched_fork_there_is_no_effective_length(seeded):
    recording = record(Residual(), sites="blocks.1")
    frame = Paths()(recording).frame.set_index("layer")
    assert frame["effective_length"].isna().all()
    assert frame.loc["stem", "mean_length"] == 3.0
    assert PathLengths()(recording).frame["energy_share"].isna().all()


def test_shares_of_every_tensor_sum_to_one(seeded):
    model = gl.load_model("densenet121", num_classes=10, seed=0)
    recording = gl.capture(
        model,
        gl.load_data("digits", batch_size=8, batches=1, image_size=32, seed=0),
        sites="forks",
        costs=False,
    )
    totals = {}
    for step in energy_steps(recording):
        totals[step.producer] = totals.get(step.producer, 0.0) + step.share
    assert totals.keys() >= set(weighted_layers(recording))
    assert all(total == pytest.approx(1.0, rel=1e-9) for total in totals.values())
    frame = Paths()(recording).frame
    assert frame["paths"].iloc[0] == str(2**58)  # a factor of two per dense layer: through it or past it
    assert (frame["shortest"].iloc[0], frame["longest"].iloc[0]) == (5, 121)


def test_a_dead_branch_carries_nothing(seeded):
    model = gl.load_model("resnet18", num_classes=10, zero_init=True, seed=0)
    frame = Paths()(record(model)).frame.set_index("layer")
    assert frame.loc["conv1", "paths"] == str(2**8)
    assert frame.loc["conv1", "effective_length"] == frame.loc["conv1", "shortest"] == 5
    assert math.isnan(frame.loc["layer1.0.conv1", "effective_length"])


def test_the_interval_is_over_seeds(seeded):
    first = record(Residual())
    second = record(Residual(gain=3.0), seed=1)
    merged = first.merge(second)
    row = Paths()(merged).frame.set_index("layer").loc["stem"]
    lengths = [
        Paths()(recording).frame.set_index("layer").loc["stem", "effective_length"]
        for recording in (first, second)
    ]
    assert row["effective_length"] == pytest.approx(np.mean(lengths))
    assert row["effective_low"] < min(lengths) < max(lengths) < row["effective_high"]
    assert math.isnan(Paths()(first).frame["effective_low"].iloc[0])


def test_the_structure_of_a_residual_network(seeded):
    recording = record(Residual())
    frame = Structure()(recording).frame.set_index("stage")
    whole = frame.loc["whole"]
    assert (whole["layers"], whole["longest_shortest"], whole["longest"], whole["max_reuse"]) == (4, 2, 4, 3)
    # sources: stem {block 0, block 1, head}, block 0 {block 1, head}, block 1 {head}, head {loss}
    assert whole["structural_duplication"] == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 6, rel=1e-12)
    assert whole["timestamp_combinations"] == 4
    group = recording.plan.groups[0]
    energies = np.array([recording.energies[list(member)].sum() for member in group.members])
    expected = abs(coherence(float(recording.energies[group.total].sum()), energies) - 1)
    assert frame.loc[group.stage, "cross_terms"] > 0
    other = recording.plan.groups[1]
    energies = np.array([recording.energies[list(member)].sum() for member in other.members])
    second = abs(coherence(float(recording.energies[other.total].sum()), energies) - 1)
    assert whole["cross_terms"] == pytest.approx((expected + second) / 2, rel=1e-12)


def test_csp_has_less_structural_duplication():
    duplication = {}
    for name in ("densenet121", "densenet121@csp"):
        model = gl.load_model(name, num_classes=10, seed=0)
        data = gl.load_data("digits", batch_size=8, batches=1, image_size=32, seed=0)
        frame = Structure()(gl.capture(model, data, sites="forks", costs=False)).frame.set_index("stage")
        duplication[name] = frame.loc["whole", "structural_duplication"]
    assert duplication["densenet121@csp"] < duplication["densenet121"]


def test_a_recording_without_layers_has_no_paths(hand):
    build = hand()
    build.group([build.gradient(np.ones((1, 5, 3)), signal=False)] * 2)
    recording = build.recording()
    assert all(ANALYZERS[name](recording) is None for name in ("paths", "path_lengths", "structure"))


class Tokens(nn.Module):
    """A cut along positions, whose energies are not measured."""

    def __init__(self):
        super().__init__()
        self.first, self.stem, self.deep = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        start, rest = torch.tanh(self.stem(torch.tanh(self.first(x)))).split([1, 4], 1)
        return self.head(start.mean(1) + self.deep(rest).tanh().mean(1))


def test_equal_shares_in_place_of_unknown_energies_are_counted():
    recording = gl.capture(Tokens(), [(torch.randn(6, 5, 3), torch.arange(6) % 4)], costs=False)
    frame = Paths()(recording).frame.set_index("layer")
    assert frame["equal_shares"].to_dict() == {"first": 1, "stem": 1, "deep": 0, "head": 0}


def test_a_cut_without_energy_passes_none_on():
    class Dead(Cut):
        def forward(self, x):
            return super().forward(x) * 0 + self.head(torch.ones(len(x), 8))

    recording = gl.capture(Dead("split"), [(torch.randn(6, 3, 8, 8), torch.arange(6) % 4)], costs=False)
    frame = Paths()(recording).frame.set_index("layer")
    assert math.isnan(frame.loc["stem", "effective_length"])
    assert frame.loc["stem", "equal_shares"] == 0
