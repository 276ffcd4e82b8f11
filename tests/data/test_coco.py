"""COCO files: boxes scaled with their image, labels in the order of the categories, and bad files in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gradlens.data import Batches, load_data
from gradlens.data.checks import check_samples
from gradlens.data.coco import read_coco
from gradlens.data.request import Request
from gradlens.errors import GradlensError

SIZES = [(60, 30), (40, 40), (20, 50), (64, 64), (30, 60), (33, 21)]
"""Width and height of each image; the fifth has no boxes."""


def annotation(number: int, image: int, box: list[float], category: int = 7, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "bbox": box, "category_id": category, **more}


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "images": [
            {"id": 10 + index, "file_name": f"{index}.png", "width": width, "height": height}
            for index, (width, height) in enumerate(SIZES)
        ],
        "annotations": [
            annotation(1, 10, [0, 0, 30, 15], 7),
            annotation(2, 10, [30, 15, 30, 15], 90),
            annotation(3, 11, [-5, -5, 25, 25], 3),
            annotation(4, 12, [10, 40, 30, 30], 7),
            annotation(5, 13, [0, 0, 64, 64], 7, iscrowd=1, segmentation={"counts": [1], "size": [64, 64]}),
            annotation(6, 13, [8, 8, 0, 10], 7),
            annotation(7, 13, [16, 16, 32, 32], 3),
            annotation(8, 15, [0, 0, 33, 21], 3),
        ],
        "categories": [{"id": 90, "name": "cup"}, {"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
    }


@pytest.fixture
def folder(tmp_path: Path, document: dict[str, Any]) -> Path:
    for index, (width, height) in enumerate(SIZES):
        Image.fromarray(np.full((height, width, 3), 40 * index + 10, np.uint8)).save(
            tmp_path / f"{index}.png"
        )
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    return tmp_path


def loaded(folder: Path, **options: Any) -> dict[int, tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Return image and target by the number of the image, which its grey value tells."""
    name = options.pop("name", f"coco:{folder}/boxes.json")
    data = load_data(name, **{"batch_size": 6, "batches": 1, "image_size": 120, **options})
    assert data.task == "detection"
    pairs = [pair for images, targets in data for pair in zip(images, targets, strict=True)]
    return {round((float(image[0, 60, 60]) * 255 - 10) / 40): (image, target) for image, target in pairs}


def test_boxes_are_scaled_and_moved_with_their_image(folder: Path) -> None:
    samples = loaded(folder)
    assert sorted(samples) == list(range(6))
    expected = {
        0: [[0, 30, 60, 60], [60, 60, 120, 90]],  # 60 x 30 by 2, centred from row 30
        1: [[0, 0, 60, 60]],  # cut at the corner
        2: [[60, 96, 84, 120]],  # 20 x 50 by 2.4, centred from column 36, cut at two edges
        3: [[30, 30, 90, 90]],
        4: [],
        5: [[0, 22, 120, 98]],
    }
    for index, boxes in expected.items():
        image, target = samples[index]
        assert (image.shape, image.dtype) == ((3, 120, 120), torch.float32)
        torch.testing.assert_close(target["boxes"], torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))


def test_a_box_covers_the_pixels_that_it_covers_in_the_file(folder: Path) -> None:
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[15:, 30:] = 255
    Image.fromarray(pixels).save(folder / "0.png")
    data = load_data(f"coco:{folder}/boxes.json", batch_size=6, batches=1, image_size=240)
    image, target = next((i, t) for i, t in zip(*data[0], strict=True) if len(t["labels"]) == 2)
    left, top, right, bottom = map(int, target["boxes"][1])
    assert float(image[:, top + 3 : bottom, left + 3 : right].min()) > 0.99
    assert float(image[:, 61 : top - 3, : left - 3].max()) < 0.01


def test_labels_count_the_categories_from_one_in_the_order_of_their_ids(folder: Path) -> None:
    samples = loaded(folder)
    assert [samples[index][1]["labels"].tolist() for index in range(6)] == [[2, 3], [1], [2], [1], [], [1]]
    data = load_data(f"coco:{folder}/boxes.json", batch_size=6, batches=1)
    assert (data.class_names, data.num_classes) == (("cat", "dog", "cup"), 3)


def test_crowds_and_boxes_without_area_are_counted(folder: Path) -> None:
    assert read_coco(f"coco:{folder}/boxes.json").left_out == {"crowds": 1, "boxes without area": 1}


def test_images_may_be_in_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("annotations") / "train.json"
    other.write_text((folder / "boxes.json").read_text())
    samples = loaded(folder, name=f"coco:{other},images={folder}")
    assert torch.equal(samples[0][0], loaded(folder)[0][0])


def test_the_seed_sets_the_order_and_a_start_skips_samples(folder: Path) -> None:
    def data(**options: Any) -> Batches:
        return load_data(f"coco:{folder}/boxes.json", image_size=64, **options)

    first, again, other = (data(batch_size=6, batches=1, seed=seed) for seed in (0, 0, 3))
    assert first.identity["sha256"] == again.identity["sha256"] != other.identity["sha256"]
    with pytest.raises(GradlensError, match="has 6 images, but 1 batches of 4 after 1 reserved ones need 8"):
        data(batch_size=4, batches=1, start=1)


def test_unreadable_images_are_named_or_skipped(folder: Path) -> None:
    (folder / "2.png").write_bytes(b"no image")
    name = f"coco:{folder}/boxes.json"
    with pytest.raises(GradlensError, match=r"2\.png cannot be read as an image"):
        load_data(name, batch_size=6, batches=1)
    data = load_data(name, batch_size=5, batches=1, skip_bad=True)
    assert len(data[0][0]) == 5
    assert set(data.identity["skipped"]) <= {"2.png"}
    with pytest.raises(GradlensError, match="6 images, 1 of them unreadable, but"):
        load_data(name, batch_size=6, batches=1, skip_bad=True)
    (folder / "2.png").unlink()
    with pytest.raises(GradlensError, match=r"2\.png cannot be read as an image \(FileNotFoundError\)"):
        load_data(name, batch_size=6, batches=1)


CHANGES: dict[str, tuple[Any, str]] = {
    "no categories": (lambda d: d.pop("categories"), "no COCO file of objects: it has no list categories"),
    "a mapping": (lambda d: d.update(images={"1": 2}), "it has no list images"),
    "entries of another type": (lambda d: d["annotations"].append(3), "an entry of annotations is no object"),
    "an unknown class": (lambda d: d["annotations"][0].update(category_id=99), "category 99; the file lists 3, 7, 90"),
    "an unknown image": (lambda d: d["annotations"][0].update(image_id=99), "image 99, which the file does not list"),
    "a short box": (lambda d: d["annotations"][0].update(bbox=[1, 2, 3]), r"must be \[x, y, width, height\]"),
    "a box of words": (lambda d: d["annotations"][0].update(bbox="1234"), "must be"),
    "an infinite box": (lambda d: d["annotations"][0].update(bbox=[0, 0, 1e999, 2]), "must be"),
    "no box": (lambda d: d["annotations"][0].pop("bbox"), "has bbox None"),
    "no file name": (lambda d: d["images"][0].pop("file_name"), "an entry of images has file_name None"),
    "no id": (lambda d: d["images"][0].pop("id"), "an entry of images has id None"),
    "a named id": (lambda d: d["categories"][0].update(id="cup"), "an entry of categories has id 'cup'"),
    "no annotations": (lambda d: d["annotations"].clear(), "6 images and no boxes"),
    "other names": (lambda d: [i.update(file_name="x" + i["file_name"]) for i in d["images"]], "name the folder of"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_coco_is_one_line(folder: Path, document: dict[str, Any], change: str) -> None:
    spoil, message = CHANGES[change]
    spoil(document)
    (folder / "boxes.json").write_text(json.dumps(document))
    _refused(f"coco:{folder}/boxes.json", message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco:{}/missing.json", "there is no file .*missing.json.*; write coco:annotations.json,images=DIR"),
        ("coco:{}", "is a folder; name its file of annotations"),
        ("coco:", "names no file of annotations"),
        ("coco", "names no file of annotations"),
        ("coco:{}/boxes.json,image={}", "'image=.*' in .* is not understood"),
        ("coco:{}/boxes.json,images={}/none", "there is no folder"),
        ("coco:{}/0.png", "0.png (is not JSON|cannot be read)"),
    ],
)
def test_a_name_of_no_file_is_one_line(folder: Path, name: str, message: str) -> None:
    _refused(name.replace("{}", str(folder)), message)


def test_a_single_class_is_enough_for_a_detector(folder: Path, document: dict[str, Any]) -> None:
    document["categories"] = [{"id": 5, "name": "thing"}]
    for entry in document["annotations"]:
        entry["category_id"] = 5
    (folder / "boxes.json").write_text(json.dumps(document))
    assert loaded(folder)[0][1]["labels"].tolist() == [1, 1]


def _refused(name: str, message: str) -> None:
    request = Request(4, 1, 0, 64, 3, 0, data=name)
    for attempt in (lambda: load_data(name, batch_size=4, batches=1), lambda: check_samples(name, [request])):
        with pytest.raises(GradlensError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_the_identity_says_what_was_left_out_of_the_file_and_of_the_measured_images(folder: Path) -> None:
    large, small = (
        load_data(f"coco:{folder}/boxes.json", batch_size=6, batches=1, image_size=size) for size in (120, 4)
    )
    of_file = {"crowds": 1, "boxes without area": 1}
    assert large.identity["left_out"] == of_file
    boxes = sum(len(picture.boxes) for picture in read_coco(f"coco:{folder}/boxes.json").pictures)
    kept = sum(len(target["labels"]) for target in small[0][1])
    assert 0 < kept < boxes
    assert small.identity["left_out"] == {**of_file, "boxes narrower than a pixel": boxes - kept}
    assert "left_out" not in load_data("digits", batches=1).identity
