"""Tables of one kind that a result holds in both spaces."""

from __future__ import annotations

from gradlens.results import Result

SPACES = {"activations": "gradients at layers' outputs", "weights": "gradients of weights"}
SUFFIX = "_weights"
"""Ends the name of a table in weight space where the result has both."""


def space_tables(result: Result, name: str) -> dict[str, str]:
    """By space, the table of this kind that the result holds in it."""
    recorded = result.meta.get("space") or result.meta.get("study", {}).get("space")
    own = "weights" if recorded == "weights" else "activations"
    found = {own: name, "weights": name + SUFFIX}
    return {space: table for space, table in found.items() if table in result.tables}
