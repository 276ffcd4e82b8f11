"""The answer of a comparison as a plain sentence without numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gradlens.words.wording import Outcome, Verdict

NOTHING = {
    Outcome.UNDEFINED: "cannot be compared in gradient duplication",
    Outcome.EQUAL: "have exactly the same gradient duplication",
    Outcome.WITHIN_NOISE: "show no difference in gradient duplication beyond the noise between {noise}",
    Outcome.UNCORRECTED: "show no difference in gradient duplication that holds after Holm's correction",
}
"""Words for two networks by the outcome of a comparison that finds no difference."""
ONE_SEED = "have no measured difference in gradient duplication, because one seed has no interval"
GROUPS: Mapping[str, Callable[[str, str], str]] = {
    "less": lambda names, verb: f"{names} {verb} less",
    "more": lambda names, verb: f"{names} {verb} more",
    "depends": lambda names, _: f"for {names} it depends on how layers are counted",
    "none": lambda names, _: f"for {names} no difference holds",
    "undefined": lambda names, _: f"for {names} it is not defined",
}
"""Words for the networks with an answer, from their names and the verb, by answer in the order of the sentence."""


def answer(raw: Verdict, given_loss: Verdict, name: str, reference: str, noise: str = "seeds") -> str:
    """Return one clause that compares ``name`` with ``reference``, without its period.

    Args:
        raw: comparison of the duplication.
        given_loss: the same given the loss.
        name: of the network that is compared.
        reference: of the network that it is compared with.
        noise: what the intervals are over.
    """
    return f"{_alone(raw, name, reference, noise)}{_given_loss(raw, given_loss, name)}"


def _alone(verdict: Verdict, name: str, reference: str, noise: str) -> str:
    if verdict.clear:
        return f"{name} has {verdict.answer} gradient duplication than {reference}"
    if verdict.depends:
        more = f"{name} has less or more gradient duplication than {reference}"
        return f"whether {more} depends on how layers are counted"
    return f"{name} and {reference} {_nothing(verdict).format(noise=noise)}"


def _nothing(verdict: Verdict) -> str:
    outcomes = (verdict.duplication.outcome, verdict.similarity.outcome)
    if Outcome.UNDEFINED in outcomes:
        return NOTHING[Outcome.UNDEFINED]
    if not (verdict.duplication.has_interval and verdict.similarity.has_interval):
        return ONE_SEED
    if outcomes == (Outcome.EQUAL, Outcome.EQUAL):
        return NOTHING[Outcome.EQUAL]
    noisy = {Outcome.EQUAL, Outcome.WITHIN_NOISE} & set(outcomes)
    return NOTHING[Outcome.WITHIN_NOISE if noisy else Outcome.UNCORRECTED]


def _given_loss(raw: Verdict, given_loss: Verdict, name: str) -> str:
    """Return what is left given the loss, as a clause that follows that of the duplication."""
    if raw.answer == given_loss.answer:
        return ", also given the loss"
    if given_loss.clear:
        return f"; given the loss, {name} has {given_loss.answer}"
    return {
        "depends": "; given the loss, it depends on how layers are counted",
        "undefined": "; given the loss, they cannot be compared",
        "none": f"; given the loss, {'the difference does not hold' if raw.clear else 'no difference holds'}",
    }[given_loss.answer]


def answers(
    raw: Mapping[str, Verdict], given_loss: Mapping[str, Verdict], reference: str, missing: Sequence[str] = ()
) -> str:
    """Return one sentence that compares several networks with a reference, without its period.

    Args:
        raw: comparison of the duplication by network.
        given_loss: the same given the loss.
        reference: of the network that they are compared with.
        missing: further networks, which have no duplication.
    """
    first, second = _grouped(raw), _grouped(given_loss)
    text = f"Gradient duplication against {reference}: {first}"
    if second:
        text += ", also given the loss" if first == second else f"; given the loss, {second}"
    return text + (f"; for {_listed(missing)} it is not defined" if missing else "")


def _grouped(verdicts: Mapping[str, Verdict]) -> str:
    """Return the networks by answer: ``a and b have less, for c no difference holds``."""
    parts = []
    for group, words in GROUPS.items():
        names = [name for name, verdict in verdicts.items() if verdict.answer == group]
        if names:
            parts.append(words(_listed(names), "has" if len(names) == 1 else "have"))
    return ", ".join(parts)


def _listed(names: Sequence[str]) -> str:
    """Return names with "and" before the last: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def opened(text: str) -> str:
    """Return a clause as the opening of a sentence; the name of a network keeps its first letter."""
    return f"W{text[1:]}" if text.startswith("whether ") else text
