"""The network map as a notebook view or a separate page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlens.errors import GradlensError
from gradlens.showing.columns import Shown
from gradlens.showing.embedding import MAP, as_json, script, table_data

DRAWN = ("map_nodes", "map_edges")
"""Tables that the map draws."""
DESCRIBING = ("shares", "correlation")
"""Tables with details about a selected operation."""
SCRIPTS = ("vendor/dagre.js", "data.js", "theme.js", *MAP)
HEIGHT = 620  # of the frame in a notebook, in pixels


@dataclass(frozen=True)
class NetworkMap:
    """An interactive drawing of the networks of a result.

    Attributes:
        tables: tables by name, including ``map_nodes`` and ``map_edges``.
        difference: names of two networks A and B: the view shows B minus A at first. True: of the first two.

    Raises:
        GradlensError: one of these two tables is missing, or there are no such two networks.
    """

    tables: Mapping[str, Shown]
    difference: bool | Sequence[str] = False

    def __post_init__(self) -> None:
        missing = [name for name in DRAWN if name not in self.tables]
        if missing:
            raise GradlensError(
                f"this result has no network map ({', '.join(missing)} missing): it was made by an older version or "
                "with tables=[...]; measure or analyze again"
            )
        self._compared()

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks, in the order of the map."""
        return tuple(self.tables["map_nodes"].frame["network"].astype(str).unique())

    def _compared(self) -> tuple[str, ...]:
        """Return the names A and B of the difference that is shown first; empty for none."""
        if self.difference is False:
            return ()
        names = self.networks[:2] if self.difference is True else self.difference
        if (
            isinstance(names, str)
            or len(names) != 2
            or len(set(names)) != 2
            or not set(names) <= set(self.networks)
        ):
            raise GradlensError(
                f"difference={self.difference!r} on the map of {', '.join(self.networks)}; a difference needs two of "
                f"its networks: True for the first two, or names as difference=('A', 'B') for B minus A"
            )
        return tuple(names)

    def page(self) -> str:
        """Return a self-contained HTML page."""
        from jinja2 import (  # not every use of a result draws a map
            Environment,
            PackageLoader,
            StrictUndefined,
        )

        environment = Environment(
            loader=PackageLoader("gradlens.showing", "."), autoescape=True, undefined=StrictUndefined
        )
        tables = {name: self.tables[name] for name in (*DRAWN, *DESCRIBING) if name in self.tables}
        return environment.get_template("map.html").render(
            difference=json.dumps(self._compared()) if self.difference else "",
            data={name: as_json(table_data(table)) for name, table in tables.items()},
            scripts=[script(name) for name in SCRIPTS],
        )

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Raises:
            GradlensError: the file cannot be written.
        """
        try:
            Path(path).write_text(self.page(), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise GradlensError(f"cannot write {path}: {error.strerror}") from error
        return Path(path)

    def __repr__(self) -> str:
        frame = self.tables["map_nodes"].frame
        a, b = self._compared() or ("", "")
        shown = f"{b} minus {a}" if a else ", ".join(self.networks)
        return f"NetworkMap({shown}: {len(frame)} operations; save(path) writes a page)"

    def _repr_html_(self) -> str:
        frame: dict[str, Any] = {"title": "Network map", "width": "100%", "height": HEIGHT}
        attributes = " ".join(f'{name}="{value}"' for name, value in frame.items())
        return f'<iframe {attributes} style="border: 0" srcdoc="{html.escape(self.page(), quote=True)}"></iframe>'
