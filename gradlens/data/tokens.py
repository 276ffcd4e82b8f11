"""The form of random tokens for models of sequences. No torch, so it is checked at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gradlens.data.forms import divided, options_in
from gradlens.data.request import CLASSES
from gradlens.errors import GradlensError

TOKENS = "tokens"
FORM = "tokens:length=32,vocabulary=100"
LENGTH, VOCABULARY = 32, 100


@dataclass(frozen=True)
class Tokens:
    """The form of the sequences.

    Attributes:
        length: tokens of a sequence.
        vocabulary: tokens are integers from 0 to below this.
        classes: number of classes of the targets.
    """

    length: int = LENGTH
    vocabulary: int = VOCABULARY
    classes: int = CLASSES

    @classmethod
    def parse(cls, text: str, classes: int = CLASSES) -> Tokens:
        """Parse ``tokens``, or a text such as ``FORM``; ``classes`` is the default number of classes.

        Raises:
            GradlensError: an option is not known, or not a number that is allowed.

        >>> Tokens.parse("tokens:length=8")
        Tokens(length=8, vocabulary=100, classes=10)
        """
        values: dict[str, int] = {}
        written = options_in(text, cls.__dataclass_fields__, f"{FORM},classes=10")
        for key, number in written.items():
            least = 1 if key == "length" else 2
            if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) < least:
                raise GradlensError(
                    f"{key} in {text!r} is {number!r}; give a whole number of at least {least}"
                )
            values[key] = int(number)
        return cls(**{"classes": classes, **values})

    def __str__(self) -> str:
        """Return a description for messages."""
        return f"sequences of {self.length} tokens below {self.vocabulary} and {self.classes} classes"


def is_tokens(name: str) -> bool:
    """Return whether the name of data, or of an input, is that of tokens.

    >>> is_tokens("tokens:length=8"), is_tokens("digits")
    (True, False)
    """
    return divided(name)[0] == TOKENS
