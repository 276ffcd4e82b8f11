"""The map: what is drawn, which way it runs, and that the energy on its edges is what was measured."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers.branches import Shares
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.cost import Cost
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.map import MapEdges, MapNodes

N = 8


def recorded(model, size=32, **options):
    torch.manual_seed(0)
    batches = [(torch.randn(N, 3, size, size), torch.randint(0, 10, (N,))) for _ in range(2)]
    return gl.capture(model, batches, **{"costs": False, **options})


class Split(nn.Module):
    """A cut by ``chunk``: one part goes round two blocks, then both are joined; a view in front of the head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(
            *[
                nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
                for _ in range(2)
            ]
        )
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        first, second = self.stem(x).chunk(2, 1)
        x = self.down(torch.cat([first, self.blocks(second)], 1).relu())
        return self.head(x.mean((2, 3)).unsqueeze(1).squeeze(1))


@pytest.fixture(scope="module")
def split():
    recording = recorded(Split())
    return recording, MapNodes()(recording).frame, MapEdges()(recording).frame


def test_blocks_are_numbered_modules_and_what_joins_them_stands_alone(split):
    _, nodes, _ = split
    assert list(dict.fromkeys(nodes["block"])) == [
        "stem", "(model):split", "blocks.0", "blocks.1", "(model):cat", "(model):relu", "down", "(model):mean",
        "head", "(loss)",
    ]  # fmt: skip
    assert not {"Unsqueeze", "Squeeze", "View"} & set(nodes["operation"])
    by_site = nodes.set_index("site")
    assert by_site.loc["(model):cat", "merge"] == by_site.loc["stem:conv", "fork"] == "(model):partial split"
    assert nodes.set_index("block").loc["head", "stage"] == "head"
    assert list(dict.fromkeys(nodes["group"])) == ["2", "4", "head", "loss"]


def truth(model, batches, path):
    """Mean squared norm a sample of the summed loss's gradient at a module's output."""
    found = []
    for inputs, targets in batches:
        kept = {}

        def keep(module, given, output, kept=kept):
            output.retain_grad()
            kept["output"] = output

        handle = dict(model.named_modules())[path].register_forward_hook(keep)
        nn.functional.cross_entropy(model(inputs), targets, reduction="sum").backward()
        handle.remove()
        found.append(float(kept["output"].grad.square().sum()) / N)
    return float(np.mean(found))


def test_the_energy_of_an_edge_is_that_of_the_gradient_along_it():
    torch.manual_seed(0)
    model = Split()
    torch.manual_seed(0)
    batches = [(torch.randn(N, 3, 32, 32), torch.randint(0, 10, (N,))) for _ in range(2)]
    recording = gl.capture(model, batches, costs=False)
    nodes, edges = MapNodes()(recording).frame, MapEdges()(recording).frame
    by_site = nodes.set_index("site")["node"]
    for path in ("stem", "down", "blocks.0.2", "blocks.1.0"):
        own = edges[edges["producer"] == by_site[f"{path}:conv"]]
        assert own["measured"].all()
        assert own["energy"].sum() == pytest.approx(truth(model, batches, path), rel=1e-4)


def test_a_concatenations_energy_is_the_sum_of_its_inputs(split):
    _, nodes, edges = split
    by_site = nodes.set_index("site")["node"]
    out = edges[edges["producer"] == by_site["(model):cat"]]
    into = edges[edges["consumer"] == by_site["(model):cat"]]
    assert len(into) == 2
    assert out["energy"].item() == pytest.approx(into["energy"].sum(), rel=1e-9)
    assert out["measured"].item() == into["measured"].all()


def test_what_was_not_watched_is_marked(split):
    _, nodes, edges = split
    by_site = nodes.set_index("site")["node"]
    relu = edges[edges["producer"] == by_site["blocks.0.1:relu"]]
    behind = edges[edges["producer"] == by_site["blocks.0.0:conv"]]
    assert not relu["measured"].item()
    assert relu["energy"].item() == behind["energy"].item()
    everything = MapEdges()(recorded(Split(), sites="all")).frame
    assert everything["measured"].all()


def test_shares_stand_on_the_edges_of_forks_and_splits(split):
    recording, _, edges = split
    shares = Shares()(recording).frame
    for row in shares[shares["where"] != "merge"].to_dict("records"):
        own = edges[(edges["fork"] == row["site"]) & (edges["branch"] == row["branch"])]
        assert len(own) >= 1
        assert np.allclose(own["share"], row["share"])


def test_alike_is_the_mean_of_a_layers_pairs_in_its_stage(split):
    recording, nodes, _ = split
    pairs = Correlation()(recording).frame
    layer = nodes[nodes["signal"] == "blocks.0.0"].iloc[0]
    own = pairs[(pairs["signal_a"] == "blocks.0.0") | (pairs["signal_b"] == "blocks.0.0")]
    own = own[(own["stage_a"] == layer["stage"]) & (own["stage_b"] == layer["stage"])]
    assert layer["alike"] == pytest.approx(own["energy"].mean())
    assert layer["alike_given_loss"] == pytest.approx(own["energy_given_loss"].mean(), nan_ok=True)


class There(nn.Module):
    """An encoder and decoder with a bridge: it comes back to the stage it left."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.two, self.up = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.last, self.head = nn.Conv2d(8, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        x = self.one(x)
        return self.head(self.last(torch.cat([x, self.up(self.two(x).relu())], 1)).mean((2, 3)))


class Shared(nn.Module):
    """A block whose first half is left, something else runs, and its second half ends it: drawn as one, a circle."""

    def __init__(self):
        super().__init__()
        self.stage1 = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.aside, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.stage1[1](self.aside(self.stage1[0](x))).mean((2, 3)))


NETWORKS = [
    "resnet18", "cspresnet50", "densenet121", "mobilenetv3_small_050", "hrnet_w18_small", "there", "shared",
    "swin_tiny_patch4_window7_224",
]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_it_runs_one_way_at_every_level(name):
    own = {"there": There, "shared": Shared}
    size = 224 if name.startswith("swin") else 64
    model = own[name]() if name in own else gl.load_model(name, num_classes=10, seed=0)
    recording = recorded(model, size)
    nodes, edges = MapNodes()(recording).frame.set_index("node"), MapEdges()(recording).frame
    assert set(edges["consumer"]) | set(edges["producer"]) <= set(nodes.index)
    for level in ("block", "group"):
        label = nodes[level]
        graph = nx.DiGraph()
        graph.add_edges_from(
            (label[a], label[b])
            for a, b in zip(edges["producer"], edges["consumer"], strict=True)
            if label[a] != label[b]
        )
        assert nx.is_directed_acyclic_graph(graph), level
    ends = zip(edges["producer"], edges["consumer"], strict=True)
    between = edges[[nodes["block"][a] != nodes["block"][b] for a, b in ends]]
    assert between["energy"].notna().all()  # inside attention, products of two gradients are not watched


def test_a_network_that_comes_back_to_a_stage_has_it_twice():
    groups = list(dict.fromkeys(MapNodes()(recorded(There())).frame["group"]))
    assert groups == ["2", "4", "2 (2)", "head", "loss"]


def test_in_weight_space_it_is_the_same_graph():
    recording = recorded(Split(), space="weights")
    assert len(MapNodes()(recording).frame) == len(MapNodes()(recorded(Split())).frame)
    signals = MapNodes()(recording).frame["signal"]
    assert set(signals[signals != ""]) == {
        "stem",
        "blocks.0.0",
        "blocks.0.2",
        "blocks.1.0",
        "blocks.1.2",
        "down",
        "head",
    }


def test_stages_hold_what_the_tables_say():
    """A block that stands between two stages is not counted in one of them."""
    recording = recorded(gl.load_model("resnet18", num_classes=10, zero_init=False, seed=0), 64, costs=True)
    nodes = MapNodes()(recording).frame
    cost = Cost()(recording).frame.set_index("stage")
    signals = Duplication()(recording).frame.query("version == 'energy'").set_index("stage")["signals"]
    for stage, own in nodes.groupby("group"):
        if stage in signals.index:
            assert (own["signal"] != "").sum() == signals[stage]
            assert own["flops"].sum() == cost.loc[stage, "flops"]


class Residual(nn.Module):
    """A convolution whose output forks: several watched gradients share its name."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.head((x + self.inner(x).relu()).mean((2, 3)))


def test_every_edge_watched_the_operations_show_their_signals():
    """Only rows of signals describe an operation, however many other gradients have the same name."""
    model = Residual()
    some, every = (
        MapNodes()(recorded(model, **options)).frame.set_index("node") for options in ({}, {"sites": "all"})
    )
    assert every["signal"].tolist() == some["signal"].tolist()
    for column in ("rms", "effective_rank"):
        assert np.allclose(every[column].astype(float), some[column].astype(float), equal_nan=True)
