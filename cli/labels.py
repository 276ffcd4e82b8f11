"""The option ``--label`` of commands that show networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click


def _by_name(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Parse ``NAME=LABEL``; a name may contain ``=``, as ``resnet50@csp,gamma=0.25`` does, a label may not."""
    labels: dict[str, str] = {}
    for value in values:
        name, equals, label = value.rpartition("=")
        if not equals or not name or not label.strip():
            raise click.BadParameter(f"{value!r} is not a name and a label, such as resnet50=ours")
        if name in labels:
            raise click.BadParameter(f"{name} has two labels, {labels[name]!r} and {label!r}")
        labels[name] = label
    return labels


LABELS = click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_by_name,
    metavar="NAME=LABEL",
    help="Show network NAME as LABEL in tables, figures and sentences; repeatable.",
)


def check_labels(networks: Sequence[str], labels: Mapping[str, str]) -> None:
    """Check the labels before anything is measured, unless networks have equal names and get numbers later.

    Raises:
        GradlensError: a name is not known, or two networks have the same label.
    """
    if labels and len(set(networks)) == len(networks):
        from gradlens.results.labels import renamed

        renamed(networks, labels)
