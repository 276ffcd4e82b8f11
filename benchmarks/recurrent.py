"""Recurrent networks of the gallery: a tanh recurrence forgets early steps, gated cells that start open keep them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 48


class Reader(nn.Module):
    """Reads a sequence of tokens and classifies it by its last state.

    Args:
        kind: ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``.
        num_classes: of the head.
    """

    def __init__(self, kind: type[nn.RNNBase], num_classes: int) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(100, WIDTH), nn.Linear(WIDTH, num_classes)
        self.rnn = kind(WIDTH, WIDTH, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits."""
        return self.head(self.rnn(self.words(tokens))[0][:, -1])


def tanh(num_classes: int = 10) -> nn.Module:
    """Return a network with a tanh recurrence, as torch initialises it."""
    return Reader(nn.RNN, num_classes)


def lstm(num_classes: int = 10) -> nn.Module:
    """Return an LSTM whose forget gates start open (bias 2)."""
    model = Reader(nn.LSTM, num_classes)
    with torch.no_grad():
        model.rnn.bias_ih_l0[WIDTH : 2 * WIDTH] += 2
    return model
