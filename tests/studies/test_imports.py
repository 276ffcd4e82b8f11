"""What measuring imports: libraries of networks and PyTorch's compiler take seconds and load when they are used."""

from __future__ import annotations

import subprocess
import sys

ZOOS = ("timm", "torchvision", "ultralytics", "transformers", "sklearn")
LATE = ("torch._dynamo", "sympy", "matplotlib", "networkx", "scipy.stats", "scipy.linalg", "scipy.special")
NETWORK = """
import torch
from torch import nn
import gradlens as gl

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, width, 3, padding=1), nn.Linear(width, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.last((x + torch.tanh(x)).mean((2, 3)))

batches = [(torch.randn(6, 1, 5, 5), torch.randint(3, (6,))) for _ in range(2)]
"""


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Return which of these modules a program has imported at its end."""
    ending = f"\nimport sys\nprint(*[name for name in {names} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code + ending], capture_output=True, text=True, check=True, timeout=120
    )
    return ran.stdout.split()


def test_the_functions_that_measure_load_no_library_before_it_is_used() -> None:
    code = "import gradlens as gl, gradlens.studies.studies\nfor name in gl.__all__: getattr(gl, name)"
    assert loaded(code, (*ZOOS, *LATE)) == []


def test_a_network_of_the_caller_loads_no_zoo_and_no_compiler() -> None:
    use = (
        "gl.compare(lambda seed: Net(4), lambda seed: Net(6), batches=batches, seeds=2, progress=False)\n"
        "gl.inspect(Net(4), batches=batches, progress=False)\n"
        "gl.analyze(gl.capture(Net(4), batches, progress=False), progress=False)"
    )
    assert loaded(NETWORK + use, (*ZOOS, "torch._dynamo", "sympy", "matplotlib", "scipy.stats")) == []


def test_digits_are_read_without_the_library_that_they_come_with() -> None:
    assert loaded("import gradlens as gl\ngl.load_data('digits', batches=1)", ("sklearn", "scipy")) == []
