"""The plain sentence about a comparison agrees with the verdicts of the duplication, as measured and given the loss."""

import itertools
import math

import pytest

from gradlens.words.answers import answer, answers
from gradlens.words.wording import Contrast, Verdict

NAN = math.nan
LESS = Contrast(0.5, 0.4, -0.1, -0.15, -0.05, 0.01)
MORE = LESS.reversed()
NOISE = Contrast(0.5, 0.4, -0.1, -0.3, 0.1, 0.2)
REJECTED = Contrast(0.5, 0.4, -0.1, -0.15, -0.05, 0.2)
EQUAL = Contrast(0.5, 0.5, 0.0, 0.0, 0.0, 1.0)
ONE_SEED = Contrast(0.5, 0.4, -0.1, NAN, NAN)
UNDEFINED = Contrast(NAN, 0.4, NAN, NAN, NAN)


def verdict(duplication, similarity=None):
    return Verdict(duplication, similarity or duplication, 20)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (verdict(LESS), "b has less gradient duplication than a"),
        (verdict(MORE), "b has more gradient duplication than a"),
        (
            verdict(LESS, MORE),
            "whether b has less or more gradient duplication than a depends on how layers are counted",
        ),
        (
            verdict(NOISE, NOISE),
            "b and a show no difference in gradient duplication beyond the noise between seeds",
        ),
        (
            verdict(REJECTED, NOISE),
            "b and a show no difference in gradient duplication beyond the noise between seeds",
        ),
        (
            verdict(NOISE, EQUAL),
            "b and a show no difference in gradient duplication beyond the noise between seeds",
        ),
        (
            verdict(REJECTED),
            "b and a show no difference in gradient duplication that holds after Holm's correction",
        ),
        (verdict(EQUAL), "b and a have exactly the same gradient duplication"),
        (
            verdict(ONE_SEED),
            "b and a have no measured difference in gradient duplication, because one seed has no interval",
        ),
        (verdict(UNDEFINED), "b and a cannot be compared in gradient duplication"),
    ],
)
def test_an_outcome_has_one_sentence(raw, sentence):
    assert answer(raw, raw, "b", "a") == f"{sentence}, also given the loss"


@pytest.mark.parametrize(
    ("raw", "given_loss", "rest"),
    [
        (LESS, NOISE, "; given the loss, the difference does not hold"),
        (LESS, MORE, "; given the loss, b has more"),
        (LESS, UNDEFINED, "; given the loss, they cannot be compared"),
        (NOISE, LESS, "; given the loss, b has less"),
        (NOISE, REJECTED, ", also given the loss"),
        (UNDEFINED, NOISE, "; given the loss, no difference holds"),
    ],
)
def test_what_is_left_given_the_loss_follows(raw, given_loss, rest):
    assert answer(verdict(raw), verdict(given_loss), "b", "a").endswith(rest)
    assert answer(verdict(raw), verdict(LESS, NOISE), "b", "a").endswith(
        "; given the loss, it depends on how layers are counted"
    )


def test_no_sentence_has_a_number_or_a_parenthesis():
    contrasts = (LESS, MORE, NOISE, REJECTED, EQUAL, ONE_SEED, UNDEFINED)
    verdicts = [verdict(*pair) for pair in itertools.product(contrasts, repeat=2)]
    for raw, given_loss in itertools.product(verdicts, repeat=2):
        text = answer(raw, given_loss, "b", "a")
        assert not set("()0123456789") & set(text)


def test_several_networks_are_grouped_by_their_answer():
    raw = {"b": verdict(LESS), "c": verdict(NOISE), "d": verdict(LESS), "e": verdict(MORE)}
    given_loss = {**raw, "e": verdict(LESS, NOISE)}
    same = "b and d have less, e has more, for c no difference holds"
    assert answers(raw, raw, "a") == f"Gradient duplication against a: {same}, also given the loss"
    assert answers(raw, given_loss, "a", ["f"]) == (
        f"Gradient duplication against a: {same}; given the loss, b and d have less, for e it depends on how layers "
        "are counted, for c no difference holds; for f it is not defined"
    )
