"""Say where a value that is NaN or infinite was born, from what was seen in a forward and a backward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

from gradlens.graph.owners import OUTSIDE
from gradlens.graph.stage_order import LOSS
from gradlens.hooks.locating import Locations, named
from gradlens.hooks.spreading import Spreading
from gradlens.hooks.tracing import Made, Place, Tracing
from gradlens.recording.births import BACKWARD, FORWARD, INFINITY, NAN, Birth


@dataclass(frozen=True)
class Operation:
    """A node of the graph, in words; it refers to no live node.

    Attributes:
        site: its name.
        inputs: what each of its inputs is made by, and which output of that it is.
    """

    site: str
    inputs: tuple[tuple[str, int], ...]


def operations(nodes: Sequence[AutogradNode], locations: Locations) -> list[Operation]:
    """Return the operations of live nodes."""
    return [
        Operation(
            locations.site_of(node),
            tuple(
                ("" if producer is None else locations.site_of(producer), output)
                for producer, output in node.next_functions
            ),
        )
        for node in nodes
    ]


def born_forward(tracing: Tracing, outputs: Sequence[Tensor], locations: Locations) -> Birth | None:
    """Return where what is not finite in the outputs comes from; None if they are finite, or hold constants only."""
    made = tracing.origin(outputs)
    return None if made is None else _made(made, locations)


def born_backward(
    spreading: Spreading, nodes: Sequence[Operation], locations: Locations, backward: int, tracing: Tracing
) -> Birth | None:
    """Return where the first gradient that is not finite was made; None if all are finite.

    Args:
        spreading: what was seen in the backward pass.
        nodes: its operations.
        locations: the sites of the pass.
        backward: number of the backward pass.
        tracing: what was seen in the forward pass.
    """
    if spreading.first is None:
        return None
    site, (producer, output) = nodes[spreading.first].site, ("", spreading.output)
    if spreading.slot is not None:
        producer, output = nodes[spreading.first].inputs[spreading.slot]
    outside = spreading.slot is None
    earlier = [_made(made, locations) for made in tracing.made if made.swallowed]
    return Birth(
        direction=BACKWARD,
        site=OUTSIDE.module if outside else site,
        kind=NAN if spreading.is_nan else INFINITY,
        dtype=spreading.dtype,
        samples=locations.samples(spreading.bad, site if outside else producer, output),
        n=locations.n,
        stage=LOSS if outside else locations.stage(site),
        slot=spreading.slot,
        producer=producer,
        backward=backward,
        largest=spreading.largest,
        spread=named([nodes[node].site for node in spreading.spread], site if not outside else ""),
        swallowed=named([nodes[node].site for node in spreading.swallowed], ""),
        earlier=next((birth for birth in earlier if birth.site == site), earlier[0] if earlier else None),
    )


def _made(made: Made, locations: Locations) -> Birth:
    site = _site(made.place, locations)
    return Birth(
        direction=FORWARD,
        site=site,
        kind=made.kind,
        dtype=made.dtype,
        samples=locations.samples(made.bad, site),
        n=locations.n,
        stage=locations.stage(site),
        largest=made.largest if math.isfinite(made.largest) else math.nan,
        source="" if made.source is None else _site(made.source, locations),
        spread=named([_site(place, locations) for place in made.spread], site),
        swallowed=named([_site(place, locations) for place in made.swallowed], site),
        before=isinstance(made.place, str),
    )


def _site(place: Place | str, locations: Locations) -> str:
    if isinstance(place, str):
        return place
    return locations.site(place.sequence, place.operation, place.module)
