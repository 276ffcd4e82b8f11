"""Where to look: the most conspicuous sites, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .terminal import say

if TYPE_CHECKING:
    from gradlens.results import Result


def print_sites(result: Result, top: int | None, *, gap: bool = False) -> None:
    """Print up to ``top`` sites of each network, after an empty line if ``gap``; None is the usual number."""
    lines = list(site_lines(result, top))
    if lines and gap:
        say("")
    for line in lines:
        say(line, indent="    ")


def site_lines(result: Result, top: int | None = None) -> Iterator[str]:
    """Yield a heading and one line per site, of each network if there are several; nothing without sites."""
    from gradlens.words.conspicuous import conspicuous, networks_with_sites, usual

    names = networks_with_sites(result)
    most = top or usual(result)
    network = ""
    for site in conspicuous(result, most):
        prefix = f"{site.network} " if len(names) > 1 and most == 1 else ""
        if site.network != network and not (prefix and network):
            yield f"where to look in {site.network}:" if len(names) > 1 and not prefix else "where to look:"
        network = site.network
        more = f" ({site.more} more)" if site.more else ""
        yield f"  {prefix}[{site.stage}] {site.name}: {site.value}, {site.meaning}{more}"
