"""Values that come in clusters (documents of a user, frames of a video): CR2, cluster and wild bootstrap.

Pass differences (candidate less champion) by row for a paired comparison. ``n`` of a result counts clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .power import needed_examples
from .resampling import RESAMPLES, bootstrap_result, resampled_rows
from .results import (
    CONFIDENCE,
    Alternative,
    Floats,
    Result,
    check_confidence,
    same_length,
    sided,
    t_result,
    unknown,
)


def cluster_mean(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the mean of values, shape (n,), whose rows are dependent within clusters, labels of shape (n,).

    The variance is CR2, and Student's t has the degrees of freedom of Satterthwaite for working
    independence. Rows with a NaN are left out. A cluster of its own for each row gives `repeats.mean_t`.

    Source: R. M. Bell and D. F. McCaffrey, "Bias reduction in standard errors for linear regression with
    multi-stage samples", Survey Methodology 28 (2002); J. E. Pustejovsky and E. Tipton, Journal of Business &
    Economic Statistics 36 (2018). A mean is the regression on an intercept, for which both have a closed form.
    """
    method = "Cluster-robust t (CR2)"
    check_confidence(confidence)
    sums, sizes, left_out = sums_of_clusters(values, clusters)
    clusters_n, rows = len(sums), float(sizes.sum())
    estimate = float(sums.sum() / rows) if clusters_n else None
    if estimate is None or clusters_n < 2:
        return unknown(
            method, "no values" if estimate is None else "one cluster", estimate=estimate, n=clusters_n,
            null=null, alternative=alternative, confidence=confidence, left_out=left_out,
        )  # fmt: skip
    variance, freedom = cr2(sums, sizes, estimate)
    if variance <= _rounding(sums, rows):
        return unknown(
            method, "no spread", estimate=estimate, n=clusters_n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    return t_result(
        method, estimate=estimate, error=math.sqrt(variance), freedom=freedom, n=clusters_n, null=null,
        alternative=alternative, confidence=confidence, left_out=left_out,
        deviation=math.sqrt(variance * clusters_n),
    )  # fmt: skip


def cluster_rate(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    null: float = 0.5,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    mid: float = 0.0,
) -> Result:
    """Return a rate of values 0 or 1, shape (n,), whose rows are dependent within clusters, labels of shape (n,).

    The exact binomial test of the effective number of rows: n over the design effect (CR2, at least 1), less what few
    clusters cost. ``mid`` as of `bounded.bounded_mean`. It holds for rates near 0 and 1, where `cluster_mean` errs
    too often. Source: E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology 24 (1998).
    """
    from scipy.special import betainc

    from .paired import where_zero

    method = "Exact binomial test of clusters (Korn-Graubard)"
    alpha = check_confidence(confidence)
    if not 0 <= null <= 1:
        raise ValueError(f"null must be between 0 and 1, not {null}.")
    found = _Effective.of(values, clusters, (0, 1))
    if found.estimate is None or found.clusters < 2:
        return found.unknown(method, null, alternative, confidence)
    estimate = found.estimate

    def p_values(rows: float, rate: float) -> tuple[float, float]:
        """Return p of greater and of less."""
        right = estimate * rows
        as_many = float(betainc(right, rows - right + 1, rate)) if estimate else 1.0
        more = float(betainc(right + 1, rows - right, rate)) if estimate < 1 else 0.0
        return as_many - mid * (as_many - more), 1 - more - mid * (as_many - more)

    tested = found.rows(alpha if alternative != "two-sided" else alpha / 2)
    rows = found.rows(alpha / 2)
    return Result(
        method, estimate,
        where_zero(lambda rate: alpha / 2 - p_values(rows, rate)[0], 0.0, estimate),
        where_zero(lambda rate: p_values(rows, rate)[1] - alpha / 2, estimate, 1.0),
        sided(*p_values(tested, null), alternative), found.clusters, alternative, null,
        confidence,
        needed=needed_examples(
            estimate - null, math.sqrt(null * (1 - null) * found.clusters / rows), alpha=alpha, alternative=alternative
        ),
        left_out=found.left_out,
    )  # fmt: skip


def cluster_mcnemar(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    mid: float = 0.0,
) -> Result:
    """Return the difference of two rates on the same rows, 0 or 1, that are dependent within clusters, shapes (n,).

    `paired.mcnemar` with the counts of the effective number of rows, as of `cluster_rate`, and its ``mid``. Source:
    J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48 (1992);
    M. Eliasziw and A. Donner, "Application of the McNemar test to non-independent matched pair data", Statistics in
    Medicine 10 (1991).
    """
    from .paired import mcnemar_counts

    method = "McNemar's test of clusters"
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    same_length(candidate=one, champion=other)
    alpha = check_confidence(confidence)
    found = _Effective.of(one - other, clusters, (-1, 0, 1))
    if found.estimate is None or found.clusters < 2:
        return found.unknown(method, null, alternative, confidence)
    tested = found.rows(alpha if alternative != "two-sided" else alpha / 2)
    rows = found.rows(alpha / 2)
    only_one, only_other = found.share(1), found.share(-1)
    options: dict[str, Any] = {"null": null, "alternative": alternative, "confidence": confidence, "mid": mid}
    p = mcnemar_counts(only_one * tested, only_other * tested, tested, **options).p
    wide = mcnemar_counts(only_one * rows, only_other * rows, rows, **options)
    needed = None if wide.needed is None else math.ceil(wide.needed * found.clusters / rows)
    return replace(wide, method=method, p=p, n=found.clusters, needed=needed, left_out=found.left_out)


#: Clusters with the rarer answer from which the design effect is estimated.
_TELLING_CLUSTERS = 10


@dataclass(frozen=True)
class _Effective:
    """Rows in clusters, and how many independent rows tell as much."""

    values: Floats
    estimate: float | None
    clusters: int
    left_out: int
    design: float
    freedom: float

    @staticmethod
    def of(values: npt.ArrayLike, clusters: npt.ArrayLike, allowed: tuple[int, ...]) -> _Effective:
        """Raises ValueError if a value is none of those allowed."""
        array = np.asarray(values, np.float64)
        there = array[~np.isnan(array)] if array.ndim == 1 else array
        if array.ndim == 1 and not np.isin(there, allowed).all():
            raise ValueError("This test needs answers that are 0 or 1. Use cluster_mean.")
        sums, sizes, left_out = sums_of_clusters(array, clusters)
        count, n = len(sums), int(sizes.sum())
        if count < 2:
            return _Effective(there, float(there.mean()) if n else None, count, left_out, 1.0, 1.0)
        estimate = float(sums.sum() / n)
        variance, freedom = cr2(sums, sizes, estimate)
        independent = float(there.var()) / (n - 1)
        # A design effect that few clusters show is too small too often: then all rows of a cluster count as one.
        _, codes = np.unique(np.asarray(clusters)[~np.isnan(array)], return_inverse=True)
        rare = np.unique(codes[there != np.median(there)])
        design = float((sizes**2).sum()) / n
        if len(rare) >= _TELLING_CLUSTERS:
            design = variance / independent
        return _Effective(there, estimate, count, left_out, max(1.0, design), freedom)

    def rows(self, alpha: float) -> float:
        """Return the effective number of rows for an end at a level."""
        from scipy.special import stdtrit

        n = len(self.values)
        cost = float(stdtrit(n - 1, alpha) / stdtrit(min(self.freedom, n - 1), alpha)) ** 2
        return n / self.design * cost

    def share(self, value: int) -> float:
        return float((self.values == value).mean())

    def unknown(self, method: str, null: float, alternative: Alternative, confidence: float) -> Result:
        return unknown(
            method, "no values" if self.estimate is None else "one cluster", estimate=self.estimate, n=self.clusters,
            null=null, alternative=alternative, confidence=confidence, left_out=self.left_out,
        )  # fmt: skip


def cr2(sums: Floats, sizes: Floats, estimate: float) -> tuple[float, float]:
    """Return the variance of a mean, and its degrees of freedom (without spread: those of equal clusters)."""
    rows = float(sizes.sum())
    share = sizes / rows
    adjusted = 1 / (1 - share)
    variance = float(((sums - sizes * estimate) ** 2 * adjusted).sum()) / rows**2
    cross = (adjusted * share**2).sum() ** 2 - (adjusted**2 * share**4).sum()
    return variance, 1 / float((share**2).sum() + cross)


def cluster_bootstrap(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the mean of values, shape (n,), by drawing whole clusters, labels of shape (n,), with replacement.

    It needs some 40 clusters or more; `cluster_mean` and `wild_cluster_bootstrap` hold with fewer. Source: A.
    C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
    """
    sums, sizes, left_out = sums_of_clusters(values, clusters)
    rows = float(sizes.sum())
    draws = [
        sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
        for picked in resampled_rows(len(sums), resamples, rng)
    ]
    estimate = float(sums.sum() / rows) if len(sums) else None
    deviation = None
    if estimate is not None and len(sums) > 1:
        spread = float(((sums - sizes * estimate) ** 2).sum())
        deviation = math.sqrt(spread * len(sums) / (len(sums) - 1)) / rows * math.sqrt(len(sums))
        if spread / rows**2 <= _rounding(sums, rows):
            draws = [np.full(1, estimate)]
    return bootstrap_result(
        "Cluster bootstrap", estimate=estimate, draws=np.concatenate(draws) if draws else np.empty(0),
        n=len(sums), units=len(sums), null=null, alternative=alternative, confidence=confidence,
        left_out=left_out, deviation=deviation, few="one cluster",
    )  # fmt: skip


def wild_cluster_bootstrap(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the mean of values, shape (n,), by changing the signs of residuals of whole clusters, labels (n,).

    The null is imposed, the statistic is studentised (CR1), signs are Rademacher's. All 2^G signs of G
    clusters are tried where they are at most ``resamples + 1``. With five clusters or fewer no two-sided p is
    below 0.05. The ends of the interval are the margins that the same test does not reject; an end is
    infinite where the test rejects none.

    Source: A. C. Cameron, J. B. Gelbach and D. L. Miller, "Bootstrap-based improvements for inference with
    clustered errors", Review of Economics and Statistics 90 (2008).
    """
    method = "Wild cluster bootstrap"
    alpha = check_confidence(confidence)
    sums, sizes, left_out = sums_of_clusters(values, clusters)
    count, rows = len(sums), float(sizes.sum())
    estimate = float(sums.sum() / rows) if count else None
    spread = 0.0 if estimate is None else float(((sums - sizes * estimate) ** 2).sum())
    if estimate is None or count < 2 or spread / rows**2 <= _rounding(sums, rows):
        return unknown(
            method, "no values" if estimate is None else "one cluster" if count < 2 else "no spread",
            estimate=estimate, n=count, null=null, alternative=alternative, confidence=confidence,
            left_out=left_out,
        )  # fmt: skip
    signs = _signs(count, resamples, rng)
    share = sizes / rows
    error = math.sqrt(spread * count / (count - 1)) / rows

    # Signs times residuals, as (part without the margin) - margin * (part with it).
    scaled = sums / rows
    columns = signs @ np.stack((scaled, share, scaled * share, share**2), axis=1)
    parts = [np.ascontiguousarray(column) for column in columns.T]

    def p_values(margin: float) -> tuple[float, float]:
        """Return p of greater and of less. The first row of ``signs`` changes nothing: it is the sample."""
        residual = scaled - share * margin
        moved, crossed = parts[0] - margin * parts[1], parts[2] - margin * parts[3]
        spreads = (residual**2).sum() - 2 * moved * crossed + moved**2 * (share**2).sum()
        t = moved / np.sqrt(np.maximum(spreads, 1e-300))
        close = 1e-9 * max(1.0, abs(t[0]))
        return float((t >= t[0] - close).mean()), float((t <= t[0] + close).mean())

    def end(direction: int) -> float:
        """Return the last margin in a direction that is not rejected, at a level of alpha / 2."""
        side = 0 if direction < 0 else 1
        far = 1.0
        while p_values(estimate + direction * far * error)[side] > alpha / 2:
            far *= 2
            if far > 1e6:
                return direction * math.inf
        near = 0.0
        for _ in range(40):
            middle = (near + far) / 2
            near, far = (
                (middle, far) if p_values(estimate + direction * middle * error)[side] > alpha / 2
                else (near, middle)
            )  # fmt: skip
        return estimate + direction * far * error

    greater, less = p_values(null)
    return Result(
        method, estimate, end(-1), end(1), sided(greater, less, alternative), count, alternative, null,
        confidence,
        needed=needed_examples(
            estimate - null, error * math.sqrt(count), alpha=alpha, alternative=alternative
        ),
        left_out=left_out,
    )  # fmt: skip


def _signs(clusters: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Return signs, shape (draws, clusters); the first row is all 1."""
    if clusters <= 16 and 1 << clusters <= resamples + 1:
        numbers = np.arange(1 << clusters)
        return np.asarray(1.0 - 2.0 * ((numbers[:, None] >> np.arange(clusters)) & 1), np.float64)
    signs: Floats = 1.0 - 2.0 * rng.integers(0, 2, (resamples + 1, clusters)).astype(np.float64)
    signs[0] = 1.0
    return signs


def sums_of_clusters(values: npt.ArrayLike, clusters: npt.ArrayLike) -> tuple[Floats, Floats, int]:
    """Return the sum and the size of each cluster, shapes (G,), and how many rows with a NaN were left out."""
    array, labels = np.asarray(values, np.float64), np.asarray(clusters)
    if array.ndim != 1 or labels.ndim != 1:
        raise ValueError(f"values and clusters must have the shape (n,), not {array.shape}, {labels.shape}.")
    same_length(values=array, clusters=labels)
    if np.isinf(array).any():
        raise ValueError("values have infinite values. Remove or clip them before the test.")
    there = ~np.isnan(array)
    _, codes = np.unique(labels[there], return_inverse=True)
    sizes = np.bincount(codes).astype(np.float64)
    sums = np.bincount(codes, array[there], len(sizes)).astype(np.float64)
    return sums, sizes, int((~there).sum())


def _rounding(sums: Floats, rows: float) -> float:
    """Return the variance of a mean that rounding alone may show."""
    return float((np.abs(sums).max() * 1e-14 / rows) ** 2) * len(sums)
