"""Defaults that depend on the data."""

from __future__ import annotations

import pytest

from gradlens.studies.options import Study, study_of


@pytest.mark.parametrize("data", ["scenes", "scenes:sizes=mixed", "coco:boxes.json"])
def test_data_with_boxes_have_smaller_defaults_that_can_be_set(data: str) -> None:
    study = study_of({"data": data, "image_size": None, "batch_size": 4})
    assert (study.image_size, study.batch_size) == (96, 4)
    assert study_of({"data": data, "image_size": 64}).image_size == 64


@pytest.mark.parametrize("data", ["digits", "random", "photos", ""])
def test_other_data_have_the_declared_defaults(data: str) -> None:
    study = study_of({"data": data, "image_size": None, "batch_size": None})
    assert (study.image_size, study.batch_size) == (Study().image_size, Study().batch_size) == (64, 32)
