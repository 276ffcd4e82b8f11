"""Lines about the samples with boxes that a study measured: notes, no limits of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradlens.catalogue.datasets import NARROW
from gradlens.words.starting import is_about_start

DEFAULTS = "the defaults for data with boxes"
LEFT_OUT = "left out of the boxes of the file"


def smaller_defaults(used: Mapping[str, int]) -> list[str]:
    """Return a line about the defaults that are smaller than usual for data with boxes; empty if none was used."""
    if not used:
        return []
    values = " and ".join(f"{name}={value}" for name, value in used.items())
    verb = "is one of" if len(used) == 1 else "are"
    return [f"{values} {verb} {DEFAULTS}, because detectors take long; set them for more"]


def left_out_boxes(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line about the boxes of a COCO file that are not in its samples; empty if all are.

    Args:
        identities: of the samples of each seed.
    """
    counts: dict[str, int] = {}
    for identity in identities:
        for reason, count in identity.get("left_out", {}).items():
            counts[reason] = counts.get(reason, 0) + count if reason == NARROW else count
    of_file = [f"{count} {reason}" for reason, count in counts.items() if reason != NARROW]
    narrow = [f"{counts[NARROW]} {NARROW} in the measured images"] if counts.get(NARROW) else []
    if not of_file and not narrow:
        return []
    remedy = ["a larger image_size= keeps more of the narrow ones"] if narrow else []
    return ["; ".join([f"{LEFT_OUT}: {', '.join([*of_file, *narrow])}", *remedy])]


def is_note(text: str) -> bool:
    """Return whether a line of a result is a note, while the others are warnings."""
    return is_about_start(text) or DEFAULTS in text or text.startswith(LEFT_OUT)
