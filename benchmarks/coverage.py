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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.catalogue.datasets import DETECTION, FLOW, SEGMENTATION, VIDEO
from gradlens.models import lift_zero_init
from gradlens.models.darknet.raw import RawSection, raw_sections
from gradlens.models.naming import source
from gradlens.models.sources import ADAPTERS

DOCS = Path(__file__).resolve().parent.parent / "docs"
TASKS = (DETECTION, SEGMENTATION, VIDEO, FLOW)
ULTRALYTICS = ("yolov3-tiny", "yolov3", "yolov5n", "yolov8n", "yolo11n", "yolo12n", "yolo26n")
DATA = {DETECTION: "scenes", SEGMENTATION: "scenes", VIDEO: "clips", FLOW: "motion"}
SIZES = {DETECTION: 64, SEGMENTATION: 64, VIDEO: 32, FLOW: 128}
"""Side of the images in pixels, small enough for two cores."""
SPLITS = (
    "BottleneckCSP", "C2", "C2PSA", "C2f", "C2fCIB", "C2fPSA", "C3", "C3k", "C3k2", "ELAN1", "PSA", "RepCSP",
    "RepNCSPELAN4", "CSPLayer", "CrossStage",
)  # fmt: skip
"""Modules whose definition makes a bypass and a dense part, by the name of their class, to count against."""
ROUTE = "route"
"""The same in a darknet file: a 1×1 convolution, a route back to its input, and another one."""
ROUNDING = 1e-4
"""Relative error in float32 up to which a sum counts as right."""
SLOW = ("rcnn", "mvit", "swin3d")
"""Parts of the names of the networks that are measured last."""
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
    return {"name": short(name), **measured, "seconds": round(time.process_time() - start, 1)}


def short(name: str) -> str:
    """Return a name without the folder of its file."""
    return name.rpartition("/")[2]


def _measured(name: str) -> dict[str, Any]:
    adapter = source(name).adapter
    classes, size, batches = _data(name, adapter.task)
    model = gl.load_model(name, num_classes=classes or None, image_size=size)
    lift_zero_init(model)
    recording = gl.capture(model, batches, step=adapter.losses(), samples=SAMPLES, costs=False)
    checks, flow, sums = (ANALYZERS[table](recording) for table in ("exactness", "flow", "loss_sums"))
    assert flow is not None
    kinds, errors = ([], [None, None]) if checks is None else (  # a chain without a fork
        list(checks.frame["kind"]), [float(checks.frame[column].max()) for column in ("error", "projected_error")]
    )  # fmt: skip
    return {
        "task": adapter.task, "captured": True, "forks": kinds.count("fork"), "error": errors[0],
        "projected": errors[1],
        "stages": list(dict.fromkeys(flow.frame["stage"].astype(str))),
        "splits": splits(recording), "defined": defined_splits(name, model), "losses": _losses(sums),
    }  # fmt: skip


def splits(recording: gl.Recording) -> int:
    """Return how many partial splits with a bypass and a dense part were found."""
    parts = {"bypass", "dense"}
    return sum(group.where == "split" and parts <= set(group.labels) for group in recording.plan.groups)


def _data(name: str, task: str) -> tuple[int, int, Any]:
    """Return the number of classes, the side of the images in pixels, and one batch in a list."""
    if name.startswith("torchvision:mvit"):
        return 10, 224, [_clips(16, 224)]
    size = SIZES.get(task, 64)
    if name == "torchvision:keypointrcnn_resnet50_fpn":
        return 10, size, [_with_keypoints(size)]
    data = gl.load_data(DATA.get(task, "digits"), batch_size=SAMPLES, batches=1, image_size=size)
    return data.num_classes, size, data


def defined_splits(name: str, model: nn.Module) -> dict[str, int]:
    """Return how many modules of each kind in ``SPLITS`` a network has, or how many routes of this kind a file has."""
    if name.startswith("darknet:"):
        text = Path(name.removeprefix("darknet:")).read_text(encoding="utf-8")
        sections = list(raw_sections(text, name))
        routes = sum(map(_makes_parts, sections, sections[1:], sections[2:]))
        return {ROUTE: routes} if routes else {}
    kinds = Counter(type(module).__name__ for module in model.modules())
    return {kind: kinds[kind] for kind in SPLITS if kinds[kind]}


def _makes_parts(before: RawSection, route: RawSection, after: RawSection) -> bool:
    if (before.name, route.name, after.name) != ("convolutional", ROUTE, "convolutional"):
        return False
    sizes = {section.options["size"].value for section in (before, after)}
    return sizes == {"1"} and route.options["layers"].value == "-2"


def _losses(sums: gl.Table | None) -> dict[str, Any]:
    """Return the names of the losses and the largest error of their sum; empty if there is one loss."""
    if sums is None:
        return {}
    frame = sums.frame
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
        "Networks of the libraries, each measured on one batch of four samples of bundled data (images of 64 px for",
        "detectors and segmentation, clips of 32 px, pairs of 128 px; MViT needs 224). *Exact* is the largest relative",
        "difference between the sum of contributions and the gradient: tensor by tensor in the dry pass, and by",
        "projections in the batch. *Stages* are those whose gradients were recorded. *Losses* have the largest",
        "relative difference between the sum of the losses' gradients and the gradient of their sum; *one* if the",
        "network has one loss. *Splits* are the partial splits with a bypass and a dense part that were found, beside",
        "the modules of the definition that make them; in a darknet file, a 1×1 convolution, a route back to its",
        "input, and another 1×1 convolution. `python -m benchmarks.coverage` writes this page.", "",
        summary(document["rows"]) + _left(document.get("left", ())), "",
        "| network | exact (dry, projected) | stages | losses, error of their sum | splits found, in the definition |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [_line(entry) for entry in document["rows"]]
    return "\n".join([*lines, ""])


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return in how many rows each column is as it should be."""
    captured = [entry for entry in rows if entry["captured"]]
    exact = sum(not entry["error"] and (entry["projected"] or 0) < ROUNDING for entry in captured)
    several = [entry["losses"] for entry in captured if entry["losses"]]
    sums = sum(losses["error"] < ROUNDING for losses in several)
    agreeing = sum(entry["splits"] == sum(entry["defined"].values()) for entry in captured)
    return (
        f"{len(captured)} of {len(rows)} networks could be measured. Of these, {exact} are exact (0 in the dry pass, "
        f"below {ROUNDING:g} in projections), {sums} of the {len(several)} with several losses add up, and {agreeing} "
        "have the splits of their definition."
    )


def _left(names: Sequence[str]) -> str:
    return f" Not tried yet: {', '.join(names)}." if names else ""


def _line(entry: Mapping[str, Any]) -> str:
    if not entry["captured"]:
        return f"| {entry['name']} | **no** | {entry['problem'].replace('|', '/')} | | |"
    losses = entry["losses"]
    sums = f"{', '.join(losses['names'])}: {losses['error']:.0e}" if losses else "one"
    defined = ", ".join(f"{count} {kind}" for kind, count in entry["defined"].items()) or "none"
    exact = "no fork" if entry["error"] is None else f"{entry['error']:.0e}, {entry['projected']:.0e}"
    return f"| {entry['name']} | {exact} | {', '.join(entry['stages'])} | {sums} | {entry['splits']}, {defined} |"


def main() -> None:
    """Measure the networks, and write JSON and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--darknet", type=Path, help="folder of cfg files")
    parser.add_argument("--only", default="", help="measure the networks whose names contain this")
    parser.add_argument("--missing", action="store_true", help="keep the rows of networks that were captured")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    file = DOCS / "coverage.json"
    rows = {entry["name"]: entry for entry in json.loads(file.read_text())["rows"]} if file.exists() else {}
    order = list(names(arguments.darknet))
    for name in sorted(order, key=lambda name: any(kind in name for kind in SLOW)):
        if arguments.only not in name or (arguments.missing and rows.get(short(name), {}).get("captured")):
            continue
        rows[short(name)] = row(name)
        asked = [*map(short, order)]
        kept = [key for key in rows if key not in asked]  # of a run with another folder of cfg files
        known = [rows[key] for key in (*asked, *kept) if key in rows]
        document = {"torch": torch.__version__, "gradlens": gl.__version__, "rows": known,
                    "left": [key for key in asked if key not in rows]}  # fmt: skip
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (DOCS / "coverage.md").write_text(page(document), encoding="utf-8")
        print(_line(rows[short(name)]), flush=True)


if __name__ == "__main__":
    main()
