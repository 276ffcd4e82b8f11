"""Post-dominators: as networkx finds them, and in a time that grows with the graph."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from gradlens.graph.meeting import PostDominators
from gradlens.graph.nodes import Edge, Graph, Node


def random_graph(size: int, seed: int) -> Graph:
    """A graph in which every node reaches the loss, node 0; readers have lower numbers."""
    draw = random.Random(seed)
    edges = [
        Edge(reader, slot, index, 0)
        for index in range(1, size)
        for slot, reader in enumerate({draw.randrange(index) for _ in range(draw.choice([1, 1, 2, 3]))})
    ]
    return Graph(tuple(Node("Relu", size - index, ((4, 2),)) for index in range(size)), tuple(edges))


@pytest.mark.parametrize("seed", range(20))
def test_paths_meet_at_the_lowest_common_post_dominator(seed):
    graph = random_graph(60, seed)
    digraph = nx.DiGraph((edge.consumer, edge.producer) for edge in graph.edges)
    above = {**nx.immediate_dominators(digraph, 0), 0: None}

    def post_dominators(node: int | None) -> list[int]:
        chain = []
        while node is not None:
            chain.append(node)
            node = above[node]
        return chain

    tree, draw = PostDominators(graph), random.Random(seed)
    for _ in range(100):
        nodes = draw.choices(range(60), k=draw.choice([1, 2, 3]))
        shared = set.intersection(*(set(post_dominators(node)) for node in nodes))
        assert tree.meet(nodes) == next(node for node in post_dominators(nodes[0]) if node in shared)


def test_the_way_up_a_long_chain_takes_few_links():
    size = 20_000
    graph = Graph(
        tuple(Node("Relu", size - index, ((4, 2),)) for index in range(size)),
        tuple(Edge(index - 1, 0, index, 0) for index in range(1, size)),
    )
    tree, steps = PostDominators(graph), [0]

    class Counted(dict[int, int]):
        def __getitem__(self, key: int) -> int:
            steps[0] += 1
            return super().__getitem__(key)

    tree._link = Counted(tree._link)
    assert tree.meet([size - 1, 7]) == 7
    assert steps[0] < 100
