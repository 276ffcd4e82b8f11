"""Other names for the networks of a result, applied to all of its tables and texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gradlens.catalogue.transitions import STRATEGY_OF, strategies_by_label, strategy_in
from gradlens.errors import GradlensError, close_matches

COLUMNS = ("network", "network_a", "network_b", "a", "b", "strategy")
"""Columns that hold names of networks."""

NAMED = ("a", "b", "networks", "strategies", "controls")
"""Entries of the metadata that hold names of networks."""


def renamed(networks: Iterable[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the label of each network: its name, if it has none.

    Args:
        networks: their names.
        labels: labels by name, for some of them or all.

    Raises:
        GradlensError: the labels are not by name, a name is not known, a label is empty or not one line, or two
            networks have the same.

    >>> renamed(["resnet50", "cspresnet50"], {"resnet50": "ours"})
    {'resnet50': 'ours', 'cspresnet50': 'cspresnet50'}
    """
    names = list(dict.fromkeys(networks))
    if not isinstance(labels, Mapping):
        raise GradlensError(f"labels= is {labels!r}; give labels by name, such as {{{names[0]!r}: 'ours'}}")
    for name, label in labels.items():
        if name not in names:
            raise GradlensError(
                f"labels= names {name!r}, which is no network here; there are {', '.join(names) or 'none'}"
                f"{close_matches(name, names)}"
            )
        if not isinstance(label, str) or not label.strip() or len(label.splitlines()) > 1:
            raise GradlensError(f"labels= gives {name} the label {label!r}; give a text of one line")
    result = {name: labels[name].strip() if name in labels else name for name in names}
    for name, label in result.items():
        first = next(other for other in names if result[other] == label)
        if first != name:
            raise GradlensError(
                f"labels= gives {first} and {name} the same label {label!r}; give each network a label of its own"
            )
    return result


def names_in(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Return the names of the networks in some frames, in order of appearance."""
    return list(
        dict.fromkeys(
            str(name)
            for frame in frames
            for column in COLUMNS[:3]
            if column in frame
            for name in frame[column]
        )
    )


def relabelled_frame(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return a frame with other names of networks, which keep the colours of their transition strategies."""
    columns = {
        name: frame[name].map(lambda value: names.get(str(value), value)) for name in COLUMNS if name in frame
    }
    copy = frame.assign(**columns)
    copy.attrs = {**frame.attrs}
    strategies = _strategies(frame.attrs.get(STRATEGY_OF, {}), names)
    if strategies:
        copy.attrs[STRATEGY_OF] = strategies
    return copy


def relabelled_text(text: str, names: Mapping[str, str]) -> str:
    """Return a text with other names of networks, each as a whole: ``resnet50`` is not a part of ``cspresnet50``.

    >>> relabelled_text("resnet50 and cspresnet50, not resnet50@csp", {"resnet50": "ours"})
    'ours and cspresnet50, not resnet50@csp'
    """
    if not names:
        return text
    longest_first = sorted(names, key=len, reverse=True)
    pattern = rf"(?<![\w@:/.=-])({'|'.join(map(re.escape, longest_first))})(?![\w@/-]|[.:=,]\w| of\b)"
    return re.sub(pattern, lambda match: names[match[1]], text)


def relabelled_meta(meta: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a result with other names of networks, and the labels themselves as ``labels``."""
    changed = {name: label for name, label in names.items() if name != label}
    copy = {key: _renamed(value, names) if key in NAMED else value for key, value in meta.items()}
    if isinstance(meta.get("models"), Mapping):
        copy["models"] = {names.get(name, name): model for name, model in meta["models"].items()}
    strategies = _strategies(strategies_by_label(meta), names)
    if strategies:
        copy[STRATEGY_OF] = strategies
    earlier = {name: changed.pop(label, label) for name, label in dict(meta.get("labels") or {}).items()}
    return {**copy, "labels": {**earlier, **changed}}


def _renamed(value: object, names: Mapping[str, str]) -> object:
    """Return names in a text, a list, or keys and values of a mapping; other values are left."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, (list, tuple)):
        return [_renamed(item, names) for item in value]
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    return value


def _strategies(known: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the strategies by the new names; those that only the old names contain, too."""
    by_name = {**{name: strategy_in(name) for name in names}, **known}
    return {names.get(name, name): strategy for name, strategy in by_name.items() if strategy}
