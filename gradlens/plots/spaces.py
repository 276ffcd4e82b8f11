"""The two spaces of gradients."""

from __future__ import annotations

SPACES = {"activations": "gradients at layers' outputs", "weights": "gradients of weights"}
"""Titles of the spaces."""
