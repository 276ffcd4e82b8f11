"""Where to look: the most conspicuous sites of a result, each with its value and what it means in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from gradlens.analyzers.kinds import ALIKE, DUPLICATED, DUPLICATED_PAIR, KINDS, SILENT_CALL, Of
from gradlens.numbers import TERMINAL, fixed, power_of_ten, significant
from gradlens.results import Result

TABLE, PATHS, ALARMS = "diagnosis", "paths", "alarms"
"""Tables that name sites."""
USUAL, FEW = 3, 2
"""Sites of a network by default, and the largest number of networks that have so many; of more networks, one each."""
Row = Mapping[Any, Any]


class Site(NamedTuple):
    """A layer, pair of layers, branch or fork to look at.

    Attributes:
        network: display name.
        stage: of the site.
        name: of the layer or branch; of a pair both.
        value: its number in words.
        meaning: what the number means, in plain words.
        layers: the layer, or both of a pair; empty for a fork or branch.
        fork: the fork or split; empty for layers.
        more: number of further sites of its kind, if it is the last that is shown of them; else 0.
    """

    network: str
    stage: str
    name: str
    value: str
    meaning: str
    layers: tuple[str, ...] = ()
    fork: str = ""
    more: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What the map is to show: the layers, or the fork."""
        return self.layers or (self.fork,)

    @property
    def sentence(self) -> str:
        """The meaning as a sentence of its own.

        >>> Site("net", "8", "a and b", "0.99", "similar gradients, also given the loss", ("a", "b")).sentence
        'These two layers have similar gradients, also given the loss.'
        """
        if len(self.layers) == 2:
            return f"These two layers have {self.meaning}."
        return f"{self.meaning[:1].upper()}{self.meaning[1:]}."


def conspicuous(result: Result, most: int) -> list[Site]:
    """Return up to ``most`` sites of each network but controls: the strongest of each kind, then the second strongest.

    Pairs that are alike by construction are none: they are alike in every network.

    Args:
        result: with the table ``diagnosis``, of paths, or of a watched training; others have no sites.
        most: largest number of sites of a network.
    """
    if TABLE in result.tables:
        frame = result.tables[TABLE].frame
        shown = frame[frame["network"].isin(networks_with_sites(result))]
        return [_site(row, rows) for rows in _by_network(shown, most) for row in rows]
    if PATHS in result.tables:
        return _of_paths(result.tables[PATHS].frame, most)
    if ALARMS in result.tables:
        return _of_alarms(result.tables[ALARMS].frame, most)
    return []


def usual(result: Result) -> int:
    """Return how many sites of each network are shown if no number is requested."""
    return USUAL if len(networks_with_sites(result)) <= FEW else 1


def networks_with_sites(result: Result) -> list[str]:
    """Return the networks of the table ``diagnosis`` but controls; empty without the table."""
    if TABLE not in result.tables:
        return []
    controls = set(result.meta.get("controls", {}).values())
    return [name for name in result.tables[TABLE].frame["network"].unique() if name not in controls]


def _by_network(frame: pd.DataFrame, most: int) -> Iterator[Sequence[Row]]:
    urgency = list(KINDS)
    for _, group in frame.groupby("network", sort=False):
        rows = [row for row in group.to_dict("records") if row["kind"] not in ALIKE.values()]
        with_loss = not group["given_loss"].isna().all()
        rows.sort(key=lambda row: (_expected(row, with_loss), row["rank"], urgency.index(row["kind"])))
        yield rows[:most]


def _expected(row: Row, with_loss: bool) -> bool:
    """Whether a site says little about a network: similar in every network, or a call of a layer that learns.

    A pair is similar in every network if one of the two is the loss signal, or both are one gradient.
    """
    pair = row["kind"] == DUPLICATED_PAIR
    return row["kind"] in ("one gradient", SILENT_CALL) or (
        with_loss and pair and _missing(row["given_loss"])
    )


def _site(row: Row, shown: Sequence[Row]) -> Site:
    """Return a row in words; the last one of its kind also has the number of those that are left out."""
    same = [other for other in shown if other["kind"] == row["kind"]]
    left = int(row["found"]) - len(same)
    more = left if row is same[-1] else 0
    of, site, other = KINDS[row["kind"]].of, str(row["place"]), str(row["other"] or "")
    name = {Of.PAIR: f"{site} and {other}", Of.FORK: ", ".join(filter(None, [site, other]))}.get(of, site)
    layers = {Of.PAIR: (site, other), Of.FORK: ()}.get(of, (site,))
    fork = site if of is Of.FORK else ""
    return Site(str(row["network"]), str(row["stage"]), name, _value(row), _meaning(row), layers, fork, more)


def _meaning(row: Row) -> str:
    words = KINDS[row["kind"]].words
    if KINDS[row["kind"]].of is Of.STEPS:
        return in_words(row)
    if row["kind"] != DUPLICATED_PAIR or _missing(row["given_loss"]):
        return words
    return f"{words}, {'also given the loss' if row['given_loss'] >= DUPLICATED else 'mostly because of the loss'}"


def in_words(row: Row) -> str:
    """Return what a row of a kind along time says: the gradient at one step against another."""
    first, _, last = str(row["other"]).partition(" against ")
    return (
        f"{KINDS[row['kind']].words}: the gradient at {first} is {_times(float(row['value']))} that at {last}"
    )


def _value(row: Row) -> str:
    value = float(row["value"])
    if KINDS[row["kind"]].of is Of.STEPS:
        return f"{significant(value)} times"
    return {
        "idle branch": f"{fixed(100 * value, 2)} % of the energy",
        "cancelling fork": f"coherence {_decimal(value)}",
        DUPLICATED_PAIR: _decimal(value),
        "one gradient": "1",
        "dead signal": "0",
        SILENT_CALL: "0",
    }.get(row["kind"], f"{significant(value)} times the median")


def _times(value: float) -> str:
    return f"{significant(value)} times" if value >= 1 else f"{significant(value)} of"


def _decimal(value: float) -> str:
    return fixed(value, 2, minus=TERMINAL.minus)


def _missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _of_paths(frame: pd.DataFrame, most: int) -> list[Site]:
    """Return the layers with the most paths, with the longest way by energy, and that most layers read."""
    rows = [{**row, "paths": int(row["paths"])} for row in frame.to_dict("records")]
    columns = {
        "paths": ("{} paths", "the most paths of the gradient lead here"),
        "effective_length": ("{} layers", "by energy, the gradient has the longest way to this layer"),
        "reuse": ("{} layers", "the most layers receive the gradient of this layer"),
    }
    lists = []
    for column, (value, meaning) in columns.items():
        known = [row for row in rows if not _missing(row[column]) and row[column] > 1]
        known.sort(key=lambda row: -row[column])
        lists.append(
            [
                Site(
                    row["network"],
                    row["stage"],
                    row["layer"],
                    value.format(_count(row[column])),
                    meaning,
                    (row["layer"],),
                )
                for row in known
            ]
        )
    ranks = range(max(map(len, lists), default=0))
    return [entries[rank] for rank in ranks for entries in lists if rank < len(entries)][:most]


def _of_alarms(frame: pd.DataFrame, most: int) -> list[Site]:
    """Return where each rule found something first."""
    return [
        Site(
            "",
            row["stage"],
            ", ".join(filter(None, [row["place"], row["branch"]])) or row["rule"],
            f"step {row['step']}",
            row["text"],
            fork=row["place"],
        )
        for row in frame.drop_duplicates("rule").head(most).to_dict("records")
    ]


def _count(value: float) -> str:
    """Return a count of paths or layers, or a mean number of layers; a large count as a power of ten."""
    if isinstance(value, int) or value == int(value):
        return power_of_ten(int(value))
    return f"{value:.1f}"
