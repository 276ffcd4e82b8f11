"""Kernels that are forked from a process that has imported the libraries, instead of importing them again."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from commands import LIBRARIES

INLINE = "module://matplotlib_inline.backend_inline"


class Kernel:
    """A running kernel, with the interface of ``subprocess.Popen`` that its client uses.

    Args:
        command: the command that would start it.
        env: its environment.
        cwd: its working folder.
        settings: others of ``Popen``, which are not used.
    """

    stdin = stdout = stderr = None

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: str, **settings: Any) -> None:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(list(LIBRARIES))
        reader, writer = forks.Pipe(duplex=False)
        arguments = list(command[command.index("-f") :])
        self._process = forks.Process(target=_run, args=(arguments, dict(env), str(cwd), writer))
        self._process.start()
        writer.close()
        self.pid = reader.recv()  # it has a process group of its own from here on
        reader.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(arguments: list[str], environment: dict[str, str], folder: str, started: Connection) -> None:
    os.setsid()
    started.send(os.getpid())
    started.close()
    os.environ.clear()
    os.environ.update(environment)
    os.environ.pop("JPY_PARENT_PID", None)  # the process that forked it is not the client
    os.chdir(folder)
    checkout = environment["PYTHONPATH"].split(os.pathsep)
    sys.path[:] = ["", *checkout, *(path for path in sys.path if not path.startswith(checkout[0]))]

    import matplotlib
    from ipykernel.kernelapp import IPKernelApp

    kernel = IPKernelApp.instance()
    kernel.initialize(arguments)
    matplotlib.rcParams["backend"] = INLINE  # as if it were imported in the kernel
    importlib.import_module("matplotlib_inline.backend_inline")
    kernel.start()
