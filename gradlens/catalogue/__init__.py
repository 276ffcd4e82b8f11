"""The registries: one entry per quantity, table and transition strategy. No torch, numpy, pandas or matplotlib."""

from gradlens.catalogue.quantities import (
    DUPLICATIONS,
    OF_PAIR,
    QUANTITIES,
    Column,
    Format,
    Quantity,
    names,
    quantities_with,
    quantity,
    units,
)
from gradlens.catalogue.tables import SUFFIX, TABLES, About, Need, PagePosition, about, kind, tables_with

__all__ = [
    "DUPLICATIONS",
    "OF_PAIR",
    "QUANTITIES",
    "SUFFIX",
    "TABLES",
    "About",
    "Column",
    "Format",
    "Need",
    "PagePosition",
    "Quantity",
    "about",
    "kind",
    "names",
    "quantities_with",
    "quantity",
    "tables_with",
    "units",
]
