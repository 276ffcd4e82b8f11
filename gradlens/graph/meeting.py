"""Where the paths from several operations to the loss meet: post-dominators in time linear in the graph.

The immediate post-dominators form a tree with the loss as its root, and paths meet at the lowest common ancestor. Each
node has a second link, to an ancestor further up, so that the way up a chain of 1,000 steps takes few links (Myers, "An
applicative random-access stack", 1983).
"""

from __future__ import annotations

from collections.abc import Iterable

from gradlens.graph.nodes import Graph


class PostDominators:
    """The tree of immediate post-dominators of a graph: the operations that every path to the loss passes through."""

    def __init__(self, graph: Graph) -> None:
        self._parent, self._link, self._height = {0: 0}, {0: 0}, {0: 0}
        for index in reversed(graph.forward_order):
            if index:
                readers = [edge.consumer for edge in graph.readers.get(index, ())]
                self._add(index, self.meet(readers) if readers else 0)

    def meet(self, nodes: Iterable[int]) -> int:
        """Return the first operation that every path from these nodes to the loss passes through."""
        first, *rest = nodes
        for node in rest:
            first = self._meet_of_two(first, node)
        return first

    def _add(self, node: int, parent: int) -> None:
        link = self._link[parent]
        height = self._height
        even = height[parent] - height[link] == height[link] - height[self._link[link]]
        self._parent[node], self._height[node] = parent, height[parent] + 1
        self._link[node] = self._link[link] if even else parent

    def _meet_of_two(self, first: int, second: int) -> int:
        height = self._height
        low, high = sorted((first, second), key=height.__getitem__)
        while height[high] > height[low]:
            linked = self._link[high]
            high = linked if height[linked] >= height[low] else self._parent[high]
        while low != high:
            apart = self._link[low] != self._link[high]
            links = self._link if apart else self._parent
            low, high = links[low], links[high]
        return low
