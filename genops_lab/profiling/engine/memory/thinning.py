"""Fewer points of a curve, none of its peaks lost."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from ..columns import Int64

#: Buckets of a timeline; each gives four points at most.
BUCKETS = 500


def kept(values: Int64, buckets: int = BUCKETS) -> npt.NDArray[np.intp]:
    """Which points to keep: of each bucket of neighbours the first, last, lowest and highest (M4: Jugel et al., 2014).

    The highest of all is the first of its height, so that a peak stays where it was first reached.
    """
    count = len(values)
    if count <= 4 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(np.intp)
    chosen = []
    for start, end in itertools.pairwise(edges):
        part = values[start:end]
        chosen += [start, end - 1, start + part.argmin(), start + part.argmax()]
    return np.unique(np.array(chosen, np.intp))
