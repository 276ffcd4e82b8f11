"""Parts, forks and paths of cross stage partial networks, checked against closed forms."""

from __future__ import annotations

import functools
from math import comb
from typing import Any

import pytest
import torch
from oracles.paths import lengths, paths
from timm.models.densenet import DenseNet
from torch import Tensor, nn

import gradlens as gl
from gradlens.graph.branches import Branches
from gradlens.graph.plan import Plan
from gradlens.models import cspify, load_model

LAYERS = (2, 3, 4)  # dense layers of each block
BLOCKS = 2  # residual blocks of each of ResNet-18's four stages
STRATEGIES = ("fusion_first", "fusion_last", "csp")


def dense_net() -> nn.Module:
    torch.manual_seed(0)
    return DenseNet(growth_rate=4, block_config=LAYERS, num_classes=3)


def res_net() -> nn.Module:
    return load_model("resnet18", num_classes=3, seed=0)


NETWORKS = {"resnet": res_net, "densenet": dense_net}


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [(torch.randn(4, 3, 64, 64, generator=generator), torch.arange(4) % 3)]


@functools.cache
def plan(network: str, strategy: str, partial: str = "split", gamma: float = 0.5) -> Plan:
    model = cspify(NETWORKS[network](), strategy, partial=partial, gamma=gamma, seed=0)
    return gl.capture(model, batches(), meta={"network": network}, costs=False).plan


def groups(network_plan: Plan, where: str) -> list[Any]:
    return [group for group in network_plan.groups if group.where == where]


STAGES = {"resnet": ["4", "8", "16", "32"], "densenet": ["4", "8", "16"]}


@pytest.mark.parametrize("partial", ["split", "project"])
@pytest.mark.parametrize(
    ("network", "strategy"),
    [*((network, strategy) for network in NETWORKS for strategy in STRATEGIES), ("resnet", "no_fusion")],
)
def test_each_cut_stage_is_one_partial_split_into_bypass_and_dense(
    network: str, partial: str, strategy: str
) -> None:
    splits = groups(plan(network, strategy, partial), "split")
    assert [group.stage for group in splits] == STAGES[network]
    assert {group.form for group in splits} == {partial}
    for group in splits:
        assert sorted(group.labels) == ["bypass", "dense"]
        if partial == "split":
            (first, bypass_end, _), (dense_start, _, _) = group.channels
            assert group.labels == ("bypass", "dense")
            assert (first, bypass_end) == (0, dense_start)
    assert len(groups(plan(network, strategy, partial), "merge")) == len(splits)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_baseline_has_no_parts(network: str) -> None:
    assert groups(plan(network, "none"), "split") == []


@pytest.mark.parametrize("gamma", [0.25, 0.5, 0.75])
def test_gamma_is_the_share_of_channels_in_the_bypass(gamma: float) -> None:
    widths = [64, 128, 256, 512]
    splits = groups(plan("resnet", "csp", gamma=gamma), "split")
    assert [group.channels for group in splits] == [
        ((0, int(gamma * c), 1), (int(gamma * c), c, 1)) for c in widths
    ]


@pytest.mark.parametrize("partial", ["split", "project"])
@pytest.mark.parametrize("strategy", ["none", *STRATEGIES])
def test_a_resnet_has_one_fork_per_block_and_one_more_per_projected_stage(
    strategy: str, partial: str
) -> None:
    """The block and the shortcut read the input of each block; a split counts as one reader."""
    forks = groups(plan("resnet", strategy, partial), "fork")
    projected = 4 if partial == "project" and strategy != "none" else 0
    assert len(forks) == 4 * BLOCKS + projected
    assert all(len(fork.members) == 2 for fork in forks)
    assert sum(fork.kind == "residual" for fork in forks) == 4 * BLOCKS


@pytest.mark.parametrize("strategy", ["none", *STRATEGIES])
def test_a_dense_block_of_l_layers_has_l_forks_of_two_to_l_plus_1_branches(strategy: str) -> None:
    """``x_i`` is read by the concatenations before layers ``i + 1 … L`` and by the last one: ``L − i + 1``."""
    forks = groups(plan("densenet", strategy), "fork")
    assert len(forks) == sum(LAYERS)
    for stage, depth in zip(STAGES["densenet"], LAYERS, strict=True):
        branches = [len(fork.members) for fork in forks if fork.stage == stage]
        assert branches == list(range(depth + 1, 1, -1))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_projected_dense_stage_has_one_more_fork(strategy: str) -> None:
    assert len(groups(plan("densenet", strategy, "project"), "fork")) == sum(LAYERS) + len(LAYERS)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_dense_stage_has_2_to_the_l_gradient_paths_and_one_through_the_bypass(strategy: str) -> None:
    """``x_i`` has as many paths as all earlier features together: 1, 1, 2, 4 …, hence 2^L in total."""
    graph = plan("densenet", strategy).graph
    splits = Branches(graph).splits
    assert len(splits) == len(LAYERS)
    for split, depth in zip(splits, LAYERS, strict=True):
        counts = {
            label: paths(graph, split.merge, part.key)
            for label, part in zip(split.labels, split.parts, strict=True)
        }
        assert counts == {"bypass": 1, "dense": 2**depth}
        assert paths(graph, split.merge, split.source) == 2**depth + 1


@pytest.mark.parametrize(("strategy", "transition"), [("fusion_first", 0), ("fusion_last", 1), ("csp", 1)])
def test_the_paths_of_a_dense_stage_have_binomial_lengths(strategy: str, transition: int) -> None:
    """A path takes any of the L layers, two convolutions each, and the transition before the merge."""
    graph = plan("densenet", strategy).graph
    for split, depth in zip(Branches(graph).splits, LAYERS, strict=True):
        (dense,) = [
            part.key for part, label in zip(split.parts, split.labels, strict=True) if label == "dense"
        ]
        assert lengths(graph, split.merge, dense) == {
            2 * passed + transition: comb(depth, passed) for passed in range(depth + 1)
        }


def test_a_dense_block_of_the_baseline_has_2_to_the_l_paths() -> None:
    graph = plan("densenet", "none").graph
    forks = [fork for fork in Branches(graph).forks if fork.kind == "dense"]
    firsts = [forks[sum(LAYERS[:index])] for index in range(len(LAYERS))]  # x_0 of each block
    assert [paths(graph, fork.merge, fork.source) for fork in firsts] == [2**depth for depth in LAYERS]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_residual_stage_has_2_to_the_m_paths_and_one_through_the_bypass(strategy: str) -> None:
    """In ResNet-18, two blocks follow the cut in the first stage, and one block in each other stage."""
    graph = plan("resnet", strategy).graph
    counts = [paths(graph, split.merge, split.source) for split in Branches(graph).splits]
    assert counts == [2**BLOCKS + 1, *[2 ** (BLOCKS - 1) + 1] * 3]
