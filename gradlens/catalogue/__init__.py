"""The registries: one entry per quantity, table and transition strategy. No torch, numpy, pandas or matplotlib."""

from gradlens.catalogue.entries import Column, Format, Quantity
from gradlens.catalogue.quantities import (
    CLEAR,
    CORRECTED,
    COUNTERPARTS,
    HEADLINES,
    OF_PAIR,
    QUALITIES,
    QUANTITIES,
    SIZES,
    names,
    quality_in,
    quantities_with,
    quantity,
    size_column,
    units,
)
from gradlens.catalogue.tables import SUFFIX, TABLES, About, Need, PagePosition, about, kind, tables_with

__all__ = [
    "CLEAR",
    "CORRECTED",
    "COUNTERPARTS",
    "QUALITIES",
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
    "quality_in",
    "size_column",
    "tables_with",
    "units",
]
