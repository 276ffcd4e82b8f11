"""Image folders: layout, geometry, colours, and files that are not images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gradlens.data import load_data
from gradlens.data.batches import Batches
from gradlens.errors import GradlensError

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def save_image(path: Path, level: int = 0, size: tuple[int, int] = (12, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 2 * level, 10)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two classes of ten images, each with a different red level."""
    for index in range(20):
        save_image(tmp_path / "set" / "ab"[index % 2] / f"{index:02}.png", level=index)
    return tmp_path / "set"


def load(
    folder: Path, *, skip_bad: bool = False, start: int = 0, batches: int = 2, in_chans: int = 3
) -> Batches:
    options = {"batch_size": 4, "batches": batches, "image_size": 8, "start": start, "in_chans": in_chans}
    return load_data(str(folder), skip_bad=skip_bad, **options)  # type: ignore[arg-type]


def levels(data: Batches) -> list[int]:
    images = torch.cat([images for images, _ in data])
    return [round(float(value) * 255) for value in images[:, 0, 0, 0] * STD[0] + MEAN[0]]


def test_classes_are_the_folders_and_targets_follow_them(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / "empty").mkdir()
    (folder / "a" / "notes.txt").write_text("no image")
    data = load(folder, batches=5)
    assert data.class_names == ("a", "b")
    assert sorted(levels(data)) == list(range(20))
    targets = torch.cat([targets for _, targets in data])
    assert targets.tolist() == [level % 2 for level in levels(data)]
    assert data.identity["total"] == 20


def test_images_can_be_at_any_depth_of_their_class(tmp_path: Path) -> None:
    for index in range(4):
        save_image(tmp_path / "a" / "deep" / "er" / f"{index}.JPG", level=index)
    assert load(tmp_path, batches=1).identity["total"] == 4


def test_images_are_resized_by_the_shorter_side_and_cropped_to_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((16, 32, 3), dtype=np.uint8)
    wide[:, :8], wide[:, 24:] = 255, 255
    (tmp_path / "a").mkdir()
    for index in range(4):
        Image.fromarray(wide).save(tmp_path / "a" / f"{index}.png")
    images, _ = load(tmp_path, batches=1)[0]
    torch.testing.assert_close(images[0, :, 4, 4], -MEAN / STD)
    assert float(images.max()) < 0


def test_grey_images_have_one_channel(folder: Path) -> None:
    images, _ = load(folder, batches=1, in_chans=1)[0]
    assert images.shape == (4, 1, 8, 8)
    with pytest.raises(GradlensError, match="1 or 3 channels, not 2"):
        load(folder, in_chans=2)


def test_images_of_all_modes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for mode in ("L", "RGBA", "P", "1"):
        Image.new(mode, (9, 9)).save(tmp_path / "a" / f"{mode}.png")
    images, _ = load(tmp_path, batches=1)[0]
    assert images.isfinite().all()


def corrupt(folder: Path, level: int) -> Path:
    path = folder / "ab"[level % 2] / f"{level:02}.png"
    path.write_bytes(path.read_bytes()[:50])
    return path


def test_the_error_for_a_corrupt_image_names_its_file(folder: Path) -> None:
    first = levels(load(folder, batches=1))[0]
    path = corrupt(folder, first)
    with pytest.raises(GradlensError) as caught:
        load(folder)
    assert str(path) in str(caught.value)
    assert "skip_bad=True" in str(caught.value)


def test_a_skipped_image_is_replaced_by_the_next_and_listed(folder: Path) -> None:
    order = levels(load(folder, batches=5))
    corrupt(folder, order[1])
    data = load(folder, skip_bad=True)
    assert levels(data) == [order[0], *order[2:9]]
    assert data.identity["skipped"] == [f"{'ab'[order[1] % 2]}/{order[1]:02}.png"]


def test_reserved_batches_share_no_sample_with_later_ones(folder: Path) -> None:
    corrupt(folder, levels(load(folder, batches=1))[2])
    reserved, measured = load(folder, skip_bad=True), load(folder, skip_bad=True, start=2)
    assert not set(levels(reserved)) & set(levels(measured))
    assert len(levels(measured)) == 8


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n junk", b"\xff\xd8\xff\xe0 junk"])
def test_all_kinds_of_damage_are_errors(folder: Path, content: bytes) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(content)
    with pytest.raises(GradlensError, match="cannot be read as an image"):
        load(folder)
    with pytest.raises(GradlensError, match="20 images, 20 of them unreadable, but 2 batches of 4 need 8"):
        load(folder, skip_bad=True)


def test_the_error_for_too_few_images_states_their_number(folder: Path) -> None:
    with pytest.raises(GradlensError, match="has 20 images, but 6 batches of 4 need 24; lower"):
        load(folder, batches=6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "has neither class folders nor images"),
        (lambda folder: save_image(folder / "loose.png"), "images but no class folders"),
        (lambda folder: (folder / "a").mkdir(), "1 folders but no images"),
    ],
)
def test_the_error_for_another_layout_shows_the_expected_one(
    tmp_path: Path, make: object, message: str
) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(GradlensError, match=message) as caught:
        load(tmp_path)
    assert f"{tmp_path.name}/CLASS/IMAGE.png" in str(caught.value)


def test_the_same_files_give_the_same_tensors(folder: Path) -> None:
    first, again = load(folder), load(folder)
    assert first.identity["sha256"] == again.identity["sha256"]
    images: Tensor = first[0][0]
    assert images.is_contiguous()


def test_images_with_16_bits_keep_their_grey_levels(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for index in range(4):
        Image.fromarray(ramp).save(tmp_path / "a" / f"{index}.png")
    ((images, _),) = load_data(str(tmp_path), batch_size=4, batches=1, image_size=8)
    assert len(images[0, 0].unique()) == 64


@pytest.mark.parametrize("suffix", ["gif", "jfif", "JPG", "webp", "tiff", "bmp", "PNG", "ppm", "mpo"])
def test_every_format_that_pillow_reads_is_an_image(folder, suffix):
    formats = {"jfif": "JPEG", "mpo": "JPEG", "JPG": "JPEG", "tiff": "TIFF", "PNG": "PNG"}
    (folder / "c").mkdir()
    for index in range(4):
        image = Image.new("RGB", (12, 8), (index, 9, 9))
        image.save(folder / "c" / f"{index}.{suffix}", format=formats.get(suffix))
    batches = load(folder)
    assert batches.class_names == ("a", "b", "c")
    assert batches.identity["total"] == 24


def test_a_class_without_a_readable_format_is_named(folder):
    (folder / "videos").mkdir()
    (folder / "videos" / "0.mp4").write_bytes(b"no image")
    (folder / "empty").mkdir()
    batches = load(folder)
    assert batches.class_names == ("a", "b")
    assert batches.identity["skipped"] == ["videos/"]
