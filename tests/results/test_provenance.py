"""How a result was made, read from its metadata, also of older versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradlens.results.provenance import RunProvenance

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize(
    ("meta", "kind"),
    [
        ({}, ""),
        ({"kind": "inspect"}, "inspect"),
        ({"kind": "paths", "command": "gradlens paths net"}, "paths"),
        ({"kind": "inspect", "command": "gradlens paths net"}, "paths"),  # an older version
        ({"kind": "inspect", "command": "gradlens --debug paths net"}, "paths"),
        ({"kind": "inspect", "command": "gradlens inspect paths"}, "inspect"),
        ({"kind": "strategies", "command": "gradlens strategies net"}, "strategies"),
    ],
)
def test_the_kind_of_a_run(meta, kind):
    assert RunProvenance.of(meta).kind == kind


@pytest.mark.parametrize(
    ("meta", "networks"),
    [
        ({}, ()),
        ({"a": "x"}, ("x",)),
        ({"a": "x", "b": "y"}, ("x", "y")),
        ({"a": "x", "networks": ["x", "y", "z"]}, ("x", "y", "z")),
    ],
)
def test_the_networks_of_a_run(meta, networks):
    assert RunProvenance.of(meta).networks == networks


@pytest.mark.parametrize(
    ("meta", "space", "of_weights"),
    [
        ({}, "activations", False),
        ({"space": "weights"}, "weights", True),
        ({"study": {"space": "weights"}}, "weights", True),
        ({"space": "activations", "study": {"space": "both"}}, "both", False),
    ],
)
def test_the_space_of_a_run(meta, space, of_weights):
    provenance = RunProvenance.of(meta)
    assert (provenance.space, provenance.tables_of_weights) == (space, of_weights)


def test_entries_without_a_value_are_defaults():
    meta = dict.fromkeys(("kind", "a", "seeds", "partial", "command", "study", "notes", "strategies"))
    assert RunProvenance.of(meta) == RunProvenance()


@pytest.mark.parametrize("folder", sorted(FIXTURES.glob("run-format-*")), ids=lambda folder: folder.name)
def test_the_provenance_of_a_saved_run_is_read(folder):
    provenance = RunProvenance.of(json.loads((folder / "result.json").read_text("utf-8"))["meta"])
    assert (provenance.kind, provenance.seeds) == ("compare", (0, 1))
    assert len(provenance.networks) == 2
    assert provenance.study["data"] == "random"
    assert not provenance.partial
