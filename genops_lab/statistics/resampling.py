"""Draws of bootstraps and permutation tests: seeded, vectorised, in chunks of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .power import needed_examples
from .results import (
    Alternative,
    Floats,
    Reason,
    Result,
    check_confidence,
    sided,
    unknown,
)

RESAMPLES = 9_999
#: Values of a chunk: 32 MB.
_CHUNK = 4_000_000
#: Rows whose sums are in a table at once: 2 * 32 * 8 bytes a row, 8 MB.
_ROWS_OF_SUMS = 16_384
#: Up to so many different values, their counts are drawn in place of rows.
_FEW_VALUES = 64


def resampled_rows(n: int, resamples: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.integer]]:
    """Yield positions of n rows drawn with replacement, shape (draws, n), until ``resamples`` draws are made."""
    dtype = np.uint16 if n <= 1 << 16 else np.int64
    at_once = max(1, _CHUNK // max(n, 1))
    for start in range(0, resamples if n else 0, at_once):
        yield rng.integers(0, n, (min(at_once, resamples - start), n), dtype)


def resampled_means(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the means of ``resamples`` draws of values, shape (n,), with replacement."""
    n = len(values)
    if n == 0:
        return np.empty(0)
    different, counts = np.unique(values, return_counts=True)
    if len(different) <= _FEW_VALUES:
        means: Floats = rng.multinomial(n, counts / n, resamples) @ different / n
        return means
    # take() of many small chunks stays in the cache.
    at_once = max(1, 262_144 // n)
    found = np.empty(resamples)
    dtype = np.uint16 if n <= 1 << 16 else np.int64
    for start in range(0, resamples, at_once):
        rows = rng.integers(0, n, (min(at_once, resamples - start), n), dtype)
        found[start : start + len(rows)] = values.take(rows).mean(axis=1)
    return found


def resampled_ratios(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the means of columns over drawn units (rows, or clusters of rows), shape (resamples, k).

    sums: of each column in each unit, shape (n, k). sizes: the rows of each unit, shape (n,).
    """
    n = len(sums)
    if n == 0:
        return np.empty((0, sums.shape[1]))
    table = np.ascontiguousarray(np.column_stack([sums, sizes]).T)
    if all(len(np.unique(column)) <= _FEW_VALUES for column in table):
        different, counts = np.unique(table, axis=1, return_counts=True)
        if different.shape[1] <= _FEW_VALUES:
            drawn = rng.multinomial(n, counts / n, resamples) @ different.T
            return np.asarray(drawn[:, :-1] / drawn[:, -1:], np.float64)
    found = np.empty((len(table), resamples))
    alike = bool((sizes == sizes[0]).all())
    at_once = max(1, 262_144 // n)
    dtype = np.uint16 if n <= 1 << 16 else np.int64
    for start in range(0, resamples, at_once):
        picked = rng.integers(0, n, (min(at_once, resamples - start), n), dtype)
        for column, values in enumerate(table):
            part = found[column, start : start + len(picked)]
            if alike and column == len(table) - 1:
                part[:] = n * sizes[0]
            else:
                part[:] = values.take(picked).sum(axis=1)
    return np.ascontiguousarray((found[:-1] / found[-1]).T)


def subset_means(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return means of random sets of values, each value in a set with probability 1/2; NaN for no value.

    All 2^n - 1 sets with a value, each once, where they are at most ``resamples``.
    """
    n = len(values)
    if n < 31 and (1 << n) - 1 <= resamples:
        numbers = np.arange(1, 1 << n)
        bits = (numbers[:, None] >> np.arange(n)) & 1
        exact: Floats = bits @ values / bits.sum(axis=1)
        return exact
    total, size = np.zeros(resamples), np.zeros(resamples)
    for start in range(0, n, _ROWS_OF_SUMS):
        _add_random_sets(values[start : start + _ROWS_OF_SUMS], total, size, rng)
    means: Floats = np.divide(total, size, out=np.full(resamples, np.nan), where=size > 0)
    return means


def _add_random_sets(values: Floats, total: Floats, size: Floats, rng: np.random.Generator) -> None:
    """Add the sums and sizes of random sets of values to ``total`` and ``size``, one set for each of them."""
    # Eight rows a byte: a table of the 256 sums of each group of eight takes the place of their bits.
    of_byte = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float64)
    padded = np.zeros((2, -(-len(values) // 8) * 8))
    padded[0, : len(values)] = values
    padded[1, : len(values)] = 1.0
    sums, sizes = (each.reshape(-1, 8) @ of_byte.T for each in padded)
    groups = len(sums)
    offsets = np.arange(groups) * 256
    at_once = max(1, 262_144 // groups)
    for start in range(0, len(total), at_once):
        part = slice(start, min(start + at_once, len(total)))
        picked = rng.integers(0, 256, (part.stop - start, groups), np.uint8) + offsets
        total[part] += sums.take(picked).sum(axis=1)
        size[part] += sizes.take(picked).sum(axis=1)


def bootstrap_result(
    method: str,
    *,
    estimate: float | None,
    draws: Floats,
    n: int,
    units: int,
    null: float,
    alternative: Alternative,
    confidence: float,
    left_out: int = 0,
    deviation: float | None = None,
    few: Reason = "one value",
) -> Result:
    """Return the result of a bootstrap: percentiles of ``draws``, widened for few ``units`` (rows, clusters).

    The percentile ``z`` becomes ``t(units - 1) * sqrt(units / (units - 1))`` on the normal scale (Hesterberg
    2015, "expanded percentile"). The p-value is the level at which the interval's end reaches ``null``.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    alpha = check_confidence(confidence)
    if not np.isfinite(draws).all():
        return unknown(
            method, "not finite", estimate=estimate if estimate is None or math.isfinite(estimate) else None, n=n,
            null=null, alternative=alternative, confidence=confidence, left_out=left_out,
        )  # fmt: skip
    close = 1e-12 * float(np.abs(draws).max()) if len(draws) else 0.0
    if estimate is None or units < 2 or np.ptp(draws) <= close:
        reason: Reason = "no values" if estimate is None else few if units < 2 else "no spread"
        return unknown(
            method, reason, estimate=estimate, n=n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    widening = math.sqrt(units / (units - 1))
    tail = float(ndtr(widening * stdtrit(units - 1, alpha / 2)))
    low, high = np.quantile(draws, (tail, 1 - tail))

    def level(beyond: int) -> float:
        return float(stdtr(units - 1, ndtri((1 + beyond) / (1 + len(draws))) / widening))

    return Result(
        method, estimate, float(low), float(high),
        sided(
            level(min(int((draws <= null + close).sum()), len(draws) - 1)),
            level(min(int((draws >= null - close).sum()), len(draws) - 1)),
            alternative,
        ),
        n, alternative, null, confidence,
        needed=None if deviation is None else needed_examples(
            estimate - null, deviation, alpha=alpha, alternative=alternative
        ),
        left_out=left_out,
    )  # fmt: skip
