"""Facts written once: one entry per quantity, per table and per transition strategy. Light and literal."""

from gradlens.catalogue.quantities import (
    QUANTITIES,
    Column,
    Format,
    Quantity,
    names,
    quantities,
    quantity,
    units,
)
from gradlens.catalogue.tables import SUFFIX, TABLES, About, Need, Place, about, kind, tables

__all__ = [
    "QUANTITIES",
    "SUFFIX",
    "TABLES",
    "About",
    "Column",
    "Format",
    "Need",
    "Place",
    "Quantity",
    "about",
    "kind",
    "names",
    "quantities",
    "quantity",
    "tables",
    "units",
]
