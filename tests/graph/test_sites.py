"""Names of sites are unique, whatever the modules are called."""

from __future__ import annotations

from gradlens.graph.sites import numbered


def test_a_number_never_makes_a_name_that_occurs_itself():
    names = ["a", "a~2", "a", "a~3", "a", "a~2"]
    distinct = numbered(names, "{}~{}")
    assert len(set(distinct)) == len(names)
    assert distinct[:2] == ["a", "a~2"]


def test_unique_names_stay_as_they_are():
    names = ["b", "a", "a~2"]
    assert numbered(names, "{}~{}") == names
