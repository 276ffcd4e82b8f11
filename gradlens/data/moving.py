"""Digits that move over a textured ground: clips with classes, and pairs of images with their optical flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from gradlens.catalogue.datasets import FLOW, FRAMES, VIDEO
from gradlens.data.digits import digit_samples
from gradlens.data.request import Request
from gradlens.data.samples import Samples

SHARE = 0.5
"""Side of a digit in shares of the image's."""
INK = 0.3
"""Smallest value of a pixel that belongs to the digit, where the ink is 0 to 1."""
REACH = 0.25
"""Largest way of a digit along one axis over all frames, in shares of the image's side."""


def clip_samples(request: Request) -> Samples:
    """Return clips ``[n, c, t, h, w]`` of one digit that moves evenly, with its class as target."""
    digits, generator = _digits(request), _generator(request)
    clips = [_moved(digit, request.image_size, FRAMES, generator)[0] for digit in digits.images]
    frames = torch.stack(clips).unsqueeze(1).repeat(1, request.in_chans, 1, 1, 1)
    return replace(digits, images=frames, task=VIDEO)


def flow_samples(request: Request) -> Samples:
    """Return pairs of images ``[n, 2, c, h, w]`` in [0, 1] and the motion from the first to the second.

    The targets are ``[n, 2, h, w]`` in pixels (x, then y): exact where the digit of the first image has ink, and 0 on
    the ground, which does not move.
    """
    digits, generator = _digits(request), _generator(request)
    pairs = [_moved(digit, request.image_size, 2, generator) for digit in digits.images]
    images = torch.stack([frames for frames, _ in pairs]).unsqueeze(2).repeat(1, 1, request.in_chans, 1, 1)
    return Samples(images, torch.stack([flow for _, flow in pairs]), (), digits.total, task=FLOW)


def _digits(request: Request) -> Samples:
    """Return the digits of a request with the side that they have in the frames, ``[n, 1, h, w]``, ink 0 to 1."""
    side = max(int(request.image_size * SHARE), 1)
    digits = digit_samples(replace(request, in_chans=1, image_size=8))
    low, high = digits.images.min(), digits.images.max()  # type: ignore[union-attr]
    ink = (digits.images - low) / (high - low)  # type: ignore[operator]
    return replace(digits, images=interpolate(ink, size=(side, side), mode="bilinear", align_corners=False))


def _generator(request: Request) -> np.random.Generator:
    return np.random.default_rng([request.seed, request.start])


def _moved(digit: Tensor, side: int, frames: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return ``frames`` images ``[t, h, w]`` of a digit in even motion, and the flow of the first, ``[2, h, w]``."""
    ink = digit[0]
    room, reach = side - ink.shape[-1], int(side * REACH) // (frames - 1)
    step = generator.integers(-reach, reach + 1, size=2)
    start = np.array([_start(room, int(way) * (frames - 1), generator) for way in step])
    ground = _ground(side, generator)
    images = ground.repeat(frames, 1, 1)
    flow = torch.zeros(2, side, side)
    for frame in range(frames):
        left, top = (start + frame * step).tolist()
        inside = images[frame, top : top + ink.shape[0], left : left + ink.shape[1]]
        inside.copy_(torch.where(ink > INK, ink, inside))
        if frame == 0:
            part = flow[:, top : top + ink.shape[0], left : left + ink.shape[1]]
            part.copy_((ink > INK) * torch.tensor(step, dtype=torch.float32)[:, None, None])
    return images, flow


def _start(room: int, way: int, generator: np.random.Generator) -> int:
    """Return a first position from which a way stays inside the image."""
    return int(generator.integers(max(-way, 0), min(room - way, room) + 1))


def _ground(side: int, generator: np.random.Generator) -> Tensor:
    """Return a texture in [0, 0.3]: smooth noise of two scales."""
    layers: list[NDArray[np.float64]] = [generator.random((max(side // size, 2),) * 2) for size in (4, 16)]
    smooth = [
        interpolate(torch.from_numpy(layer)[None, None].float(), size=(side, side), mode="bilinear")[0]
        for layer in layers
    ]
    return 0.15 * (smooth[0] + smooth[1])
