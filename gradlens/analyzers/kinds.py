"""The kinds of conspicuous sites: one entry each, with its threshold and its words."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from gradlens.graph.alike import ADDED, POOLED

DUPLICATED = 0.5
"""Smallest CKA of a duplicated pair."""
IDLE = 0.01
"""Share of energy below which a branch is idle."""
CANCELLING = 0.5
"""Coherence below which the contributions of a fork cancel."""
OUTLYING = 100.0
"""Ratio to the median RMS beyond which a signal explodes or vanishes."""
SILENT_CALL = "silent call"
"""Kind of a call without a gradient, of a layer that has one at other calls."""
DUPLICATED_PAIR = "duplicated pair"
"""Kind of a pair of similar signals."""


class Of(Enum):
    """What a row is about."""

    LAYER = "a layer"
    PAIR = "two layers"
    FORK = "a fork or split, or one of its branches"
    STEPS = "two steps of a recurrence"


class Kind(NamedTuple):
    """A kind of conspicuous site.

    Attributes:
        meaning: definition, with its threshold.
        words: what it means for the site, in plain words.
        of: what a row of this kind is about.
        falling: the largest value is the strongest.
    """

    meaning: str
    words: str
    of: Of = Of.LAYER
    falling: bool = False


ALIKE = {ADDED: "both feed one addition", POOLED: "only a pooling between"}
"""Kinds of pairs that are alike by construction, by the reason; they say nothing about a network."""
KINDS = {
    "dead signal": Kind(
        "exactly zero in every sample: the layer receives no gradient, at no call",
        "no gradient arrives, so it does not learn",
    ),
    "exploding along time": Kind(
        f"a recurrence carries back to its first step more than {OUTLYING:g} times the gradient at its last step",
        "explodes along time",
        Of.STEPS,
        falling=True,
    ),
    "vanishing along time": Kind(
        f"a recurrence carries back to its first step less than 1/{OUTLYING:g} of the gradient at its last step",
        "vanishes along time",
        Of.STEPS,
    ),
    "exploding signal": Kind(
        f"RMS per element above {OUTLYING:g} times the median of the live signals before the pooling",
        "the gradient is far larger than in most layers",
        falling=True,
    ),
    "vanishing signal": Kind(
        f"RMS per element below 1/{OUTLYING:g} of the median of the live signals before the pooling",
        "the gradient is far smaller than in most layers",
    ),
    "cancelling fork": Kind(
        f"the contributions cancel: less than {CANCELLING:g} of their energy is left (1 if they are unrelated)",
        "the gradients of its branches cancel each other",
        Of.FORK,
    ),
    "idle branch": Kind(
        f"contributes less than {IDLE:.0%} of the energy that arrives at its fork or split",
        "hardly any gradient comes through this branch",
        Of.FORK,
    ),
    DUPLICATED_PAIR: Kind(
        f"the gradients of these two layers are similar (CKA, energy: at least {DUPLICATED:g}; 1 for copies); "
        "'given the loss' is the similarity that is left after partialling out the loss signal",
        "similar gradients",
        Of.PAIR,
        falling=True,
    ),
    "one gradient": Kind(
        "exactly the same gradient up to a factor, as in layers whose outputs are added",
        "the same gradient, as at the inputs of an addition",
        Of.PAIR,
    ),
    SILENT_CALL: Kind(
        "exactly zero in every sample at this call, of a layer that receives a gradient at other calls",
        "no gradient arrives at this call, as at a level without objects; the layer has one at its other calls",
    ),
    ALIKE[ADDED]: Kind(
        "the outputs of these two layers are added (at most a normalisation is between), and an addition passes one "
        "gradient to all its inputs",
        "alike by construction: both feed one addition",
        Of.PAIR,
        falling=True,
    ),
    ALIKE[POOLED]: Kind(
        "only normalisation, activation and pooling are between this layer and the head, so its gradient is that of "
        "the head, spread over the positions",
        "alike by construction: only a pooling is between them",
        Of.PAIR,
        falling=True,
    ),
}
"""Kinds of rows, in the order in which they are shown: the most urgent first."""
