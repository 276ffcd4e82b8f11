"""The network that a name describes: ``resnet50@csp,gamma=0.25,partial=project``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from gradlens.catalogue.transitions import (
    CUT,
    FLOPS,
    GAMMA,
    GAMMA_HELP,
    NARROW,
    OPTIONS,
    PARTIAL,
    PARTIALS,
    STEM,
    STEM_HELP,
    STEMS,
    STRATEGIES,
    check_options,
    has_control,
    split_strategy,
)
from gradlens.errors import GradlensError, close_matches
from gradlens.models.naming import Source, source
from gradlens.options import documented, option

FORM = ",".join(["NAME@strategy", *(f"{name}={values[0]}" for name, values in OPTIONS.items())])


@documented
@dataclass(frozen=True)
class CspSpec:
    """How a network is made cross stage partial.

    Raises:
        GradlensError: an unknown strategy or stem, or a value that is not allowed.
    """

    strategy: str = option("csp", "A key of ``TRANSITIONS``.")
    gamma: float = option(GAMMA, f"{GAMMA_HELP}.")
    partial: str = option(PARTIAL, f"One of {', '.join(PARTIALS)}.")
    stem: str = option(STEM, f"{STEM_HELP}.")
    cut: str = option(CUT, "Channels of a split that bypass the block: first or random.")

    def __post_init__(self) -> None:
        check_options(self.strategy, self.gamma, self.partial, self.cut, known=_strategies())
        if self.stem not in (STEM, *STEMS):
            raise GradlensError(f"stem {self.stem!r} is not known; use {', '.join(STEMS)}, or leave it out")

    def __str__(self) -> str:
        """Return the text after the ``@`` of a name, without default values."""
        options = {field.name: field.default for field in fields(self) if field.name != "strategy"}
        changed = [name for name, default in options.items() if getattr(self, name) != default]
        values = {name: getattr(self, name) for name in changed}
        return ",".join([self.strategy, *(f"{name}={_written(value)}" for name, value in values.items())])

    @property
    def changes(self) -> bool:
        """Whether the network differs from the unchanged one."""
        return self.strategy != "none" or bool(self.stem)


def csp_specs(
    strategies: Iterable[str], gammas: Sequence[float], partials: Sequence[str], stem: str = STEM
) -> Iterator[CspSpec]:
    """Yield every combination of strategies, gammas and partials that differs from the others.

    Raises:
        GradlensError: a list is empty, or a value is not allowed.
    """
    for name, values in (("gamma", gammas), ("partial", partials)):
        if not values:
            raise GradlensError(f"{name}= is empty; give at least one value, or leave it out")
    if not strategies:
        raise GradlensError("strategies= is empty; give at least one")
    for strategy in dict.fromkeys(strategies):
        for gamma in gammas if strategy != "none" else (GAMMA,):
            for partial in partials if strategy != "none" and gamma else (PARTIAL,):
                yield CspSpec(strategy, gamma, partial, stem)


@dataclass(frozen=True)
class NetworkSpec:
    """A network to build: the name of a model, and how that model is made cross stage partial.

    Attributes:
        base: name of the model, in one of the forms that ``naming.source`` reads.
        csp: its transition strategy; None leaves the model as its library builds it.
        twin: strategy of the network to whose FLOPs the model is narrowed; None does not narrow it.
    """

    base: str
    csp: CspSpec | None = None
    twin: CspSpec | None = None

    @classmethod
    def parse(cls, name: str) -> NetworkSpec:
        """Parse a name; the text after its last ``@`` is the transition strategy with its options.

        Raises:
            GradlensError: an unknown strategy or option, or a value that is not allowed.

        >>> NetworkSpec.parse("densenet121@fusion_first,gamma=0.25").csp
        CspSpec(strategy='fusion_first', gamma=0.25, partial='split', stem='', cut='first')
        >>> str(NetworkSpec.parse("resnet50@narrow, flops=csp, gamma=0.5"))
        'resnet50@narrow,flops=csp'
        """
        base, text = split_strategy(name)
        if base == name:
            return cls(name)
        strategy, *options = (part.strip() for part in text.split(","))
        values = dict(_option(name, part) for part in options)
        if len(values) < len(options):
            raise GradlensError(f"{name!r} contains an option twice; write {FORM}")
        gamma = _gamma(name, values.pop("gamma")) if "gamma" in values else GAMMA
        if strategy != NARROW and FLOPS in values:
            raise GradlensError(
                f"{FLOPS}= in {name!r} belongs to {NARROW}; write {base}@{NARROW},{FLOPS}={strategy}"
            )
        if strategy != NARROW:
            return cls(base, CspSpec(strategy, gamma, **values))
        if FLOPS not in values:
            raise GradlensError(f"{name!r} names no strategy to match; write {base}@{NARROW},{FLOPS}=csp")
        return cls(base, twin=CspSpec(values.pop(FLOPS), gamma, **values))

    def __str__(self) -> str:
        """Return the name in its shortest form."""
        if self.twin is not None:
            return f"{self.base}@{NARROW},{FLOPS}={self.twin}"
        return self.base if self.csp is None else f"{self.base}@{self.csp}"

    def with_strategy(self, csp: CspSpec) -> NetworkSpec:
        """Return the network with a strategy.

        Raises:
            GradlensError: it has a strategy already.
        """
        if self.twin is not None:
            raise GradlensError(f"'{self}' is narrowed to the FLOPs of a strategy; give {self.base!r}")
        if self.csp is not None:
            raise GradlensError(
                f"'{self}' has a strategy already; give {self.base!r} and strategies={self.csp.strategy!r}"
            )
        return NetworkSpec(self.base, csp)

    @property
    def changes(self) -> bool:
        """Whether the network differs from the model as its library builds it."""
        return self.twin is not None or (self.csp is not None and self.csp.changes)

    @property
    def control(self) -> NetworkSpec | None:
        """The same network with its transitions but without its cut; None if it adds no transitions or has no cut."""
        csp = self.csp
        if csp is None or not csp.gamma or not has_control(csp.strategy):
            return None
        return NetworkSpec(self.base, CspSpec(csp.strategy, 0, stem=csp.stem))

    @property
    def narrowed(self) -> NetworkSpec:
        """The model without a strategy, narrowed to the FLOPs of this network."""
        return NetworkSpec(self.base, twin=self.csp and replace(self.csp, cut=CUT))

    @property
    def source(self) -> Source:
        """The library or file that the model comes from.

        Raises:
            GradlensError: the base has no known form, or its library does not have the model.
        """
        return source(self.base)


def _strategies() -> Collection[str]:
    """Return the names of the strategies; those that a program adds are known once it has loaded their classes."""
    loaded = sys.modules.get("gradlens.models.transitions")
    return tuple(STRATEGIES if loaded is None else loaded.TRANSITIONS)


def _option(name: str, text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or key not in (*OPTIONS, FLOPS):
        raise GradlensError(
            f"{text!r} in {name!r} is not an option; write {FORM}{close_matches(key, OPTIONS)}"
        )
    return key, value


def _written(value: float | str) -> str:
    """Return a value in its shortest form: 0 instead of 0.0."""
    return value if isinstance(value, str) else repr(int(value) if value == int(value) else value)


def _gamma(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise GradlensError(f"gamma {value!r} in {name!r} is not a number from 0 to below 1") from None
