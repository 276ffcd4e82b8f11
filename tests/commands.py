"""The command in a process of its own, forked from one that has imported the libraries."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection

LIBRARIES = (
    *("torch", "timm", "scipy.stats", "matplotlib.pyplot", "ipykernel.kernelapp"),
    *("gradlens_cli.app", "gradlens.studies.studies", "gradlens.studies.strategies", "gradlens.report"),
)


class Command:
    """A running command: its number, its output and its errors.

    Args:
        setup: Python code that is executed before the command.
        words: its arguments.
    """

    def __init__(self, setup: str, words: Sequence[str]) -> None:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(list(LIBRARIES))
        readers, writers = zip(*(forks.Pipe(duplex=False) for _ in range(2)), strict=True)
        self.process = forks.Process(target=_run, args=(setup, tuple(words), *writers))
        self.process.start()
        for writer in writers:
            writer.close()
        self.stdout, self.stderr = (
            os.fdopen(os.dup(reader.fileno()), encoding="utf-8") for reader in readers
        )
        for reader in readers:
            reader.close()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self, patience: float) -> tuple[int, str, str]:
        """Return the status, the rest of the output and the rest of the errors; each has to fit into a pipe."""
        self.process.join(patience)
        assert self.process.exitcode is not None, "the command does not end"
        return self.process.exitcode, self.stdout.read(), self.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.stdout.close()
        self.stderr.close()


def _run(setup: str, words: tuple[str, ...], stdout: Connection, stderr: Connection) -> None:
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    stdout.close()
    stderr.close()
    exec(setup, {})
    from gradlens_cli.app import gradlens

    gradlens(list(words), prog_name="gradlens")
