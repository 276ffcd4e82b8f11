"""Clips of moving digits, and pairs of images with the motion between them."""

from __future__ import annotations

import torch

from gradlens.data import load_data

OPTIONS = {"batch_size": 6, "batches": 2, "image_size": 32}


def test_clips_have_frames_and_classes_and_are_a_function_of_the_seed() -> None:
    data = load_data("clips", **OPTIONS)  # type: ignore[arg-type]
    clips, classes = data[0]
    assert clips.shape == (6, 3, 8, 32, 32)
    assert classes.shape == (6,)
    assert (data.task, data.num_classes) == ("video", 10)
    again, other = (load_data("clips", seed=seed, **OPTIONS) for seed in (0, 1))  # type: ignore[arg-type]
    assert torch.equal(clips, again[0][0])
    assert not torch.equal(clips, other[0][0])


def test_a_clip_moves_evenly_and_its_ground_stands_still() -> None:
    clips, _ = load_data("clips", **OPTIONS)[0]  # type: ignore[arg-type]
    changes = (clips[:, 0, 1:] - clips[:, 0, :-1]).abs().amax(dim=(2, 3))
    moving = changes.amax(dim=1) > 0
    assert moving.any()
    assert (changes[moving] > 0).all()
    steady = (clips[:, 0] - clips[:, 0, :1]).abs().amax(dim=1) == 0
    assert (steady.float().mean(dim=(1, 2)) > 0.2).all()


def test_the_second_image_is_the_first_moved_by_the_flow() -> None:
    """Each pixel with motion is found again where its motion leads: a plain loop over pixels."""
    data = load_data("motion", **OPTIONS)  # type: ignore[arg-type]
    assert (data.task, data.num_classes) == ("flow", 0)
    seen = 0
    for pairs, flows in data:
        assert pairs.shape == (6, 2, 3, 32, 32)
        assert float(pairs.min()) >= 0
        assert float(pairs.max()) <= 1
        for (first, second), flow in zip(pairs, flows, strict=True):
            for y, x in (flow != 0).any(dim=0).nonzero().tolist():
                right, down = (int(value) for value in flow[:, y, x])
                assert torch.equal(second[:, y + down, x + right], first[:, y, x])
                seen += 1
    assert seen > 100
