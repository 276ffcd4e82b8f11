"""How plain values show themselves: in a notebook as HTML, on a terminal as text.

Everything here takes frames, names and sentences; it knows no model and no graph, and needs no torch.
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
