"""Names of tables that a result holds in two spaces."""

from __future__ import annotations

from gradlens.catalogue import SUFFIX, kind

__all__ = ["SPACES", "SUFFIX", "kind"]

SPACES = {"activations": "gradients at layers' outputs", "weights": "gradients of weights"}
