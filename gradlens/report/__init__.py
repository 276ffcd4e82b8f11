"""The report of a result: figures, tables and one self-contained HTML page. No torch."""

from gradlens.report.drawing import figures
from gradlens.report.formats import figure, save_figure
from gradlens.report.output import write

__all__ = ["figure", "figures", "save_figure", "write"]
