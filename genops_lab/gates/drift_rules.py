"""The rule about training data: no column moved by more than a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace

from genops_lab.core.yaml_files import nearest
from genops_lab.statistics.drift import MOST_CATEGORIES, categories_drift, numbers_drift
from genops_lab.statistics.drift import Drift as Found
from genops_lab.statistics.multiple import holm

from . import messages
from .evidence import verdict_of
from .metrics import CannotBeChecked
from .models import RuleVerdict, SliceVerdict, Verdict
from .plan import Drift

_SHOWN = 3
_METHOD = "Kolmogorov-Smirnov distance of numbers, total variation of categories"

#: By column: numbers with NaN where missing, or objects with None.
Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DriftEvidence:
    """The candidate's training data, and the data to compare with.

    ``problem``, ``hint``: why one of them cannot be read. ``same``: the data set, if both are one.
    """

    candidate: Table | None = None
    other: Table | None = None
    what: str = ""
    problem: str = ""
    hint: str = ""
    same: str = ""


def judge_drift(rule: Drift, evidence: DriftEvidence) -> RuleVerdict:
    """Return the verdict: a pass if the interval of each column's distance ends at ``at_most`` or below."""
    try:
        found = _judged(rule, evidence)
    except CannotBeChecked as error:
        found = verdict_of("cannot_be_checked", error.clause, error.detail)
    return replace(
        found, name=rule.name or "drift of training data", rule="drift", alpha=rule.alpha, bound=rule.at_most
    )


def _judged(rule: Drift, evidence: DriftEvidence) -> RuleVerdict:
    if evidence.same:
        return verdict_of(
            "pass", f"the training data is that of the other version, {evidence.same}", estimate=0.0
        )
    if evidence.candidate is None or evidence.other is None:
        raise CannotBeChecked(evidence.problem, evidence.hint)
    names, texts = _columns(rule, evidence.candidate, evidence.other, evidence.what)
    tested = {name: _moved(evidence.candidate[name], evidence.other[name], 1 - rule.alpha) for name in names}
    corrected = holm([each.p for each in tested.values()])
    slices = [
        _slice(name, found, float(p), rule)
        for (name, found), p in zip(tested.items(), corrected, strict=True)
    ]
    slices.sort(key=lambda each: -(each.estimate or 0.0))
    verdict = messages.worst([each.verdict for each in slices])
    worst = slices[0]
    if verdict == "pass":
        count = "the column" if len(slices) == 1 else f"none of {len(slices):,} columns"
        most = messages.number(max(each.high or 0.0 for each in slices))
        clause = f"{count} moved by more than {most} from {evidence.what}"
        if len(slices) == 1:
            clause = f"{worst.name} moved by at most {most} from {evidence.what}"
    else:
        causes = [each.clause for each in slices if each.verdict == verdict]
        rest = f"; {len(causes) - _SHOWN:,} more columns" if len(causes) > _SHOWN else ""
        clause = f"{'; '.join(causes[:_SHOWN])}{rest} (from {evidence.what})"
    detail = f"The rule allows a distance of {messages.number(rule.at_most)} in each column (0: the same, 1: apart)."
    if texts:
        detail += f" Not compared, over {MOST_CATEGORIES} different texts: {', '.join(texts[:20])}."
    return verdict_of(
        verdict, clause, detail, slices=slices, estimate=worst.estimate, low=worst.low, high=worst.high,
        confidence=round(1 - rule.alpha, 12), n=max((each.n for each in slices), default=0), method=_METHOD,
        more=max((each.more for each in slices if each.more), default=None),
    )  # fmt: skip


def _columns(rule: Drift, one: Table, other: Table, what: str) -> tuple[list[str], list[str]]:
    """Return the columns to compare, and those that are ids or texts. Raises CannotBeChecked."""
    for name in rule.columns:
        if name not in one or name not in other:
            where = "the training data" if name not in one else what
            raise CannotBeChecked(f"{where} has no column {name!r}", nearest(name, set(one) | set(other)))
    if not rule.columns and set(one) != set(other):
        only = [name for name in [*one, *other] if name not in one or name not in other]
        more = f" and {len(only) - _SHOWN:,} more" if len(only) > _SHOWN else ""
        raise CannotBeChecked(
            f"{', '.join(only[:_SHOWN])}{more} is in one of the two data sets only" if len(only) == 1
            else f"{', '.join(only[:_SHOWN])}{more} are in one of the two data sets only",
            "Name the columns that count: columns: [...]",
        )  # fmt: skip
    names, texts = [], []
    for name in rule.columns or one:
        kinds = [_is_text(table[name]) for table in (one, other)]
        if kinds[0] != kinds[1]:
            raise CannotBeChecked(f"the column {name} has numbers in one data set and texts in the other")
        if kinds[0] and len({*one[name], *other[name]}) > MOST_CATEGORIES:
            if name in rule.columns:
                raise CannotBeChecked(f"the column {name} has over {MOST_CATEGORIES} different texts")
            texts.append(name)
        else:
            names.append(name)
    if not names:
        raise CannotBeChecked("the two data sets have no column that can be compared")
    return names, texts


def _is_text(values: Any) -> bool:
    return bool(values.dtype == np.object_)


def _moved(one: Any, other: Any, confidence: float) -> Found:
    test = categories_drift if _is_text(one) else numbers_drift
    return test(one, other, confidence=confidence)


def _slice(name: str, found: Found, p: float, rule: Drift) -> SliceVerdict:
    """A column fails if it is farther than the bound, and that it moved at all is no chance."""
    if found.distance is None or found.high is None:
        return SliceVerdict(name=name, verdict="not_enough_data", clause=f"{name} has no rows")
    verdict: Verdict = "not_enough_data"
    more = None
    if found.high <= rule.at_most:
        verdict, clause = "pass", f"{name} moved by at most {messages.number(found.high)}"
    elif found.distance > rule.at_most and p <= rule.alpha:
        verdict, clause = "fail", f"{name} moved by {messages.number(found.distance)}"
        clause += f", over {messages.number(rule.at_most)}"
    else:
        more = found.more(rule.at_most)
        clause = f"{name} may have moved by up to {messages.number(found.high)}"
        clause += f"; {messages.examples(more)} would tell" if more else ""
    before, after = (messages.percent(round(share, 4)) for share in reversed(found.missing))
    if before != after:
        clause += f" (missing: {after}, was {before})"
    return SliceVerdict(
        name=name, verdict=verdict, clause=clause, n=min(found.n), estimate=found.distance, low=found.low,
        high=found.high, bound=rule.at_most, p=p, more=more,
    )  # fmt: skip
