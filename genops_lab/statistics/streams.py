"""Compare two arms of a stream, at any time, where each unit was given to an arm by chance.

The module imports the standard library alone, because gateways on hosts without numpy use it. An answer may be asked
for after each row, and the stream stopped at any time for any reason.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

#: The guesses before the first values: their weight in values, the champion's mean, and how much worse a candidate is
#: that does harm. They were chosen by simulation: other guesses find harm later, and are as valid.
_ROWS, _RATE, _HARM = 40.0, 0.02, 0.03
_STEPS, _CLOSE = 60, 1e-8
_EDGE = 1e-9


class Difference:
    """The mean of the candidate's values less that of the champion's, between 0 and 1, as a confidence sequence.

    ``margins`` are the differences that are tested, in rising order; the interval has these as its ends. Each value
    was given to the candidate with a known chance, whatever happened before. Means may change with time: the null of a
    margin says only that at no time their difference was beyond it.

    Against each margin there is a product of likelihood ratios: that of the rates as they were known before, to the
    rates of the null that are nearest to them. Source: R. J. Turner and P. D. Grünwald, "Exact anytime-valid
    confidence intervals for contingency tables and beyond", Statistics and Probability Letters 198 (2023), with one
    outcome a block. Bets are linear in values between 0 and 1. Source: I. Waudby-Smith and A. Ramdas, "Estimating
    means of bounded random variables by betting", JRSS B 86 (2024).

    >>> found = Difference([0.0, 0.5])
    >>> for _ in range(100):
    ...     found.add([(True, 1.0), (False, 0.0)], 0.5)
    >>> found.interval(0.01)
    (0.5, inf)
    """

    def __init__(self, margins: Sequence[float]) -> None:
        self.margins = sorted(set(margins))
        self._above = [0.0] * len(self.margins)
        self._below = [0.0] * len(self.margins)
        self._most_above = [0.0] * len(self.margins)
        self._most_below = [0.0] * len(self.margins)
        #: Number and sum of the values of the champion and the candidate.
        self.counts, self.sums = [0, 0], [0.0, 0.0]

    def add(self, values: Iterable[tuple[bool, float]], share: float) -> None:
        """Add values with whether each is the candidate's; ``share`` is the chance that a value was.

        The bets on all values of a call are those of the values of earlier calls.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, not {share}.")
        counted = Counter(values)
        if not counted:
            return
        (worse, other), (one, _) = self._guesses(_HARM), self._guesses(0.0)
        for at, margin in enumerate(self.margins):
            if worse - other > margin:
                nulls = nearest(worse, other, margin, share)
                self._above[at] += _log_ratio(counted, (other, worse), (nulls[1], nulls[0]))
                self._most_above[at] = max(self._most_above[at], self._above[at])
            if one - other < margin:
                nulls = nearest(other, one, -margin, 1 - share)
                self._below[at] += _log_ratio(counted, (other, one), nulls)
                self._most_below[at] = max(self._most_below[at], self._below[at])
        for (candidate, value), count in counted.items():
            self.counts[candidate] += count
            self.sums[candidate] += value * count

    def _guesses(self, worse_by: float) -> tuple[float, float]:
        """Return the means of the candidate and the champion as far as they are known."""
        other = (self.sums[0] + _ROWS * _RATE) / (self.counts[0] + _ROWS)
        one = (self.sums[1] + _ROWS * (other + worse_by)) / (self.counts[1] + _ROWS)
        return min(max(one, _EDGE), 1 - _EDGE), min(max(other, _EDGE), 1 - _EDGE)

    @property
    def estimate(self) -> float | None:
        """The difference of the means so far; None without values of both."""
        if not all(self.counts):
            return None
        return self.sums[1] / self.counts[1] - self.sums[0] / self.counts[0]

    def p_above(self, margin: float) -> float:
        """Return the p-value of "the difference is at most this margin", which holds at any time."""
        return math.exp(-self._most_above[self.margins.index(margin)])

    def p_below(self, margin: float) -> float:
        """Return the p-value of "the difference is at least this margin", which holds at any time."""
        return math.exp(-self._most_below[self.margins.index(margin)])

    def p_above_now(self, margin: float) -> float:
        """Return the p-value of "the difference is at most this margin" for one look: later rows may raise it."""
        return min(1.0, math.exp(-max(self._above[self.margins.index(margin)], 0.0)))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the smallest and the largest margin that are not excluded; each end errs with a chance of alpha."""
        limit = math.log(1 / alpha)
        above = [m for m, e in zip(self.margins, self._most_above, strict=True) if e >= limit]
        below = [m for m, e in zip(self.margins, self._most_below, strict=True) if e >= limit]
        return max(above, default=-math.inf), min(below, default=math.inf)

    def state(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        return {
            "margins": self.margins,
            "above": self._above,
            "below": self._below,
            "most_above": self._most_above,
            "most_below": self._most_below,
            "counts": self.counts,
            "sums": self.sums,
        }

    @staticmethod
    def of(state: dict[str, Any]) -> Difference:
        """Return what :meth:`state` was called on. Raises KeyError, TypeError or ValueError."""
        found = Difference(state["margins"])
        for name in ("above", "below", "most_above", "most_below"):
            numbers = [float(each) for each in state[name]]
            if len(numbers) != len(found.margins):
                raise ValueError(f"{name} has {len(numbers)} numbers, not {len(found.margins)}.")
            setattr(found, f"_{name}", numbers)
        found.counts, found.sums = [int(each) for each in state["counts"]], list(state["sums"])
        return found


def nearest(one: float, other: float, margin: float, share: float) -> tuple[float, float]:
    """Return the rates with a difference of ``margin`` that are nearest to two rates whose difference is larger.

    Near is the Kullback-Leibler divergence, weighted by the share of the first.

    >>> [round(each, 3) for each in nearest(0.3, 0.1, 0.0, 0.5)]
    [0.2, 0.2]
    """
    if margin == 0:
        a = share * one + (1 - share) * other
        return a, a
    low, high = max(other + margin, 0.0, margin), min(one, 1.0, 1.0 + margin)
    a = (low + high) / 2
    for _ in range(_STEPS):  # Newton's, within bounds that close in
        b, rest = a - margin, 1 - share
        spread, other_spread = a * (1 - a), b * (1 - b)
        slope = share * (a - one) / spread + rest * (b - other) / other_spread
        curvature = (
            share * (spread - (a - one) * (1 - 2 * a)) / spread**2
            + rest * (other_spread - (b - other) * (1 - 2 * b)) / other_spread**2
        )
        low, high = (a, high) if slope < 0 else (low, a)
        following = a - slope / curvature
        if not low < following < high:
            following = (low + high) / 2
        a, step = following, abs(following - a)
        if step < _CLOSE * min(spread, other_spread):
            break
    return a, a - margin


def _log_ratio(
    counted: Counter[tuple[bool, float]], rates: tuple[float, float], nulls: tuple[float, float]
) -> float:
    total = 0.0
    for (candidate, value), count in counted.items():
        rate, null = rates[candidate], nulls[candidate]
        total += count * math.log(value * rate / null + (1 - value) * (1 - rate) / (1 - null))
    return total


def _beyond(limit: float, times: Sequence[float]) -> float:
    return sum(each > limit for each in times) / len(times)


class Latencies:
    """Times in classes 2 % wide, so that a million of them take no more room than a thousand.

    >>> times = Latencies()
    >>> for each in range(1, 101):
    ...     times.add(each / 1000)
    >>> round(times.quantile(0.5), 2)
    0.05
    """

    WIDTH = math.log(1.02)
    LEAST_S = 1e-5

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts or {})

    def add(self, seconds: float) -> None:
        """Count a time."""
        self.counts[max(0, math.ceil(math.log(max(seconds, self.LEAST_S) / self.LEAST_S) / self.WIDTH))] += 1

    def quantile(self, probability: float) -> float | None:
        """Return the upper end of the class that has the quantile, in seconds; None without times."""
        if not self.counts:
            return None
        ordered = sorted(self.counts)
        sums, total = [], 0
        for each in ordered:
            total += self.counts[each]
            sums.append(total)
        at = ordered[min(bisect_left(sums, probability * total), len(ordered) - 1)]
        return self.LEAST_S * math.exp(at * self.WIDTH)


class LatencyRatio:
    """A quantile of the candidate's times by that of the champion's, as a confidence sequence over ``ratios``.

    The threshold is the champion's quantile as it was known before. A ratio is excluded once times of the candidate
    are beyond the ratio times the threshold less (or more) often than times of the champion are beyond the
    threshold. Source: S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing
    and best-arm identification", Bernoulli 28 (2022), for quantiles as rates.
    """

    #: So many times of the champion set the first threshold.
    FIRST = 20

    def __init__(self, quantile: float, ratios: Sequence[float]) -> None:
        self.quantile = quantile
        self.ratios = sorted(set(ratios))
        self._tests = [Difference([0.0]) for _ in self.ratios]
        self._champion = Latencies()

    def add(self, values: Iterable[tuple[bool, Sequence[float]]], share: float) -> None:
        """Add the times of units, in seconds, each with whether it was given to the candidate by a chance of share.

        A unit may have several times, whose mean counts. A failed request has the time 0.
        """
        units = list(values)
        threshold = self._champion.quantile(self.quantile)
        if threshold is not None and sum(self._champion.counts.values()) >= self.FIRST:
            champions = [(False, _beyond(threshold, times)) for candidate, times in units if not candidate]
            candidates = [times for candidate, times in units if candidate]
            for ratio, test in zip(self.ratios, self._tests, strict=True):
                test.add(
                    champions + [(True, _beyond(ratio * threshold, times)) for times in candidates], share
                )
        for candidate, times in units:
            if not candidate:
                for each in times:
                    if each > 0:
                        self._champion.add(each)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the smallest and the largest ratio that are not excluded; each end errs with a chance of alpha."""
        above = [r for r, test in zip(self.ratios, self._tests, strict=True) if test.p_above(0.0) <= alpha]
        below = [r for r, test in zip(self.ratios, self._tests, strict=True) if test.p_below(0.0) <= alpha]
        return max(above, default=0.0), min(below, default=math.inf)

    def p_above(self, ratio: float) -> float:
        """Return the p-value of "the ratio is at most this one", which holds at any time."""
        return self._tests[self.ratios.index(ratio)].p_above(0.0)

    def p_above_now(self, ratio: float) -> float:
        """Return the p-value of "the ratio is at most this one" for one look: later times may raise it."""
        return self._tests[self.ratios.index(ratio)].p_above_now(0.0)

    def state(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        return {
            "quantile": self.quantile,
            "ratios": self.ratios,
            "tests": [each.state() for each in self._tests],
            "champion": {str(at): count for at, count in self._champion.counts.items()},
        }

    @staticmethod
    def of(state: dict[str, Any]) -> LatencyRatio:
        """Return what :meth:`state` was called on. Raises KeyError, TypeError or ValueError."""
        found = LatencyRatio(float(state["quantile"]), state["ratios"])
        found._tests = [Difference.of(each) for each in state["tests"]]
        if len(found._tests) != len(found.ratios):
            raise ValueError("Each ratio has one test.")
        found._champion = Latencies({int(at): int(count) for at, count in state["champion"].items()})
        return found


def rows_to_exclude(rate: float, margin: float, share: float, alpha: float) -> int:
    """Return about how many rows of both arms exclude a margin if both have this rate.

    It is the least that the best bets need on average; a stream that learns the rates needs some more.
    """
    rate = min(max(rate, 1e-4), 1 - 1e-4)
    one, other = rate, rate
    null_other, null_one = nearest(other, one, -margin, 1 - share)
    gain = share * _divergence(one, null_one) + (1 - share) * _divergence(other, null_other)
    return math.ceil(1.3 * math.log(1 / alpha) / gain)


def _divergence(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
