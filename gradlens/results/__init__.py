"""Plain values that hold results: Table and Result, and the format of their files. No torch."""

from gradlens.results.result import Result, Table, load

__all__ = ["Result", "Table", "load"]
