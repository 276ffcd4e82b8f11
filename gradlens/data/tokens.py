"""Random tokens for models of sequences: an unlimited data set that needs no file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch

from gradlens.data.request import CLASSES, Request
from gradlens.data.samples import Samples
from gradlens.errors import GradlensError, close_matches

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
        for part in filter(None, (part.strip() for part in text.partition(":")[2].split(","))):
            key, equals, number = (piece.strip() for piece in part.partition("="))
            if not equals or key not in cls.__dataclass_fields__ or key in values:
                near = close_matches(key, cls.__dataclass_fields__)
                raise GradlensError(f"{part!r} in {text!r} is not understood; write {FORM},classes=10{near}")
            least = 1 if key == "length" else 2
            if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) < least:
                raise GradlensError(
                    f"{key} in {text!r} is {number!r}; give a whole number of at least {least}"
                )
            values[key] = int(number)
        return cls(**{"classes": classes, **values})

    def samples(self, request: Request) -> Samples:
        """Return uniform tokens ``[batches * n, length]`` int64 with uniform class targets, by the seed."""
        shape = (request.batch_size, self.length)
        tokens, targets = [], []
        for index in range(request.start, request.start + request.batches):
            generator = np.random.default_rng([request.seed, index])
            tokens.append(torch.from_numpy(generator.integers(self.vocabulary, size=shape)))
            targets.append(torch.from_numpy(generator.integers(self.classes, size=request.batch_size)))
        return Samples(torch.cat(tokens), torch.cat(targets), tuple(map(str, range(self.classes))), None)

    def __str__(self) -> str:
        """Return a description for messages."""
        return f"sequences of {self.length} tokens below {self.vocabulary} and {self.classes} classes"
