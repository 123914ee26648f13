"""Models that answer differently each time: what more answers, more marks or more examples would tell.

An example has k answers, and an answer has one or more marks of a judge (or of a scorer, which gives one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .results import Floats, same_length


@dataclass(frozen=True)
class Variances:
    """Where the spread of marks comes from, as variances. None: the data cannot tell (no repeats of this kind).

    - examples: between the true means of examples.
    - answers: between answers to one example.
    - marks: between marks of one answer.
    """

    examples: float | None
    answers: float | None
    marks: float | None

    def error(self, examples: int, answers: int = 1, marks: int = 1) -> float | None:
        """Return the standard error of a mean with so many examples, answers an example and marks an answer.

        None where the variance between examples, or one that more repeats would reduce, is unknown.

        >>> Variances(examples=0.04, answers=0.12, marks=None).error(100, answers=4)
        0.026457513110645908
        """
        if examples < 1 or answers < 1 or marks < 1:
            raise ValueError("A mean needs one example, one answer and one mark or more.")
        if self.examples is None or (self.answers is None and answers > 1):
            return None
        if self.marks is None and marks > 1:
            return None
        each = self.examples + ((self.answers or 0.0) + (self.marks or 0.0) / marks) / answers
        return math.sqrt(each / examples)


def variances(
    values: npt.ArrayLike, examples: npt.ArrayLike, answers: npt.ArrayLike | None = None
) -> Variances:
    """Return the variances of marks, shape (n,), by example and answer, labels of shape (n,).

    answers: labels of the answers, where an answer has several rows; labels need to be unique within an example only.
    None: each row is an answer, and the spread of a judge's marks is part of that of the answers. The estimates are
    those of the nested analysis of variance, and those below 0 count as 0. Examples may have different numbers of
    answers. Rows with a NaN are left out.

    Source: S. R. Searle, G. Casella and C. E. McCulloch, "Variance Components" (1992), sections 3.6 and 5.3
    (Henderson's method I for nested data).
    """
    array = np.asarray(values, np.float64)
    there = ~np.isnan(array)
    example = _codes(examples, array)[there]
    answer = np.arange(len(array)) if answers is None else _codes(answers, array)
    rows = array[there]
    if not len(rows):
        return Variances(None, None, None)
    _, nested = np.unique(np.stack((example, answer[there])), axis=1, return_inverse=True)
    marks = _within(rows, nested)
    of_example, of_answer = np.bincount(example), np.bincount(nested)
    a, b, n = int((of_example > 0).sum()), len(of_answer), len(rows)
    mean = rows.mean()
    between_examples = float((of_example * (_means(rows, example) - mean) ** 2)[of_example > 0].sum())
    within_examples = float(
        (of_answer * (_means(rows, nested) - _of_parent(rows, example, nested)) ** 2).sum()
    )
    parent = _first(example, nested)
    # Expected sums of squares, as sums of the variances times these counts.
    squares = float((np.bincount(parent, of_answer**2, len(of_example)) / np.maximum(of_example, 1)).sum())
    error = marks or 0.0
    of_answers: float | None = None
    if b > a:
        of_answers = max(0.0, (within_examples - (b - a) * error) / (n - squares))
    of_examples: float | None = None
    if a > 1:
        alone = squares - float((of_answer**2).sum()) / n
        spread = n - float((of_example**2).sum()) / n
        of_examples = max(0.0, (between_examples - alone * (of_answers or 0.0) - (a - 1) * error) / spread)
    return Variances(of_examples, of_answers, marks)


def pass_at_k(passed: npt.ArrayLike, answers: npt.ArrayLike, k: int) -> Floats:
    """Return for each example the chance that one of k answers passes, without bias, shape (examples,).

    passed, answers: how many of how many answers pass, shape (examples,). NaN where there are fewer than k answers.
    Their mean, with `bounded.bounded_mean`, is pass@k. Source: M. Chen et al., "Evaluating large language models
    trained on code", arXiv 2107.03374 (2021), equation 1.

    >>> pass_at_k([1], [4], 2).tolist()
    [0.5]
    """
    n, c = _counts(passed, answers, k)
    return np.where(n >= k, 1.0 - _all_of(n - c, n, k), math.nan)


def pass_hat_k(passed: npt.ArrayLike, answers: npt.ArrayLike, k: int) -> Floats:
    """Return for each example the chance that all of k answers pass (pass^k), without bias, shape (examples,).

    Arguments as of `pass_at_k`. Source: S. Yao et al., "τ-bench: A benchmark for tool-agent-user interaction in
    real-world domains", arXiv 2406.12045 (2024), section 4.

    >>> pass_hat_k([3], [4], 2).tolist()
    [0.5]
    """
    n, c = _counts(passed, answers, k)
    return np.where(n >= k, _all_of(c, n, k), math.nan)


def _counts(passed: npt.ArrayLike, answers: npt.ArrayLike, k: int) -> tuple[Floats, Floats]:
    c, n = np.asarray(passed, np.float64), np.asarray(answers, np.float64)
    same_length(passed=c, answers=n)
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}.")
    if not ((c >= 0) & (c <= n)).all():
        raise ValueError("passed must be between 0 and the number of answers, in each example.")
    return n, c


def _all_of(some: Floats, n: Floats, k: int) -> Floats:
    """Return the chance that k drawn of n without replacement are all among ``some`` of them."""
    found = np.ones(len(n))
    for drawn in range(k):
        found *= np.maximum(some - drawn, 0.0) / np.maximum(n - drawn, 1.0)
    return found


def _codes(labels: npt.ArrayLike, values: Floats) -> npt.NDArray[np.intp]:
    array = np.asarray(labels)
    same_length(values=values, labels=array)
    return np.unique(array, return_inverse=True)[1]


def _means(rows: Floats, codes: npt.NDArray[np.intp]) -> Floats:
    sizes = np.bincount(codes)
    found: Floats = np.bincount(codes, rows) / np.maximum(sizes, 1)
    return found


def _first(of: npt.NDArray[np.intp], codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the example of each answer."""
    found = np.zeros(codes.max() + 1, np.intp)
    found[codes] = of
    return found


def _of_parent(rows: Floats, example: npt.NDArray[np.intp], nested: npt.NDArray[np.intp]) -> Floats:
    found: Floats = _means(rows, example)[_first(example, nested)]
    return found


def _within(rows: Floats, codes: npt.NDArray[np.intp]) -> float | None:
    """Return the variance within groups; None where no group has two rows."""
    freedom = len(rows) - int((np.bincount(codes) > 0).sum())
    if freedom < 1:
        return None
    return float(((rows - _means(rows, codes)[codes]) ** 2).sum()) / freedom
