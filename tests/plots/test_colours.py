"""The same thing has the same colour everywhere."""

from matplotlib.colors import to_rgb

from gradlens.plots.colours import BRANCHES, POSITIONS, STRATEGIES, branch_colours, styles


def test_the_colours_of_strategies_are_fixed():
    assert {name: style.colour for name, style in STRATEGIES.items()} == {
        "none": "#000000",
        "fusion_first": "#E69F00",
        "fusion_last": "#56B4E9",
        "csp": "#009E73",
        "no_fusion": "#CC79A7",
    }


def test_a_strategy_keeps_its_colour_whatever_its_place():
    one = styles(["densenet [none]", "densenet [csp]"])
    other = styles(["densenet [csp]", "densenet [fusion_last]", "densenet [none]"])
    assert one["densenet [csp]"] == other["densenet [csp]"] == STRATEGIES["csp"]


def test_two_networks_of_one_strategy_share_its_colour_and_differ_in_marker_and_line():
    first, second = styles(["resnet [csp]", "vgg [csp]"]).values()
    assert first == STRATEGIES["csp"]
    assert second.colour == first.colour
    assert second.marker != first.marker
    assert second.line != first.line


def test_a_name_that_only_contains_the_letters_is_no_strategy():
    assert styles(["cspresnet50"])["cspresnet50"] == POSITIONS[0]


def test_styles_differ_without_colour():
    for family in (list(STRATEGIES.values()), POSITIONS):
        assert len({style.marker for style in family}) == len(family)
        assert len({style.hatch for style in family}) == len(family)


def test_branches_that_meet_differ_in_grey():
    def lightness(colour):
        red, green, blue = to_rgb(colour)
        return 0.30 * red + 0.59 * green + 0.11 * blue

    for a, b in (("residual", "skip"), ("bypass", "dense")):
        assert abs(lightness(BRANCHES[a]) - lightness(BRANCHES[b])) > 0.15


def test_many_branches_get_as_many_colours():
    assert len(set(branch_colours([f"layer{i}" for i in range(24)]))) == 24
