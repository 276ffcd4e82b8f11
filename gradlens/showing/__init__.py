"""Representations of tables, results and recordings: HTML in a notebook, text on a terminal.

The inputs are frames, names and sentences, without models and graphs. No torch.
"""

from gradlens.showing.exploring import explore
from gradlens.showing.map import NetworkMap
from gradlens.showing.notebook import facts_html, result_html, table_html
from gradlens.showing.plain import facts_text, result_text, table_text

__all__ = [
    "NetworkMap",
    "explore",
    "facts_html",
    "facts_text",
    "result_html",
    "result_text",
    "table_html",
    "table_text",
]
