"""The network map as a notebook view or a separate page."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlens.errors import GradlensError
from gradlens.showing.columns import Shown
from gradlens.showing.embedding import as_json, script, table_data

DRAWN = ("map_nodes", "map_edges")
"""Tables that the map draws."""
DESCRIBING = ("shares", "correlation")
"""Tables with details about a selected operation."""
SCRIPTS = ("vendor/dagre.js", "data.js", "theme.js", "panel.js", "map.js")
HEIGHT = 620  # of the frame in a notebook, in pixels


@dataclass(frozen=True)
class NetworkMap:
    """An interactive drawing of the networks of a result.

    Attributes:
        tables: tables by name, including ``map_nodes`` and ``map_edges``.

    Raises:
        GradlensError: one of these two is missing.
    """

    tables: Mapping[str, Shown]

    def __post_init__(self) -> None:
        missing = [name for name in DRAWN if name not in self.tables]
        if missing:
            raise GradlensError(
                f"this result has no network map ({', '.join(missing)} missing): it was made by an older version or "
                "with tables=[...]; measure or analyze again"
            )

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
        names = ", ".join(dict.fromkeys(frame["network"].astype(str)))
        return f"NetworkMap({names}: {len(frame)} operations; save(path) writes a page)"

    def _repr_html_(self) -> str:
        frame: dict[str, Any] = {"title": "Network map", "width": "100%", "height": HEIGHT}
        attributes = " ".join(f'{name}="{value}"' for name, value in frame.items())
        return f'<iframe {attributes} style="border: 0" srcdoc="{html.escape(self.page(), quote=True)}"></iframe>'
