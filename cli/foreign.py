"""Check that the imported package ``gradlens`` is this project's."""

from __future__ import annotations

import runpy
from pathlib import Path


def refuse_foreign_package() -> None:
    """Exit with the remedy if another project has overwritten or hidden the package ``gradlens``.

    Without this the command would end in a traceback from the other project's modules.
    """
    if not _is_this_project():
        raise SystemExit(
            "error: Python imports a package gradlens that is incomplete or another project's; " + _remedy()
        )


def _is_this_project() -> bool:
    """Whether the package has the names of our ``__init__.py``; without that file it imports, but is empty."""
    try:
        import gradlens
    except ImportError:  # modules of both projects are mixed
        return False
    return hasattr(gradlens, "GradlensError")


def _remedy() -> str:
    """Read the remedy from the file next to this package: it cannot be imported here."""
    path = Path(__file__).resolve().parents[1] / "gradlens" / "installation.py"
    return str(runpy.run_path(str(path))["REMEDY"])
