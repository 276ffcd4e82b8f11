"""The recordings of the measured steps, as files in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gradlens.errors import GradlensError
from gradlens.recording import Recording

FOLDER = "grams"
"""Name of the folder, in that of a log."""
FILES = "step-*.safetensors"


class Grams:
    """Writes the recording of each measured backward pass into a file, ``step-00000050-0000.safetensors`` and so on.

    ``Recording.load`` reads such a file. Its name has the step, and the number of the backward pass.

    Args:
        folder: is made if it does not exist; files of an earlier training are removed, unless the training is resumed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started = False

    def write(self, step: int, backward: int, recording: Recording) -> None:
        """Write a file under another name and rename it, so that it is whole or not there."""
        if not self._started:
            self._started = True
            self.folder.mkdir(parents=True, exist_ok=True)
            for _, file in self._files():
                file.unlink()
        file = self.folder / f"step-{step:08d}-{backward:04d}.safetensors"
        new = file.with_suffix(".new")
        recording.save(new)
        os.replace(new, file)

    def resume(self, step: int) -> None:
        """Remove the files of this step and later ones.

        Raises:
            GradlensError: the folder cannot be written.
        """
        self._started = True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number, file in self._files():
                if number >= step:
                    file.unlink()
        except OSError as error:
            raise GradlensError(
                f"cannot write {self.folder}: {error.strerror or error}; give another folder with keep="
            ) from error

    def _files(self) -> Iterator[tuple[int, Path]]:
        for file in sorted(self.folder.glob(FILES)):
            number = file.stem.split("-")[1]
            if number.isdigit():
                yield int(number), file
