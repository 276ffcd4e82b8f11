"""Names of data with options, such as ``scenes:sizes=mixed``. No torch, so they are checked at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gradlens.errors import GradlensError, close_matches

SIZES = ("equal", "mixed")


def divided(name: str) -> tuple[str, str]:
    """Return the kind of data and the text of its options.

    >>> divided("scenes:sizes=mixed"), divided("digits")
    (('scenes', 'sizes=mixed'), ('digits', ''))
    """
    kind, _, options = name.partition(":")
    return kind.strip(), options.strip()


def options_in(name: str, keys: Collection[str], form: str) -> dict[str, str]:
    """Return the options ``key=value`` of a name of data, which are separated by commas.

    Args:
        name: ``kind:key=value,key=value``.
        keys: the allowed keys.
        form: an example of the whole name, for messages.

    Raises:
        GradlensError: an option is not known, has no value, or is repeated.

    >>> options_in("tokens:length=8", ["length"], "tokens:length=32")
    {'length': '8'}
    """
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in divided(name)[1].split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in keys or key in values:
            raise GradlensError(
                f"{part!r} in {name!r} is not understood; write {form}{close_matches(key, keys)}"
            )
        values[key] = value
    return values


@dataclass(frozen=True)
class Scenes:
    """The form of composed scenes.

    Attributes:
        sizes: ``equal``: all images are squares of the requested size; ``mixed``: height and width of each image are
            drawn between three quarters of that size and the whole.
    """

    sizes: str = "equal"

    @classmethod
    def parse(cls, name: str) -> Scenes:
        """Parse the name of scenes with their options.

        Raises:
            GradlensError: an option or its value is not known.

        >>> Scenes.parse("scenes:sizes=mixed")
        Scenes(sizes='mixed')
        """
        scenes = cls(**options_in(name, cls.__dataclass_fields__, "scenes:sizes=mixed"))
        if scenes.sizes not in SIZES:
            near = close_matches(scenes.sizes, SIZES)
            raise GradlensError(
                f"sizes of scenes are {scenes.sizes!r}; they may be {' or '.join(SIZES)}{near}"
            )
        return scenes
