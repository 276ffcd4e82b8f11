"""Which networks of the libraries are measured, and exactly: ``python -m benchmarks.coverage [--darknet FOLDER]``.

Writes docs/coverage.json and docs/coverage.md. A network that fails has the message in its row. Minutes on two cores;
``--only PART`` measures the networks whose names contain it and keeps the other rows.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import gradlens as gl
from gradlens.catalogue.datasets import DETECTION, FLOW, SEGMENTATION, VIDEO
from gradlens.models.naming import source
from gradlens.models.sources import ADAPTERS

DOCS = Path(__file__).resolve().parent.parent / "docs"
TASKS = (DETECTION, SEGMENTATION, VIDEO, FLOW)
ULTRALYTICS = ("yolov3-tiny", "yolov3", "yolov5n", "yolov8n", "yolo11n", "yolo12n", "yolo26n")
DATA = {DETECTION: "scenes", SEGMENTATION: "scenes", VIDEO: "clips", FLOW: "motion"}
SIZES = {DETECTION: 96, SEGMENTATION: 64, VIDEO: 32, FLOW: 128}
"""Side of the images in pixels, small enough for two cores."""
SPLITS = (
    "C2f",
    "C3k2",
    "C3",
    "C3k",
    "C2PSA",
    "PSABlock",
    "A2C2f",
    "C2fCIB",
    "RepNCSPELAN4",
    "ELAN1",
    "CspStage",
)
"""Modules whose definition cuts channels or makes two parts, by the name of their class, to count against."""
SAMPLES = 4


def names(darknet: Path | None) -> Iterator[str]:
    """Yield the names of the networks to measure."""
    for adapter in ADAPTERS:
        if adapter.prefix == "torchvision:" and adapter.task in TASKS:
            yield from (adapter.prefix + name for name in adapter.names.listed())
    yield from ("fcos:resnet50", "fcos:cspresnet50", "retinanet:darknet53", "fasterrcnn:cspdarknet53")
    yield from (f"ultralytics:{name}.yaml" for name in ULTRALYTICS)
    yield "libreyolo:yolox-n"
    if darknet is not None:
        yield from (f"darknet:{file}" for file in sorted(darknet.glob("*.cfg")))


def row(name: str) -> dict[str, Any]:
    """Measure one network, and return its row."""
    start = time.process_time()
    try:
        measured = _measured(name)
    except gl.GradlensError as error:
        measured = {"captured": False, "problem": str(error)}
    except Exception as error:  # a row of the table, too
        measured = {
            "captured": False,
            "problem": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
        }
    return {"name": name.rpartition("/")[2] if "/" in name else name, **measured,
            "seconds": round(time.process_time() - start, 1)}  # fmt: skip


def _measured(name: str) -> dict[str, Any]:
    task = source(name).adapter.task
    options: dict[str, Any] = {"seeds": 1, "throughput": False, "progress": False}
    if name.startswith("torchvision:mvit"):
        options |= {"data": [_clips(16, 224)], "image_size": 224}
    elif name == "torchvision:keypointrcnn_resnet50_fpn":
        options |= {"data": [_with_keypoints(SIZES[task])], "samples": SAMPLES}
    else:
        options |= {
            "data": DATA.get(task, "digits"),
            "image_size": SIZES.get(task, 64),
            "batch_size": SAMPLES,
        }
    result = gl.inspect(name, batches=1, **options)
    checks = result["exactness"].frame
    stages = list(dict.fromkeys(result["flow"].frame["stage"].astype(str)))
    return {
        "task": task, "captured": True, "forks": int((checks["kind"] == "fork").sum()),
        "error": float(checks["error"].max()), "projected": float(checks["projected_error"].max()),
        "stages": stages, "splits": int((checks["kind"] == "split").sum()), "defined": defined_splits(name),
        "losses": _losses(result),
    }  # fmt: skip


def defined_splits(name: str) -> dict[str, int]:
    """Return how many modules of each kind in ``SPLITS`` the definition of a network has."""
    model = gl.load_model(name, num_classes=10, image_size=None)
    kinds = Counter(type(module).__name__ for module in model.modules())
    return {kind: kinds[kind] for kind in SPLITS if kinds[kind]}


def _losses(result: gl.Result) -> dict[str, Any]:
    """Return the names of the losses and the largest error of their sum; empty if they were not told apart."""
    if "loss_sums" not in result.tables:
        return {}
    frame = result["loss_sums"].frame
    errors = frame.select_dtypes("number")
    labels = list(dict.fromkeys(frame["loss"].astype(str)))
    return {"names": labels, "error": float(errors.filter(like="error").max().max())}


def _clips(frames: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(SAMPLES, 3, frames, size, size, generator=generator), torch.arange(SAMPLES)


def _with_keypoints(size: int) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Return a batch of people, the only class of the network, with 17 visible points inside each box."""
    images, targets = gl.load_data("scenes", batch_size=SAMPLES, batches=1, image_size=size)[0]
    shares = torch.rand(17, 2, generator=torch.Generator().manual_seed(0))
    made = []
    for target in targets:  # type: ignore[attr-defined]
        low, high = target["boxes"][:, None, :2], target["boxes"][:, None, 2:]
        points = low + shares * (high - low)
        labels = torch.ones(len(low), dtype=torch.int64)
        visible = torch.ones(len(low), 17, 1)
        made.append(
            {"boxes": target["boxes"], "labels": labels, "keypoints": torch.cat([points, visible], dim=2)}
        )
    return list(images), made


def page(document: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Coverage", "",
        "Networks of the libraries, each measured on one batch of four samples of bundled data. *Exact* gives the",
        "largest relative difference between the sum of contributions and the gradient: tensor by tensor in the",
        "dry pass, and by projections in the batch. *Splits* are the partial splits found, beside the modules",
        "of the definition that make them. `python -m benchmarks.coverage` writes this page.", "",
        "| network | exact (dry, projected) | stages | losses, error of their sum | splits found, modules in the "
        "definition |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [_line(entry) for entry in document["rows"]]
    return "\n".join([*lines, ""])


def _line(entry: Mapping[str, Any]) -> str:
    if not entry["captured"]:
        return f"| {entry['name']} | **no** | {entry['problem'].replace('|', '/')} | | |"
    losses = entry["losses"]
    sums = f"{', '.join(losses['names'])}: {losses['error']:.0e}" if losses else "summed"
    defined = ", ".join(f"{count} {kind}" for kind, count in entry["defined"].items()) or "none"
    exact = f"{entry['error']:.0e}, {entry['projected']:.0e}"
    return f"| {entry['name']} | {exact} | {', '.join(entry['stages'])} | {sums} | {entry['splits']}, {defined} |"


def main() -> None:
    """Measure the networks, and write JSON and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--darknet", type=Path, help="folder of cfg files")
    parser.add_argument("--only", default="", help="measure the networks whose names contain this")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    file = DOCS / "coverage.json"
    old = {entry["name"]: entry for entry in json.loads(file.read_text())["rows"]} if file.exists() else {}
    rows: list[dict[str, Any]] = []
    for name in names(arguments.darknet):
        kept = old.get(name.rpartition("/")[2] if "/" in name else name)
        if arguments.only not in name and kept is None:
            continue
        rows.append(kept if kept is not None and arguments.only not in name else row(name))
        document = {"torch": torch.__version__, "gradlens": gl.__version__, "rows": rows}
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(_line(rows[-1]), flush=True)
    (DOCS / "coverage.md").write_text(page(document), encoding="utf-8")


if __name__ == "__main__":
    main()
