"""Numbers on the page are written as everywhere else."""

from gradlens.showing.numbers import DASH, MINUS, NARROW, percent, scaled, shown, significant

__all__ = ["DASH", "MINUS", "NARROW", "percent", "scaled", "shown", "significant"]
