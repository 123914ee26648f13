"""Non-inferiority, superiority and equivalence by a margin, with any test of this package that has a ``null``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from .results import Result

#: Whether a larger metric is better (accuracy) or a smaller one (loss).
Better = Literal["higher", "lower"]


def non_inferiority(
    test: Callable[..., Result], *data: Any, margin: float, better: Better = "higher", **options: Any
) -> Result:
    """Test whether the candidate is worse than the champion by less than ``margin`` (0 or more).

    test: a function such as `paired.mcnemar` or `repeats.welch`; data and options are its own. The result is
    rejected (`Result.rejected`) if the candidate is shown not to be worse by the margin. Source: ICH E9 and
    E10; G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials", JAMA 308 (2012).

    >>> from genops_lab.statistics.paired import paired_t
    >>> non_inferiority(paired_t, [0.9, 0.8, 0.7, 0.9], [0.9, 0.7, 0.7, 0.8], margin=0.1).rejected
    True
    """
    return _by_margin(test, data, _checked(margin), better, options, "Non-inferiority")


def superiority(
    test: Callable[..., Result], *data: Any, margin: float = 0.0, better: Better = "higher", **options: Any
) -> Result:
    """Test whether the candidate is better than the champion by more than ``margin`` (0 or more)."""
    return _by_margin(test, data, -_checked(margin), better, options, "Superiority")


def equivalence(test: Callable[..., Result], *data: Any, margin: float, **options: Any) -> Result:
    """Test whether candidate and champion differ by less than ``margin``, by two one-sided tests.

    The result is the one with the larger p. Source: D. J. Schuirmann, "A comparison of the two one-sided
    tests procedure and the power approach", J. Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    sides = [_by_margin(test, data, _checked(margin), side, options, "Equivalence") for side in _SIDES]
    return max(sides, key=lambda side: side.p)


_SIDES: tuple[Better, Better] = ("higher", "lower")


def _by_margin(
    test: Callable[..., Result],
    data: tuple[Any, ...],
    allowed: float,
    better: Better,
    options: dict[str, Any],
    name: str,
) -> Result:
    """``allowed``: by how much the candidate may be worse; negative: by how much it must be better."""
    if better == "higher":
        found = test(*data, null=-allowed, alternative="greater", **options)
    else:
        found = test(*data, null=allowed, alternative="less", **options)
    return replace(found, method=f"{name} by a margin of {abs(allowed):g}: {found.method}")


def _checked(margin: float) -> float:
    if not 0 <= margin < float("inf"):
        raise ValueError(f"margin must be 0 or more, not {margin}.")
    return margin
