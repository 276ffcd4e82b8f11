"""The network map: its nodes, its direction, and edges with the measured energy."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers.branches import Shares
from gradlens.analyzers.conflicts import Conflicts
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.cost import Cost
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.losses import Ledger
from gradlens.analyzers.map import MapEdges, MapNodes

N = 8


def record(model, size=32, **options):
    torch.manual_seed(0)
    batches = [(torch.randn(N, 3, size, size), torch.randint(0, 10, (N,))) for _ in range(2)]
    return gl.capture(model, batches, **{"costs": False, **options})


class Split(nn.Module):
    """A partial split by ``chunk``: one part bypasses two blocks, then both are joined; a view before the head."""

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
    recording = record(Split())
    return recording, MapNodes()(recording).frame, MapEdges()(recording).frame


def test_blocks_are_numbered_modules_and_joining_operations_are_separate(split):
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
    """Return the mean squared norm per sample of the summed loss's gradient at a module's output."""
    energies = []
    for inputs, targets in batches:
        kept = {}

        def keep(module, arguments, output, kept=kept):
            output.retain_grad()
            kept["output"] = output

        handle = dict(model.named_modules())[path].register_forward_hook(keep)
        nn.functional.cross_entropy(model(inputs), targets, reduction="sum").backward()
        handle.remove()
        energies.append(float(kept["output"].grad.square().sum()) / N)
    return float(np.mean(energies))


def test_the_energy_of_an_edge_is_that_of_its_gradient():
    torch.manual_seed(0)
    model = Split()
    torch.manual_seed(0)
    batches = [(torch.randn(N, 3, 32, 32), torch.randint(0, 10, (N,))) for _ in range(2)]
    recording = gl.capture(model, batches, costs=False)
    nodes, edges = MapNodes()(recording).frame, MapEdges()(recording).frame
    by_site = nodes.set_index("site")["node"]
    for path in ("stem", "down", "blocks.0.2", "blocks.1.0"):
        outgoing = edges[edges["producer"] == by_site[f"{path}:conv"]]
        assert outgoing["measured"].all()
        assert outgoing["energy"].sum() == pytest.approx(truth(model, batches, path), rel=1e-4)


def test_a_concatenations_energy_is_the_sum_of_its_inputs(split):
    _, nodes, edges = split
    by_site = nodes.set_index("site")["node"]
    out = edges[edges["producer"] == by_site["(model):cat"]]
    into = edges[edges["consumer"] == by_site["(model):cat"]]
    assert len(into) == 2
    assert out["energy"].item() == pytest.approx(into["energy"].sum(), rel=1e-9)
    assert out["measured"].item() == into["measured"].all()


def test_unwatched_edges_are_marked(split):
    _, nodes, edges = split
    by_site = nodes.set_index("site")["node"]
    relu = edges[edges["producer"] == by_site["blocks.0.1:relu"]]
    conv = edges[edges["producer"] == by_site["blocks.0.0:conv"]]
    assert not relu["measured"].item()
    assert relu["energy"].item() == conv["energy"].item()
    everything = MapEdges()(record(Split(), sites="all")).frame
    assert everything["measured"].all()


def test_edges_of_forks_and_splits_have_the_shares(split):
    recording, _, edges = split
    shares = Shares()(recording).frame
    for row in shares[shares["where"] != "merge"].to_dict("records"):
        branch_edges = edges[(edges["fork"] == row["site"]) & (edges["branch"] == row["branch"])]
        assert len(branch_edges) >= 1
        assert np.allclose(branch_edges["share"], row["share"])


class ForkedPart(Split):
    """The part that does not bypass is also read by a second operation: a dense layer."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(12, 8, 3, stride=2, padding=1)

    def forward(self, x):
        first, second = self.stem(x).chunk(2, 1)
        x = self.down(torch.cat([first, second, self.blocks(second)], 1).relu())
        return self.head(x.mean((2, 3)))


def test_an_edge_of_a_part_that_several_operations_read_has_its_share_of_that_fork():
    """Shares of the edges of one fork add up to 1; the part's share in the split belongs to none of them."""
    recording = record(ForkedPart())
    nodes, edges = MapNodes()(recording).frame, MapEdges()(recording).frame
    split = nodes.set_index("site").loc["(model):split", "node"]
    leaving = edges[edges["producer"] == split]
    of_fork = leaving[leaving["fork"] == "(model):partial split, dense"]
    assert len(leaving) == 3
    assert len(of_fork) == 2
    assert of_fork["share"].tolist() == pytest.approx((of_fork["energy"] / of_fork["energy"].sum()).tolist())
    bypass = leaving[leaving["branch"] == "bypass"].set_index("fork").loc["(model):partial split", "share"]
    shares = Shares()(recording).frame.set_index(["site", "where", "branch"])["share"]
    assert bypass == pytest.approx(shares["(model):partial split", "split", "bypass"])


def test_alike_is_the_mean_similarity_of_a_layers_pairs_in_its_stage(split):
    recording, nodes, _ = split
    pairs = Correlation()(recording).frame
    layer = nodes[nodes["signal"] == "blocks.0.0"].iloc[0]
    rows = pairs[(pairs["signal_a"] == "blocks.0.0") | (pairs["signal_b"] == "blocks.0.0")]
    rows = rows[(rows["stage_a"] == layer["stage"]) & (rows["stage_b"] == layer["stage"])]
    assert layer["alike"] == pytest.approx(rows["energy"].mean())
    assert layer["alike_given_loss"] == pytest.approx(rows["energy_given_loss"].mean(), nan_ok=True)


class EncoderDecoder(nn.Module):
    """An encoder and a decoder with a bridge: it returns to the first stage."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.two, self.up = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.last, self.head = nn.Conv2d(8, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        x = self.one(x)
        return self.head(self.last(torch.cat([x, self.up(self.two(x).relu())], 1)).mean((2, 3)))


class Interleaved(nn.Module):
    """A block with another layer between its halves: drawn as one node, it would make a cycle."""

    def __init__(self):
        super().__init__()
        self.stage1 = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.aside, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.stage1[1](self.aside(self.stage1[0](x))).mean((2, 3)))


NETWORKS = [
    "resnet18", "cspresnet50", "densenet121", "mobilenetv3_small_050", "hrnet_w18_small",
    "encoder_decoder", "interleaved", "swin_tiny_patch4_window7_224",
]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_map_is_acyclic_at_every_level(name):
    custom = {"encoder_decoder": EncoderDecoder, "interleaved": Interleaved}
    size = (
        112 if name.startswith("swin") else 64
    )  # of 7 x 7 windows, shifted in half of the blocks of two stages
    model = custom[name]() if name in custom else gl.load_model(name, num_classes=10, image_size=size, seed=0)
    recording = record(model, size)
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


def test_a_network_that_returns_to_a_stage_has_it_twice():
    groups = list(dict.fromkeys(MapNodes()(record(EncoderDecoder())).frame["group"]))
    assert groups == ["2", "4", "2 (2)", "head", "loss"]


def test_weight_space_has_the_same_graph():
    recording = record(Split(), space="weights")
    assert len(MapNodes()(recording).frame) == len(MapNodes()(record(Split())).frame)
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


def test_stages_agree_with_the_tables():
    """A block between two stages is counted in neither."""
    recording = record(gl.load_model("resnet18", num_classes=10, seed=0), 64, costs=True)
    nodes = MapNodes()(recording).frame
    cost = Cost()(recording).frame.set_index("stage")
    signals = Duplication()(recording).frame.query("version == 'energy'").set_index("stage")["signals"]
    for stage, stage_nodes in nodes.groupby("group"):
        if stage in signals.index:
            assert (stage_nodes["signal"] != "").sum() == signals[stage]
            assert stage_nodes["flops"].sum() == cost.loc[stage, "flops"]


class Residual(nn.Module):
    """A convolution whose output forks: several watched gradients share its name."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.head((x + self.inner(x).relu()).mean((2, 3)))


def test_operations_show_their_signals_also_with_all_edges_watched():
    """Only rows of signals describe an operation, however many other gradients have the same name."""
    model = Residual()
    default, all_sites = (
        MapNodes()(record(model, **options)).frame.set_index("node") for options in ({}, {"sites": "all"})
    )
    assert all_sites["signal"].tolist() == default["signal"].tolist()
    for column in ("rms", "effective_rank"):
        assert np.allclose(all_sites[column].astype(float), default[column].astype(float), equal_nan=True)


def test_layers_have_the_share_of_each_loss_and_the_conflict_of_each_pair():
    """Both are those of the tables of losses; a head that one loss does not read has a share of 0."""

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 6, 3, stride=2)
            self.kind, self.box = nn.Linear(6, 4), nn.Linear(6, 2)

        def forward(self, x):
            pooled = self.stem(x).relu().mean((2, 3))
            return self.kind(pooled), self.box(pooled)

    def step(model, batch):
        kind, box = model(batch[0])
        return {"kind": nn.functional.cross_entropy(kind, batch[1] % 4), "box": 3 * box.square().mean()}

    recording = record(Heads(), size=16, step=step)
    nodes = MapNodes()(recording).frame.set_index("signal")
    assert nodes.loc["kind", ["share of kind", "share of box"]].tolist() == [1, 0]
    assert nodes.loc["box", ["share of kind", "share of box"]].tolist() == [0, 1]
    shares = (
        Ledger()(recording).frame.query("level == 'signal' and where == 'stem'").set_index("loss")["share"]
    )
    assert nodes.loc["stem", ["share of kind", "share of box"]].tolist() == shares[["kind", "box"]].tolist()
    conflict = Conflicts()(recording).frame.query("level == 'signal' and where == 'stem'")["conflict"].item()
    assert nodes.loc["stem", "conflict of kind | box"] == conflict
    assert nodes.loc["", "share of kind"].isna().all()


def test_a_network_of_one_loss_has_no_columns_of_losses(split):
    assert not [name for name in split[1] if name.startswith(("share of", "conflict of"))]
