"""``gradlens paths``, run on small networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ran

import gradlens as gl

Run = Callable[..., Ran]
SMALL = ["--data", "random", "--image-size", "32", "--batch-size", "4", "--batches", "1", "--seeds", "1"]


@pytest.mark.parametrize(("words", "message"), [([], "weighted by energy"), (["--json"], '"kind": "paths"')])
def test_paths_of_a_network(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    ran = run("paths", "resnet10t", *SMALL, "--out", str(tmp_path / "p"), *words)
    assert ran.exit_code == 0, ran.stderr
    assert message in ran.stdout
    result = gl.load(tmp_path / "p")
    assert list(result.tables) == ["structure", "paths", "path_lengths", "shares", "exactness"]
    assert result["paths"].frame["paths"].iloc[0] == "16"  # four blocks
    assert result.finding.startswith("resnet10t: 16 paths lead from the loss to conv1.0, of ")
    for name in ("structure", "paths", "path_lengths"):
        assert (tmp_path / "p" / "figures" / f"{name}.png").stat().st_size > 5000
    if words:
        assert json.loads(ran.stdout)["finding"] == result.finding
    else:
        lines = ran.stdout.splitlines()
        assert lines[0].endswith(
            f"weighted by energy {result['paths'].frame['effective_length'].iloc[0]:.1f}."
        )
        assert lines[2].split()[:3] == ["stage", "layers", "structural"]
        assert "where to look:" in lines


def test_a_network_without_gradients_reports_that_no_energy_arrives(run: Run, tmp_path: Path) -> None:
    factory = tmp_path / "net.py"
    factory.write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    head = nn.Linear(4, 10)\n    nn.init.zeros_(head.weight)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)\n"
    )
    ran = run("paths", f"{factory}:make", *SMALL, "--out", str(tmp_path / "p"))
    assert ran.exit_code == 0, ran.stderr
    assert "the only path from the loss to 0 has 2 layers; no energy arrives" in ran.stdout


def test_stages_that_stay_whole_are_reported(run: Run, tmp_path: Path) -> None:
    ran = run("paths", "resnet10t@csp", *SMALL, "--out", str(tmp_path / "p"))
    assert ran.exit_code == 0, ran.stderr
    assert "warning: not cut: layer" in ran.stderr
