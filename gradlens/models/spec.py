"""What stands behind the ``@`` of a model name: ``resnet50@csp,gamma=0.25,partial=project``."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gradlens.errors import GradlensError, close_matches
from gradlens.models.cspify import PARTIALS, check_options
from gradlens.models.stems import STEMS

FORM = "NAME@strategy,gamma=0.5,partial=split,stem=cifar"


@dataclass(frozen=True)
class CspSpec:
    """How a network is made cross stage partial.

    Attributes:
        strategy: a key of ``TRANSITIONS``.
        gamma: share of channels that goes round the block.
        partial: ``split`` or ``project``.
        stem: ``cifar`` for a stem that keeps the resolution of small images, empty for the network's own.
    """

    strategy: str = "csp"
    gamma: float = 0.5
    partial: str = "split"
    stem: str = ""

    def __str__(self) -> str:
        """As it stands in a name, without what is the default."""
        plain = CspSpec(self.strategy)
        own = [
            field.name for field in fields(self) if getattr(self, field.name) != getattr(plain, field.name)
        ]
        return ",".join([self.strategy, *(f"{name}={getattr(self, name)}" for name in own)])


def split_name(name: str) -> tuple[str, CspSpec | None]:
    """A model name without what stands behind its ``@``, and what that says.

    Raises:
        GradlensError: an unknown strategy or option, or a value that is not allowed.

    >>> split_name("densenet121@fusion_first,gamma=0.25")
    ('densenet121', CspSpec(strategy='fusion_first', gamma=0.25, partial='split', stem=''))
    """
    base, mark, text = name.rpartition("@")
    if not mark or any(part in text for part in ("/", ".py", ".cfg")):  # a path may have an @ in it
        return name, None
    strategy, *options = (part.strip() for part in text.split(","))
    values = dict(_option(name, option) for option in options)
    if len(values) < len(options):
        raise GradlensError(f"{name!r} gives an option twice; write {FORM}")
    spec = CspSpec(strategy, _gamma(name, values.pop("gamma", "0.5")), **values)
    check_options(spec.strategy, spec.gamma, spec.partial)
    if spec.stem not in ("", *STEMS):
        raise GradlensError(f"stem={spec.stem!r} is not known; use {', '.join(STEMS)}, or leave it out")
    return base, spec


def _option(name: str, text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    known = {"gamma": "0.5", "partial": PARTIALS[0], "stem": STEMS[0]}
    if not mark or key not in known:
        example = ", ".join(f"{option}={given}" for option, given in known.items())
        raise GradlensError(
            f"{text!r} in {name!r} is not an option; write {FORM} (options: {example}){close_matches(key, known)}"
        )
    return key, value


def _gamma(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise GradlensError(f"gamma={value!r} in {name!r} is not a number between 0 and 1") from None
