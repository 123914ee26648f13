"""The answer of every test, and what all tests check of their input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
#: "greater": the estimate lies above ``null``; "less": below it.
Alternative = Literal["two-sided", "greater", "less"]
#: Why a result has no interval.
Reason = Literal[
    "",
    "no values",
    "one value",
    "one cluster",
    "one class",
    "few seeds",
    "few labels",
    "no spread",
    "not finite",
]
Verdict = Literal["higher", "lower", "within chance"]

CONFIDENCE = 0.95
#: The power that ``Result.needed`` aims at.
POWER = 0.8


@dataclass(frozen=True)
class Result:
    """An estimate with its interval and its p-value.

    - estimate: None without values.
    - low, high: the two-sided interval at ``confidence``, whatever the alternative. Both are None if the data
      carry none, and ``reason`` says why. An end without a bound is infinite.
    - p: the p-value against ``null``. It is 1.0 where the data cannot tell.
    - e_value: the evidence of a sequential test against ``null``, else None.
    - n: the values used. Each function says what it counts.
    - left_out: values that are NaN.
    - needed: the n at which a true difference as large as the estimate is shown with 80 % power. None: unknown,
      or the estimate is on the wrong side of ``null``.
    """

    method: str
    estimate: float | None
    low: float | None
    high: float | None
    p: float
    n: int
    alternative: Alternative = "two-sided"
    null: float = 0.0
    confidence: float = CONFIDENCE
    e_value: float | None = None
    needed: int | None = None
    left_out: int = 0
    reason: Reason = ""

    @property
    def rejected(self) -> bool:
        """Whether ``p`` is at most 1 - confidence."""
        return self.p <= _alpha(self.confidence)

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width: of a t-test, estimate ± half_width."""
        return None if self.low is None or self.high is None else self.high / 2 - self.low / 2

    @property
    def verdict(self) -> Verdict:
        """On which side of ``null`` the estimate is shown to be."""
        if self.estimate is None or not self.rejected:
            return "within chance"
        return "higher" if self.estimate > self.null else "lower"

    @property
    def more(self) -> int | None:
        """How many more values would show the estimate; None if it is shown, or if ``needed`` is unknown."""
        if self.needed is None or self.rejected:
            return None
        return max(1, self.needed - self.n)


def unknown(
    method: str,
    reason: Reason,
    *,
    estimate: float | None = None,
    n: int = 0,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    left_out: int = 0,
) -> Result:
    """Return the answer of data that cannot tell: no interval and p = 1."""
    return Result(
        method, estimate, None, None, 1.0, n, alternative, null, confidence, left_out=left_out, reason=reason
    )


def t_result(
    method: str,
    *,
    estimate: float,
    error: float,
    freedom: float,
    n: int,
    null: float,
    alternative: Alternative,
    confidence: float,
    left_out: int = 0,
    deviation: float | None = None,
) -> Result:
    """Return the result of a statistic by Student's t with ``freedom`` degrees of freedom.

    error: the standard error. deviation: the standard deviation of one value, from which ``needed`` follows
    (None: ``needed`` stays unknown).
    """
    from scipy.special import stdtr, stdtrit

    from .power import needed_examples

    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    if not (math.isfinite(estimate) and math.isfinite(half)):
        return unknown(
            method, "not finite", estimate=estimate if math.isfinite(estimate) else None, n=n, null=null,
            alternative=alternative, confidence=confidence, left_out=left_out,
        )  # fmt: skip
    below = float(stdtr(freedom, (estimate - null) / error))
    above = float(stdtr(freedom, (null - estimate) / error))
    low, high = estimate - half, estimate + half
    if not (math.isfinite(low) and math.isfinite(high)):
        return unknown(
            method, "not finite", estimate=estimate, n=n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    return Result(
        method, estimate, low, high, sided(above, below, alternative), n, alternative, null, confidence,
        needed=None if deviation is None else needed_examples(
            estimate - null, deviation, alpha=_alpha(confidence), alternative=alternative
        ),
        left_out=left_out,
    )  # fmt: skip


def sided(greater: float, less: float, alternative: Alternative) -> float:
    """Return the p-value of an alternative from those of both sides; two-sided is twice the smaller one."""
    if alternative == "greater":
        return min(1.0, greater)
    return min(1.0, less if alternative == "less" else 2 * min(greater, less))


def checked(values: npt.ArrayLike, name: str = "values") -> tuple[Floats, int]:
    """Return values without NaN, shape (n,), and how many NaN were left out.

    Raises ValueError if the array has more than one dimension or an infinite value.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have the shape (n,), not {array.shape}.")
    missing = np.isnan(array)
    kept = array[~missing] if missing.any() else array
    if np.isinf(kept).any():
        raise ValueError(f"{name} have infinite values. Remove or clip them before the test.")
    return kept, int(missing.sum())


def differences(candidate: npt.ArrayLike, champion: npt.ArrayLike) -> tuple[Floats, int]:
    """Return candidate less champion by row, shape (n,), and how many rows with a NaN were left out.

    Raises ValueError if the lengths differ, or if a value is infinite.
    """
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    same_length(candidate=one, champion=other)
    if np.isinf(one).any() or np.isinf(other).any():
        raise ValueError("candidate and champion must not have infinite values. Remove or clip them first.")
    found, left_out = checked(one - other, "differences")
    if len(found) and np.ptp(found) <= 4 * np.finfo(np.float64).eps * max(
        np.nanmax(abs(one)), np.nanmax(abs(other))
    ):
        found = np.full(len(found), found[0])  # rounding alone is no spread
    return found, left_out


def same_length(**arrays: npt.NDArray[np.generic]) -> None:
    """Raise ValueError if arrays are not of one length."""
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise ValueError(f"Arrays of the same rows must have one length: {counts}.")


def check_confidence(confidence: float) -> float:
    """Return 1 - confidence. Raises ValueError if the confidence is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}.")
    return _alpha(confidence)


def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def _alpha(confidence: float) -> float:
    return round(1 - confidence, 12)
