"""Run the notebooks and save them with what they show.

``python -m notebooks.run`` runs all, ``python -m notebooks.run 01 04`` those whose names begin so. Each
runs in an empty folder, and is saved without times, identities of this machine and doubled pictures.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parent
SECONDS = 300
SHADES = 64  # colours of a saved picture: figures have few, and the file is a third as large
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def chosen(names: Sequence[str]) -> list[Path]:
    """Notebooks whose names begin with one of ``names``, or all.

    Raises:
        SystemExit: a name that none begins with.
    """
    every = sorted(HERE.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in every):
            raise SystemExit(
                f"no notebook begins with {name!r}; there are {', '.join(p.stem for p in every)}"
            )
    return [path for path in every if not names or path.name.startswith(tuple(names))]


def executed(path: Path) -> Any:
    """The notebook with the outputs of a run from top to bottom.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": found}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        client.execute(env=environment)
    return tidied(notebook)


def tidied(notebook: Any) -> Any:
    """The notebook as it is saved: stable identities, no times, small pictures, no emptied progress line."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = _joined([_small(output) for output in cell.outputs if not _emptied(output)])
    return notebook


def _joined(outputs: Sequence[Any]) -> list[Any]:
    """Lines that a cell printed one after the other, as one output: a kernel parts them by the clock."""
    found: list[Any] = []
    for output in outputs:
        streams = output.output_type == "stream" and found and found[-1].output_type == "stream"
        if streams and found[-1].name == output.name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def _emptied(output: Any) -> bool:
    return output.output_type == "display_data" and not any(output.data.values())


def _small(output: Any) -> Any:
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = _repainted(data["image/png"])
    if str(data.get("text/html", "")).startswith("<iframe"):
        del data[
            "text/html"
        ]  # a page inside the page: its line of text stays, and it is drawn when the notebook runs
    return output


def _repainted(picture: str) -> str:
    """A PNG, as base64, with few colours."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        few = image.convert("RGB").quantize(SHADES, dither=Image.Dither.NONE)
    page = io.BytesIO()
    few.save(page, format="png", optimize=True)
    return base64.b64encode(page.getvalue()).decode("ascii")


def main(names: Sequence[str]) -> None:
    """Run and save; says what each weighs."""
    for path in chosen(names):
        nbformat.write(executed(path), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
