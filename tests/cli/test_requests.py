"""Mistakes in a command line: one line with the remedy, before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

CODE = """
import sys
from gradlens_cli.app import gradlens
for line in sys.stdin.read().splitlines():
    words = line.split("|")
    print("status", gradlens(words, standalone_mode=False), file=sys.stderr)
print("loaded", *[name for name in ("torch", "timm", "torchvision", "pandas") if name in sys.modules], file=sys.stderr)
"""
MISTAKES = {
    "compare|resnet50|cspresnet5": "did you mean cspresnet50",
    "compare|resnet18|resnet18@cps": "no transition strategy 'cps'",
    "compare|resnet18|resnet18@csp,gama=0.5": "did you mean gamma?",
    "compare|resnet18|resnet18@csp,gamma=1.5": "at least 0 and below 1",
    "inspect|torchvision:resnet5O": "torchvision has no model 'resnet5O'; did you mean resnet50",
    "paths|densenet12": "did you mean densenet121",
    "strategies|resnet5O": "no model is called 'resnet5O'",
    "strategies|resnet18|--strategies|none,cps": "no transition strategy 'cps'",
    "strategies|resnet18|--gamma|2": "gamma is 2",
    "strategies|resnet18@csp": "has a strategy already",
    "strategies|resnet18|--eval": "no meaning",
    "inspect| ": "the model name is empty",
    "inspect|hf-hub:resnet50": "is not understood",
    "inspect|model.ipynb:build": "is a notebook",
    "compare|resnet18|nets.py": "which of its functions builds the model? Give nets.py:factory",
    "compare|resnet18|nets.py:biuld": "did you mean build?",
    "compare|resnet18|netz.py:build": "there is no file netz.py; did you mean nets.py?",
    "compare|resnet18|broken.py:build": "cannot be run: SyntaxError",
    "inspect|darknet:lost.cfg": "darknet file lost.cfg does not exist",
    "inspect|resnet18|--data|photos/": "there is no data set and no folder 'photos/'",
    "inspect|resnet18|--data|digit": "did you mean digits?",
    "compare|resnet18|resnet18|--checkpoint-b|lost.pt": "checkpoint lost.pt does not exist",
    "inspect|resnet18|--checkpoint|.": "checkpoint . is a folder",
    "inspect|resnet18|--checkpoint|empty.pt": "checkpoint empty.pt is empty",
    "inspect|resnet18|--checkpoint|nets.py": "damaged or not a checkpoint",
    "inspect|resnet18|--checkpoint|cut.pt": "damaged or not a checkpoint",
    "inspect|resnet18|--checkpoint|cut.safetensors": "damaged or not a checkpoint",
    "inspect|resnet18|--step|steps.py:step": "there is no file steps.py; did you mean step.py",
    "inspect|resnet18|--step|broken.py:step": "cannot be run: SyntaxError",
    "compare|resnet18|resnet34|--loss|step.py:lost": "step.py has no function 'lost'",
    "inspect|resnet18|--loss|step.py": "give --loss path/file.py:function",
    "inspect|resnet18|--input|token:length=8": "did you mean tokens?",
    "inspect|resnet18|--input|tokens:size=8": "'size=8' in 'tokens:size=8' is not understood",
    "inspect|resnet18|--input|tokens|--data|photos": "leave out --data",
    "inspect|resnet18|--data|empty": "empty has neither class folders nor images",
    "inspect|resnet18|--data|images": "images has 6 images, but 4 batches of 32 need 128",
    "strategies|resnet18|--data|images|--batch-size|6|--batches|1": "images/b/1.png cannot be read as an image",
    "inspect|resnet18|--batch-size|2000": "digits has 1797 samples",
    "inspect|resnet18|--data|random|--image-size|1000000": "images of 1000000 x 1000000 do not fit into memory",
    "inspect|nets.py:build|--pretrained": "no pretrained weights for nets.py:build",
    "inspect|resnet18|--warmup-loss|1": "--warmup-steps 500",
    "inspect|resnet18|--out|nets.py": "nets.py is a file",
}


def test_mistakes_are_answered_in_one_line_before_libraries_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def build():\n    pass\n")
    (tmp_path / "broken.py").write_text("def build(:\n")
    (tmp_path / "step.py").write_text("def step(model, batch):\n    pass\n")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 9)
    (tmp_path / "empty").mkdir()
    for file in (f"{name}/{index}.png" for name in "ab" for index in range(3)):
        (tmp_path / "images" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "images" / file)
    (tmp_path / "images/b/1.png").write_bytes((tmp_path / "images/b/1.png").read_bytes()[:45])
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        input="\n".join(MISTAKES),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=tmp_path,
    )
    *lines, loaded = ran.stderr.splitlines()
    assert loaded.strip() == "loaded"
    assert lines[1::2] == ["status 1"] * len(MISTAKES)
    for line, (words, message) in zip(lines[::2], MISTAKES.items(), strict=True):
        assert line.startswith("error: "), words
        assert message in line, words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["--help"], ["runs", "--help"], ["doctor"]])
def test_a_full_disk_is_reported_in_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gradlens", *words]
        ran = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert ran.returncode == 1
    assert ran.stderr == f"error: cannot write to stdout: {os.strerror(28)}; send it to another file\n"
