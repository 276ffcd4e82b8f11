"""darknet: names: a file with [yolo] is a detector with its losses, another one a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models.naming import source

BODY = """[net]
width=64
height=64
channels=3

[convolutional]
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=16
size=3
stride=2
pad=1
activation=leaky

"""
DETECTOR = (
    BODY
    + """[convolutional]
filters=24
size=1
stride=1
activation=linear

[yolo]
mask=0,1,2
anchors=8,8, 16,16, 32,32
classes=3
num=3
"""
)
CLASSIFIER = (
    BODY
    + """[convolutional]
filters=5
size=1
stride=1
activation=linear

# [yolo] would make it a detector
[avgpool]
"""
)


@pytest.mark.parametrize(("text", "task"), [(DETECTOR, "detection"), (CLASSIFIER, "classification")])
def test_the_sections_of_a_file_say_what_the_network_is_for(text: str, task: str, tmp_path: Path) -> None:
    file = tmp_path / "net.cfg"
    file.write_text(text)
    parsed = source(f"darknet:{file}")
    assert parsed.adapter.task == task
    assert parsed.file == str(file)


def test_a_cfg_of_a_detector_is_measured_on_scenes_and_refused_on_digits(tmp_path: Path) -> None:
    file = tmp_path / "net.cfg"
    file.write_text(DETECTOR)
    options: Any = {"seeds": 1, "batches": 1, "batch_size": 4, "throughput": False, "progress": False}
    result = gl.inspect(f"darknet:{file}", data="scenes", **options)
    assert set(result["flow"].frame["stage"].astype(str)) >= {"2", "4"}
    with pytest.raises(GradlensError, match="is a detector, and data='digits'"):
        gl.inspect(f"darknet:{file}", data="digits", **options)
