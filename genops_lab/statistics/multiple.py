"""Several tests at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .results import Floats


def holm(p: npt.ArrayLike) -> Floats:
    """Return p-values, shape (k,), corrected for k tests: a false find among all is as unlikely as they say.

    NaN stands for a test that did not run: it stays NaN and is not counted. Source: S. Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, np.float64)
    if given.ndim != 1:
        raise ValueError(f"p must have the shape (k,), not {given.shape}.")
    corrected = np.full(len(given), np.nan)
    run = np.flatnonzero(~np.isnan(given))
    if ((given[run] < 0) | (given[run] > 1)).any():
        raise ValueError("p-values must be between 0 and 1.")
    order = run[np.argsort(given[run], kind="stable")]
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, given[order] * np.arange(len(order), 0, -1)))
    return corrected
