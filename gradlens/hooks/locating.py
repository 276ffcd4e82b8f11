"""Name operations and samples: from what is seen in one pass to the sites of its plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode

from gradlens.grams.rows import in_order
from gradlens.graph.layout import BATCH_FIRST, layout
from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.owners import OUTSIDE
from gradlens.graph.sites import site_names
from gradlens.hooks.calls import Calls
from gradlens.hooks.planned import Planned
from gradlens.hooks.walking import family_of
from gradlens.recording.births import INPUTS


class Locations:
    """The sites of one pass.

    Args:
        model: the network.
        state: plan of a pass with the same operations.
        graph: graph of this pass.
        calls: the module calls of this pass.

    Attributes:
        n: samples of the batch.
    """

    def __init__(self, model: nn.Module, state: Planned, graph: Graph, calls: Calls) -> None:
        self.n, self._state, self._calls = state.n, state, calls
        self._parameters = {id(parameter): name for name, parameter in model.named_parameters()}
        names = site_names(graph, calls.owners(graph))
        self._names = {node.sequence: name for node, name in zip(graph.nodes, names, strict=True)}

    def site(self, sequence: int, operation: str, module: str | None = None) -> str:
        """Return the name of an operation; one without a node in the graph has that of its module.

        Args:
            sequence: sequence number of its node, or -1.
            operation: its name, for one without a name in the graph.
            module: path of its module, if it is known.
        """
        if sequence in self._names:
            return self._names[sequence]
        module = self._module(sequence) if module is None else module
        return f"{module or '(model)'}:{operation}"

    def site_of(self, node: AutogradNode) -> str:
        """Return the name of the operation of a live node, of a parameter, or of the inputs."""
        if hasattr(node, "variable"):
            return self._parameters.get(id(node.variable), INPUTS)
        return self.site(node._sequence_nr(), family_of(node).lower())

    def stage(self, site: str) -> str:
        """Return the stage of a site; empty if the plan has none of that name."""
        node = self._numbers.get(site)
        return "" if node is None else self._state.plan.stages[node]

    def samples(self, bad: Tensor | None, site: str, output: int = 0) -> tuple[int, ...]:
        """Return the samples in which an element of a tensor, or of its gradient, is marked.

        Args:
            bad: the marked elements.
            site: operation that makes the tensor.
            output: which of its outputs it is.

        Returns:
            Numbers of samples; empty if no axis holds them.
        """
        n, node = self.n, self._numbers.get(site)
        if bad is None or not bad.numel() or site in self._parameters.values():
            return ()
        shapes = () if node is None else self._state.plan.graph.nodes[node].shapes
        planned = output < len(shapes) and tuple(bad.shape) == shapes[output]
        known = layout(self._state.sizes, TensorKey(node or 0, output)) if planned else None
        if known is None and bad.dim() and bad.shape[0] == n:
            known = BATCH_FIRST
        if known is None:
            return ()
        rows = in_order(bad.byte(), known.rows, known.outer, n).reshape(known.outer, n, -1)
        return tuple(rows.amax((0, 2)).nonzero().flatten().tolist())

    @cached_property
    def _numbers(self) -> dict[str, int]:
        plan = self._state.plan
        return {name: node for node, name in enumerate(site_names(plan.graph, plan.owners))}

    def _module(self, sequence: int) -> str:
        spans = [span for span in self._calls.spans if span.start <= sequence < span.end]
        return spans[-1].path if spans else OUTSIDE.module


def named(sites: Sequence[str], site: str) -> tuple[str, ...]:
    """Return sites, each once, without one."""
    return tuple(dict.fromkeys(each for each in sites if each != site))
