"""What a measuring command prints on stdout: the finding, one table, and where to look."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradlens.catalogue import quantities_with

from .brief import brief
from .diagnosis import print_sites
from .layout import Block, print_blocks
from .ledger import along_training, conflict_lines, ledger_blocks
from .summary import blocks
from .terminal import say, width

if TYPE_CHECKING:
    from gradlens.results import Result


def show(result: Result, *, everything: bool = False, top: int | None = None) -> None:
    """Print the finding, the table of a result, and where to look.

    Args:
        result: of a measurement.
        everything: print the numbers of the finding and all tables instead of the one table.
        top: number of sites of each network; None is the usual number.
    """
    if result.provenance.partial:
        say("partial: the run was interrupted, and the numbers are from its finished part\n")
    say(f"{result.headline}\n")
    if everything and result.details:
        say(f"{result.details}\n")
    table = brief(result)
    tables = blocks(result) if everything else [table.block] if table and table.block.rows else []
    shares = ledger_blocks(result)
    print_blocks([*tables, *shares, *along_training(result)])
    legend = table.legend if table and not everything else ""
    lines = [*conflict_lines(result), *(_legend(legend, tables, everything) if tables else [])]
    for line in lines:
        say(line, indent="  ")
    print_sites(result, top, gap=bool(lines))


def _legend(legend: str, tables: Iterable[Block], everything: bool) -> list[str]:
    """Return what the signs mean; on a terminal also the units, and how to see more."""
    lines = [legend] if legend else []
    if width(sys.stdout) is not None:
        lines.append(f"units: {units(tables)}{'' if everything else '; more numbers: --all'}")
    return lines


def units(tables: Iterable[Block]) -> str:
    """Return the units of the columns of the tables, grouped by unit.

    >>> units([Block(["stage", "duplication", "FLOPs"], [])])
    'duplication: D_m, 0 unrelated to 1 copies; FLOPs: per image, multiply-add = 2'
    """
    present = {head for block in tables for head in block.headers}
    heads: dict[str, list[str]] = {}
    for quantity in quantities_with():
        for head in dict.fromkeys([quantity.head, *(quantity.heading(c.screen) for c in quantity.screens)]):
            if head in present and quantity.short_unit:
                heads.setdefault(quantity.short_unit, []).append(head)
    return "; ".join(f"{', '.join(named)}: {unit}" for unit, named in heads.items())
