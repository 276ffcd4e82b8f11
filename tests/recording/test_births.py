"""Births in words."""

from __future__ import annotations

import pytest

from gradlens.recording.births import BACKWARD, FORWARD, INFINITY, INPUTS, NAN, Birth

LOG = Birth(
    FORWARD, "head:log", INFINITY, "float32", (2,), 8, largest=1.5, swallowed=("head:where", "head:clamp")
)


@pytest.mark.parametrize(
    ("birth", "text"),
    [
        (
            LOG,
            "head:log: makes infinity from finite values up to 1.5 (float32) in the forward pass, in sample 2 of 8; "
            "it is swallowed by head:where, head:clamp",
        ),
        (
            Birth(FORWARD, "a:conv", INFINITY, "float16", (), 8, largest=4e4, spread=tuple("bcdefg")),
            "a:conv: makes infinity from finite values up to 4e+04 (float16, largest value 65504) in the forward pass; "
            "it spreads through b, c, d and 3 more, up to g",
        ),
        (
            Birth(
                BACKWARD,
                "head:log",
                NAN,
                "float32",
                (2,),
                8,
                slot=0,
                producer="head:abs",
                backward=1,
                earlier=LOG,
            ),
            "head:log: makes NaN from finite gradients (float32) in backward pass 1, in the gradient of its input 0, "
            f"head:abs, in sample 2 of 8; before, {LOG}",
        ),
        (
            Birth(FORWARD, "a:softmax", NAN, "float32", (0, 1), 2, source="a:maskedfill"),
            "a:softmax: makes NaN from an infinite constant of a:maskedfill (float32) in the forward pass, in all 2 "
            "samples",
        ),
        (
            Birth(BACKWARD, "(loss)", NAN, "float32", (0, 3), 4, backward=0),
            "(loss): backward pass 0 brings NaN to the outputs of the model, in samples 0 and 3 of 4",
        ),
        (
            Birth(FORWARD, INPUTS, NAN, "float32", (1,), 4, before=True),
            "(inputs): NaN was here before the step, in sample 1 of 4",
        ),
    ],
    ids=["swallowed", "overflow", "backward", "mask", "loss", "inputs"],
)
def test_a_birth_is_a_sentence(birth: Birth, text: str) -> None:
    assert str(birth) == text
