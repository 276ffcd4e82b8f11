"""The network map as a value: its networks, the difference that it starts with, and the words of its quantities."""

import json
import re

import pandas as pd
import pytest

from gradlens import GradlensError, Table
from gradlens.catalogue.mapped import MAP_QUANTITIES, SIGNAL_QUANTITIES
from gradlens.catalogue.quantities import QUANTITIES
from gradlens.report.charts import FLOW
from gradlens.results import Result
from gradlens.showing import NetworkMap
from gradlens.showing.embedding import MAP, script, table_data

NODES = pd.DataFrame(
    {"network": ["a", "a", "b", "c"], "alike": [0.5, 0.25, 1.0, 0.0], "flops": [1.0, 2.0, 3.0, 4.0]}
)


def tables(*names: str) -> dict[str, Table]:
    frame = NODES[NODES["network"].isin(names)]
    return {name: Table(name, frame.assign(site="x"), "") for name in ("map_nodes", "map_edges")}


def asked(view: NetworkMap) -> object:
    """Return the two names in the page, or None."""
    match = re.search(r'data-difference="([^"]*)"', view.page())
    return json.loads(match[1].replace("&#34;", '"')) if match else None


def test_a_map_starts_with_the_networks_or_the_difference_that_is_asked_for():
    result = Result(tables("a", "b", "c"), {}, "")
    assert asked(result.map()) is None
    assert asked(result.map(difference=True)) == ["a", "b"]
    assert asked(result.map(difference=("c", "a"))) == ["c", "a"]
    assert (
        repr(result.map(difference=("c", "a")))
        == "NetworkMap(a minus c: 4 operations; save(path) writes a page)"
    )
    assert repr(result.map()) == "NetworkMap(a, b, c: 4 operations; save(path) writes a page)"


@pytest.mark.parametrize("difference", [("a", "d"), ("a",), ("a", "b", "c"), ("a", "a"), "ab", []])
def test_a_difference_needs_two_networks_of_the_map(difference):
    with pytest.raises(GradlensError, match="a difference needs two of its networks") as error:
        Result(tables("a", "b", "c"), {}, "").map(difference=difference)
    assert "a, b, c" in str(error.value)


def test_one_network_has_no_difference():
    with pytest.raises(GradlensError, match="map of a;"):
        Result(tables("a"), {}, "").map(difference=True)


def test_the_words_of_the_map_are_those_of_the_tables():
    titles = {entry.name: entry.title for entry in QUANTITIES}
    words = {entry.name: entry.title for entry in MAP_QUANTITIES}
    assert words["alike"].startswith(titles["mean_similarity"])
    assert words["alike_given_loss"].startswith(titles["mean_similarity_given_loss"])
    assert (words["flops"], words["parameters"]) == (titles["flops"], titles["parameters"])
    of_signals = {entry.name: entry for entry in SIGNAL_QUANTITIES}
    for name in ("rms", "effective_rank", "diversity", "stiffness_across"):
        assert words[name] == of_signals[name].title
        assert FLOW[name] == of_signals[name].axis
    assert not any("duplication" in word.lower() or "D_m" in word for word in words.values())


def test_a_table_of_the_map_carries_the_words_of_its_columns():
    def colours(name: str) -> dict[str, str]:
        columns = table_data(Table(name, NODES, ""))["columns"]
        return {column["name"]: column["colour"]["name"] for column in columns if "colour" in column}

    assert colours("map_nodes") == {"alike": "alike", "flops": "flops"}
    assert colours("map_nodes_weights") == {"alike": "weights_alike"}  # FLOPs are the same in both spaces
    assert colours("flow") == {}


@pytest.mark.parametrize("name", MAP)
def test_the_scripts_of_the_map_load_nothing(name):
    text = script(name)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert len(text.splitlines()) < 250
