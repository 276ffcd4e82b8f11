"""Strategies, networks and branches have the same colour in all figures."""

import pytest
from matplotlib.colors import to_rgb

from gradlens.catalogue import transitions
from gradlens.catalogue.transitions import Strategy
from gradlens.plots.colours import (
    BRANCHES,
    POSITIONS,
    STRATEGIES,
    branch_colours,
    strategies_of,
    styles,
    styles_in,
)
from gradlens.results import Result, Table, load


def test_the_colours_of_strategies_are_fixed():
    assert {name: style.colour for name, style in STRATEGIES.items()} == {
        "none": "#000000",
        "fusion_first": "#E69F00",
        "fusion_last": "#56B4E9",
        "csp": "#009E73",
        "no_fusion": "#CC79A7",
    }


def test_a_strategy_has_the_same_colour_at_any_position():
    first = styles(["densenet121@none", "densenet121@csp"])
    second = styles(["densenet121@csp", "densenet121@fusion_last", "densenet121@none"])
    assert first["densenet121@csp"] == second["densenet121@csp"] == STRATEGIES["csp"]


def test_two_networks_of_one_strategy_share_its_colour_and_differ_in_marker_and_line():
    first, second = styles(["resnet50@csp", "vgg16@csp"]).values()
    assert first == STRATEGIES["csp"]
    assert second.colour == first.colour
    assert second.marker != first.marker
    assert second.line != first.line


def test_a_name_that_only_contains_a_strategy_is_not_one():
    assert styles(["cspresnet50"])["cspresnet50"] == POSITIONS[0]


def test_an_unknown_strategy_gets_an_unused_style_and_the_others_keep_theirs():
    known = styles(list(STRATEGIES))
    extended = styles([*STRATEGIES, "mine γ=0.25", "yours"])
    assert {name: extended[name] for name in STRATEGIES} == known == STRATEGIES
    for name in ("mine γ=0.25", "yours"):
        assert extended[name].colour not in {style.colour for style in known.values()}
        assert extended[name].marker not in {style.marker for style in known.values()}
    assert extended["mine γ=0.25"] != extended["yours"]


def test_a_new_strategy_without_a_colour_gets_an_unused_one(monkeypatch):
    new = Strategy("mine", "mine.Transition", "B(x)", "A trial.")
    monkeypatch.setitem(transitions.STRATEGIES, "mine", new)
    first, alone = styles(["none", "mine"]), styles(["net@mine"])
    assert first["none"] == STRATEGIES["none"]
    assert first["mine"] == alone["net@mine"]
    assert first["mine"].colour not in {style.colour for style in STRATEGIES.values()}


@pytest.mark.parametrize(
    ("label", "strategy"),
    [
        ("resnet50@csp", "csp"),
        ("resnet50@csp,gamma=0.25 [runs/last.pt]", "csp"),
        ("csp γ=0.25 project", "csp"),
        ("nets/a@b.py:csp", ""),
        ("fusion csp", ""),
        ("my-csp", ""),
    ],
)
def test_the_strategy_of_a_network_is_read_from_its_name(label, strategy):
    assert strategies_of([label], {}) == {label: strategy}


@pytest.mark.parametrize(
    "meta",
    [
        {"strategy_of": {"a": "csp", "b": "none"}},
        {"strategies": ["a", "b"], "names": ["net@csp,gamma=0.25", "net@none"]},
    ],
)
def test_the_metadata_of_a_result_give_the_strategies_of_networks(meta, frames, tmp_path):
    original = Result({"flow": Table("flow", frames(("a", "b"))["flow"], "")}, meta, "")
    original.save(tmp_path)
    for result in (original, load(tmp_path)):
        frame = result["flow"].frame
        assert styles_in(frame) == {"a": STRATEGIES["csp"], "b": STRATEGIES["none"]}
        assert styles_in(frame[frame["network"] == "b"]) == {"b": STRATEGIES["none"]}


def test_styles_differ_without_colour():
    for family in (list(STRATEGIES.values()), POSITIONS):
        assert len({style.marker for style in family}) == len(family)
        assert len({style.hatch for style in family}) == len(family)


def test_branches_of_one_fork_differ_in_lightness():
    def lightness(colour):
        red, green, blue = to_rgb(colour)
        return 0.30 * red + 0.59 * green + 0.11 * blue

    for a, b in (("residual", "skip"), ("bypass", "dense")):
        assert abs(lightness(BRANCHES[a]) - lightness(BRANCHES[b])) > 0.15


def test_many_branches_have_different_colours():
    assert len(set(branch_colours([f"layer{i}" for i in range(24)]))) == 24
