"""Partialling out by least squares on U-centred Grams, instead of by a Schur complement."""

from __future__ import annotations

import numpy as np


def cka_by_regression(grams, index):
    """Return the CKA ``[l, l]`` of the residuals of each signal after regression on signal ``index``.

    Székely & Rizzo 2014: residuals of U-centred Grams in the space where HSIC₁ is the inner product.
    """
    signals = len(grams)
    vectors = np.array([[_u_centred(k) for k in signal] for signal in grams]).reshape(signals, -1)
    base = vectors[index][:, None]
    residuals = [vector - base[:, 0] * np.linalg.lstsq(base, vector, rcond=None)[0][0] for vector in vectors]
    return np.array(
        [
            [a @ b / np.sqrt((a @ a) * (b @ b)) if a @ a and b @ b else np.nan for b in residuals]
            for a in residuals
        ]
    )


def _u_centred(k):
    n = len(k)
    off = k - np.diag(np.diag(k))
    centred = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                centred[i, j] = (
                    off[i, j]
                    - off[i].sum() / (n - 2)
                    - off[:, j].sum() / (n - 2)
                    + off.sum() / ((n - 1) * (n - 2))
                )
    return centred
