"""Warnings in brief: equal ones of several networks are one."""

import pytest

from gradlens.words.brief import all_in_brief

UNLIKE = {
    "another remedy": ["a: few samples; use batch_size=64", "b: few samples; use batch_size=128"],
    "names that differ by a number": [
        "not a fair comparison: resnet50 in train mode, net in eval",
        "not a fair comparison: resnet101 in train mode, net in eval",
    ],
    "another sentence": ["a: 3 signals are dead", "b: 3 layers are frozen"],
    "pairs of networks": ["a and b differ in size: 3 and 4 layers", "a and c differ in size: 3 and 5 layers"],
    "no subject": ["no forks among 3 sites", "no forks among 4 sites"],
}


@pytest.mark.parametrize("texts", UNLIKE.values(), ids=UNLIKE)
def test_warnings_that_differ_in_more_than_network_and_numbers_stay_apart(texts):
    assert list(all_in_brief(texts)) == texts


@pytest.mark.parametrize(
    ("texts", "brief"),
    [
        (["a: varies 1.5-fold", "a: varies 10.0-fold", "b: varies 4.0-fold"], "a, b: varies 1.5–10.0-fold"),
        (["a: 3 of 9 signals are dead", "b: 3 of 9 signals are dead"], "a, b: 3 of 9 signals are dead"),
        (["a: 1 of 9 and 2 of 4", "b: 3 of 7 and 2 of 5"], "a, b: 1–3 of 7–9 and 2 of 4–5"),
        (["torchvision:resnet50: one seed", "b: one seed"], "torchvision:resnet50, b: one seed"),
        (["csp: one seed", "csp, transitions only: one seed"], "csp; csp, transitions only: one seed"),
        (["one seed (of 3)", "one seed (of 4)"], "one seed"),
        (["a: 2.30 to 1.20, use lr=0.1", "b: 2.3 to 1.00, use lr=0.1"], "a, b: 2.30 to 1.00–1.20, use lr=0.1"),
    ],
)  # fmt: skip
def test_warnings_of_several_networks_are_one_with_the_range_of_their_numbers(texts, brief):
    assert all_in_brief(texts) == {brief: texts}
