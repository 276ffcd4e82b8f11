"""Build hook: the folder ``cli`` is installed, or linked by an editable install, as ``gradlens_cli``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER, PACKAGE = "cli", "gradlens_cli"


class CommandLine(BuildHookInterface):
    """Adds the command line to a wheel; hatchling's own ``sources`` cannot rename a folder in editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to add."""
        folder = Path(self.root, FOLDER)
        if version == "editable":
            build_data["force_include_editable"] = self._links(folder)
        else:
            modules = sorted(folder.rglob("*.py"))
            build_data["force_include"] = {
                str(path): f"{PACKAGE}/{path.relative_to(folder).as_posix()}" for path in modules
            }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary files of an editable install."""
        if version == "editable":
            self._temporary.cleanup()

    def _links(self, folder: Path) -> dict[str, str]:
        """Write the files that make Python import the folder under the package's name."""
        from editables import EditableProject

        project = EditableProject(PACKAGE, self.root)
        project.map(PACKAGE, folder)
        self._temporary = tempfile.TemporaryDirectory()
        files = {}
        for name, content in project.files():
            path = Path(self._temporary.name, name)
            path.write_text(content, encoding="utf-8")
            files[str(path)] = name
        return files
