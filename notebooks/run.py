"""Run the notebooks and save them with their outputs.

``python -m notebooks.run`` runs all notebooks, ``python -m notebooks.run 01 04`` those whose names start with
these prefixes. Each notebook runs in an empty folder. It is saved without times and names of this machine, and
with small pictures.
"""

from __future__ import annotations

import base64
import io
import os
import re
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
SHADES = 64  # colours of a saved picture: figures need few, and the file has a third of the size
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def chosen(names: Sequence[str]) -> list[Path]:
    """Return the notebooks whose names start with one of ``names``; all if ``names`` is empty.

    Raises:
        SystemExit: if no notebook starts with one of the names.
    """
    notebooks = sorted(HERE.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in notebooks):
            raise SystemExit(
                f"no notebook starts with {name!r}; available: {', '.join(path.stem for path in notebooks)}"
            )
    return [path for path in notebooks if not names or path.name.startswith(tuple(names))]


def executed(path: Path) -> Any:
    """Run a notebook from top to bottom and return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": search_path}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        client.execute(env=environment)
    return tidied(notebook)


def tidied(notebook: Any) -> Any:
    """Return the notebook as it is saved: stable cell ids, no times, small pictures, no cleared progress lines."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = _joined([_small(output) for output in cell.outputs if not _is_empty(output)])
            for output in cell.outputs:
                _describe(output, cell.source)
    return notebook


def _joined(outputs: Sequence[Any]) -> list[Any]:
    """Join consecutive printed lines into one output: where the kernel splits them depends on timing."""
    joined: list[Any] = []
    for output in outputs:
        streams = output.output_type == "stream" and joined and joined[-1].output_type == "stream"
        if streams and joined[-1].name == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _is_empty(output: Any) -> bool:
    return output.output_type == "display_data" and not any(output.data.values())


def _small(output: Any) -> Any:
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = _repainted(data["image/png"])
    if str(data.get("text/html", "")).startswith("<iframe"):
        del data["text/html"]  # an embedded page: only its line of text is saved
    return output


def _describe(output: Any, source: str) -> None:
    """Give a picture its text for those who do not see it, from the comment ``# Figure: ...`` of its cell."""
    details = output.get("metadata", {})
    if "image/png" in output.get("data", {}) and "alt" not in details.get("image/png", {}):
        comment = re.search(r"^# Figure: (.+)$", source, re.M)
        if comment:
            output.metadata["image/png"] = {"alt": comment[1]}


def _repainted(picture: str) -> str:
    """Reduce the colours of a PNG in base64."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        reduced = image.convert("RGB").quantize(SHADES, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    reduced.save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main(names: Sequence[str]) -> None:
    """Run the notebooks, save them and print their sizes."""
    for path in chosen(names):
        nbformat.write(executed(path), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
