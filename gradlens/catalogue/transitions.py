"""The transition strategies: name, formula, description, options and drawing style of each.

The classes are in ``gradlens.models.transitions``; this module needs neither torch nor matplotlib, so plots,
the command line's completion and the documentation can read it. Notation of Wang et al. 2019 (arXiv 1911.11929,
figure 3): ``p1`` bypasses the block ``B``, ``p2`` passes through it, ``T`` is a transition layer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real

from gradlens.errors import GradlensError, close_matches

STRATEGY_OF = "strategy_of"
"""Key of the strategies by network label, in the metadata of a run and in the attributes of its frames."""


@dataclass(frozen=True)
class Strategy:
    """One transition strategy.

    Attributes:
        name: as options and specifications write it (``resnet50@csp``).
        module: dotted name of its class.
        program: formula of the stage's output.
        control: the same with nothing cut off (gamma = 0): the transitions alone; empty if the strategy adds none.
        help: one sentence for the command line and the documentation.
        default: whether it is measured if no strategies are named.
        colour: of the palette; if empty, a free style of the palette is used and marker, line and hatch are ignored.
        marker: matplotlib's marker.
        line: matplotlib's line style.
        hatch: matplotlib's hatch.
    """

    name: str
    module: str
    program: str
    help: str
    control: str = ""
    default: bool = False
    colour: str = ""
    marker: str = "o"
    line: str = "-"
    hatch: str = ""


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            name="none",
            module="gradlens.models.transitions.Baseline",
            program="T(B(x))",
            help="The unchanged network, which is the baseline.",
            default=True,
            colour="#000000",
        ),
        Strategy(
            name="fusion_first",
            module="gradlens.models.transitions.FusionFirst",
            program="T(cat[p1, B(p2)])",
            help="Concatenate both branches, then apply the transition.",
            control="T(B(x))",
            default=True,
            colour="#E69F00",
            marker="s",
            line="--",
            hatch="////",
        ),
        Strategy(
            name="fusion_last",
            module="gradlens.models.transitions.FusionLast",
            program="cat[p1, T(B(p2))]",
            help="Apply the transition to the dense branch, then concatenate.",
            control="T(B(x))",
            default=True,
            colour="#56B4E9",
            marker="^",
            line="-.",
            hatch="....",
        ),
        Strategy(
            name="csp",
            module="gradlens.models.transitions.CrossStage",
            program="T_U(cat[p1, T_T(B(p2))])",
            help="Apply one transition to the dense branch and another after concatenating.",
            control="T_U(T_T(B(x)))",
            default=True,
            colour="#009E73",
            marker="D",
            hatch="xxxx",
        ),
        Strategy(
            name="no_fusion",
            module="gradlens.models.transitions.NoFusion",
            program="cat[p1, B(p2)]",
            help="Concatenate both branches without a transition.",
            colour="#CC79A7",
            marker="v",
            line=":",
            hatch="\\\\\\\\",
        ),
    )
}
"""Strategies by name; options, colours and documentation follow this order."""


def has_control(strategy: str) -> bool:
    """Return whether a strategy adds transitions, so that it can be built without a cut (gamma = 0).

    >>> has_control("csp"), has_control("no_fusion")
    (True, False)
    """
    return strategy in STRATEGIES and bool(STRATEGIES[strategy].control)


DEFAULT = tuple(strategy.name for strategy in STRATEGIES.values() if strategy.default)
"""The strategies that are measured if none are named."""

GAMMA = 0.5
GAMMA_HELP = (
    "Share of channels that bypasses the block; 0 applies the strategy's transitions and cuts nothing"
)

CONTROLS_OFF = "Do not measure the transitions of each strategy without its cut (gamma = 0)."

CONTROL = "transitions only"
"""Remark after the name of a strategy whose transitions are applied without a cut (gamma = 0)."""

PARTIALS = {"split": "cut the channels", "project": "two 1x1 convolutions"}
"""How the two parts are made, each with a description."""
PARTIAL = "split"

CUTS = {"first": "the first ones", "random": "drawn at random when the network is built, from its seed"}
"""Which channels of a split bypass the block, each with a description."""
CUT = "first"

STEMS = ("cifar",)
STEM = ""
STEM_HELP = "Use a stem that keeps the resolution of small images; by default the network's own"

OPTIONS: dict[str, tuple[str, ...]] = {
    "gamma": (f"{GAMMA:g}",),
    "partial": tuple(PARTIALS),
    "stem": STEMS,
    "cut": tuple(CUTS),
}
"""The options after the strategy in a model name, with the values of each, or an example if it is a number."""

NARROW = "narrow"
"""In place of a strategy: the baseline, narrowed until it needs as many FLOPs as a network with a strategy."""
FLOPS = "flops"
"""Option of ``NARROW`` that names the strategy of the network to match; its further options may follow."""


def check_options(
    strategy: str, gamma: float, partial: str, cut: str = CUT, known: Collection[str] = tuple(STRATEGIES)
) -> None:
    """Check the options of ``cspify``; ``known`` are the names of the strategies.

    Raises:
        GradlensError: an unknown strategy, partial or cut, gamma outside [0, 1), or 0 with a strategy that adds no
            transition, or a random cut of a network without a split.
    """
    if strategy not in known:
        names, near = ", ".join(known), close_matches(str(strategy), known)
        raise GradlensError(f"no transition strategy {strategy!r}; use one of {names}{near}")
    if partial not in PARTIALS:
        raise GradlensError(f"partial {partial!r} is not known; use one of {', '.join(PARTIALS)}")
    if cut not in CUTS:
        raise GradlensError(f"cut {cut!r} is not known; use one of {', '.join(CUTS)}")
    if cut != CUT and (strategy == "none" or gamma == 0 or partial != PARTIAL):
        raise GradlensError(
            f"cut={cut!r} chooses the channels of a split, but here nothing is split; use a strategy with gamma above "
            f"0 and partial={PARTIAL!r}, or leave it out"
        )
    if not isinstance(gamma, Real) or isinstance(gamma, bool) or not 0 <= gamma < 1:
        raise GradlensError(
            f"gamma is {_format(gamma)}; it is the share of channels that bypasses the block, at least 0 and below 1"
        )
    if gamma == 0 and strategy != "none" and partial != PARTIAL:
        raise GradlensError(
            f"gamma is 0, so nothing is cut and partial={partial!r} has no meaning; leave it out"
        )
    if gamma == 0 and strategy != "none" and not has_control(strategy):
        raise GradlensError(
            f"gamma is 0, but {strategy} adds no transition, so without a cut nothing would change; use a strategy "
            "that adds one, or gamma above 0"
        )


def _format(gamma: object) -> str:
    return f"{gamma:g}" if isinstance(gamma, float) else repr(gamma)


def split_strategy(name: str) -> tuple[str, str]:
    """Split a model name at its ``@`` into the model and the strategy with its options.

    The second part is empty if the name has no strategy; a path may contain an ``@``.

    >>> split_strategy("resnet50@csp,gamma=0.25"), split_strategy("nets/a@b.py:small")
    (('resnet50', 'csp,gamma=0.25'), ('nets/a@b.py:small', ''))
    """
    base, mark, text = name.rpartition("@")
    if not mark or any(part in text for part in ("/", ".py", ".cfg")):
        return name, ""
    return base, text


def strategy_in(label: str) -> str:
    """Return the strategy in the display name of a network: a model name, perhaps followed by a remark in brackets.

    >>> strategy_in("resnet50@csp,gamma=0.25 [last.pt]"), strategy_in("cspresnet50")
    ('csp', '')
    """
    name = label.rpartition(" [")[0] if label.endswith("]") else label
    return split_strategy(name or label)[1].partition(",")[0].strip()


def strategies_by_label(meta: Mapping[str, object]) -> dict[str, str]:
    """Return the strategies of a run by the label of each network, if its metadata has them.

    >>> strategies_by_label({"strategies": ["none", "csp γ=0.25"], "names": ["net@none", "net@csp,gamma=0.25"]})
    {'none': 'none', 'csp γ=0.25': 'csp'}
    """
    direct = meta.get(STRATEGY_OF)
    if isinstance(direct, Mapping):
        return dict(direct)
    labels, names = meta.get("strategies"), meta.get("names")  # runs of older versions
    if not isinstance(labels, (list, tuple)) or not isinstance(names, (list, tuple)):
        return {}
    return {str(label): strategy_in(str(name)) for label, name in zip(labels, names, strict=False)}
