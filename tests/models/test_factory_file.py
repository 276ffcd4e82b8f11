"""path/file.py:factory: its arguments, its imports, and the errors for its mistakes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gradlens.errors import GradlensError
from gradlens.models import load_model

NET = "from torch import nn\n"


def write_file(folder: Path, text: str, name: str = "net.py") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(NET + text)
    return str(folder / name)


def test_only_accepted_arguments_are_passed(tmp_path: Path) -> None:
    file = write_file(tmp_path, "def tiny(num_classes, width=4):\n    return nn.Linear(width, num_classes)\n")
    model = load_model(f"{file}:tiny", num_classes=3, in_chans=1, image_size=64)
    assert (model.in_features, model.out_features) == (4, 3)
    assert model.training


def test_either_spelling_of_the_image_size_is_passed(tmp_path: Path) -> None:
    text = (
        "def a(img_size=1):\n    return nn.Linear(img_size, 1)\n"
        "def b(image_size=1):\n    return nn.Linear(image_size, 1)\n"
    )
    file = write_file(tmp_path, text)
    assert [load_model(f"{file}:{name}", image_size=5).in_features for name in "ab"] == [5, 5]


def test_a_factory_with_keywords_gets_classes_and_channels_but_no_size(tmp_path: Path) -> None:
    file = write_file(
        tmp_path, "def net(**options):\n    m = nn.Identity()\n    m.options = options\n    return m\n"
    )
    model = load_model(f"{file}:net", num_classes=3, in_chans=1, image_size=64)
    assert model.options == {"num_classes": 3, "in_chans": 1}


def test_a_class_is_a_factory_too(tmp_path: Path) -> None:
    file = write_file(
        tmp_path, "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 3)\n"
    )
    assert type(load_model(f"{file}:Net")).__name__ == "Net"


def test_modules_of_the_same_folder_can_be_imported_and_do_not_mix(tmp_path: Path) -> None:
    text = "def net():\n    import blocks\n    return nn.Linear(1, blocks.WIDTH)\n"
    files = [write_file(tmp_path / name, text) for name in ("one", "two")]
    for width, name in ((1, "one"), (2, "two")):
        (tmp_path / name / "blocks.py").write_text(f"WIDTH = {width}\n")
    before = list(sys.path)
    assert [load_model(f"{file}:net").out_features for file in files] == [1, 2]
    assert sys.path == before
    assert "blocks" not in sys.modules


def test_the_weights_follow_the_seed(tmp_path: Path) -> None:
    file = write_file(tmp_path, "def net():\n    return nn.Linear(3, 3)\n")
    first, again = (load_model(f"{file}:net", seed=4).weight for _ in range(2))
    assert bool((first == again).all())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "factory", "message"),
    [
        ("def small():\n    return nn.Linear(1, 1)\n", "smal", "did you mean small?"),
        ("def build():\n    return nn.Linear(1, 1)\n", "xyz", "it has build"),
        ("build = 3\n", "build", "is a int, not a function"),
        ("def net():\n    raise ValueError('too\\nbad')\n", "net", "raised ValueError: too bad"),
        ("def net(depth):\n    return nn.Linear(1, 1)\n", "net", "raised TypeError"),
        ("def net():\n    return 3\n", "net", "returned a int"),
        ("def net(:\n", "net", "cannot be run: SyntaxError"),
        ("import no_such_package\ndef net():\n    pass\n", "net", "No module named 'no_such_package'"),
    ],
)
def test_the_error_for_a_mistake_in_the_file_is_one_line(
    tmp_path: Path, text: str, factory: str, message: str
) -> None:
    before = list(sys.path)
    with pytest.raises(GradlensError) as caught:
        load_model(f"{write_file(tmp_path, text)}:{factory}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sys.path == before


def test_an_exception_of_the_factory_is_the_cause_of_the_error(tmp_path: Path) -> None:
    file = write_file(tmp_path, "def net():\n    raise ValueError('bad')\n")
    with pytest.raises(GradlensError) as caught:
        load_model(f"{file}:net")
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_error_for_a_missing_file_suggests_similar_names(tmp_path: Path) -> None:
    write_file(tmp_path, "")
    with pytest.raises(GradlensError, match=r"no file .*nett\.py; did you mean net\.py\?"):
        load_model(f"{tmp_path}/nett.py:net")
    with pytest.raises(GradlensError, match="no folder"):
        load_model(f"{tmp_path}/nowhere/net.py:net")


def test_pretrained_weights_for_a_file_are_an_error(tmp_path: Path) -> None:
    file = write_file(tmp_path, "def net():\n    return nn.Linear(1, 1)\n")
    with pytest.raises(GradlensError, match="checkpoint=FILE"):
        load_model(f"{file}:net", pretrained=True)
