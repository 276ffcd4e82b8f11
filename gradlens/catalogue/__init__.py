"""The registries: one entry per quantity, table and transition strategy. No torch, numpy, pandas or matplotlib."""

from gradlens.catalogue.quantities import (
    CORRECTED,
    COUNTERPARTS,
    HEADLINES,
    OF_PAIR,
    QUANTITIES,
    SIZES,
    Column,
    Format,
    Quantity,
    names,
    quantities_with,
    quantity,
    size_column,
    units,
)
from gradlens.catalogue.tables import SUFFIX, TABLES, About, Need, PagePosition, about, kind, tables_with

__all__ = [
    "CORRECTED",
    "COUNTERPARTS",
    "HEADLINES",
    "OF_PAIR",
    "QUANTITIES",
    "SIZES",
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
    "size_column",
    "tables_with",
    "units",
]
