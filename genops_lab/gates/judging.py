"""Judge rules about predictions.

Pure: arrays in, verdicts out. A rule passes if its claim is shown at its alpha. It fails if the data contradict the
claim. If the data point the right way and chance is not ruled out, there is not enough data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from .evidence import Evidence, level, verdict_of
from .group_rules import fairness, no_harm, worse_for_nobody
from .latency_rules import latency
from .metric_rules import better, better_in_any, bound, not_worse
from .metrics import CannotBeChecked
from .models import RuleVerdict
from .plan import Better, BetterInAny, Bound, DataRule, Fairness, Latency, NoHarm, NotWorse, WorseForNobody


def judge(rule: DataRule, evidence: Evidence) -> RuleVerdict:
    """Return the verdict on a rule about predictions."""
    alpha = level(rule.alpha, evidence.look, evidence.looks)
    try:
        found = _JUDGES[type(rule)](rule, evidence, alpha)
    except CannotBeChecked as error:
        found = verdict_of("cannot_be_checked", error.clause, error.detail)
    except ValueError as error:  # a test refuses the data, such as infinite values
        found = verdict_of("cannot_be_checked", f"the data cannot be tested: {str(error).rstrip('.')}")
    return replace(
        found, name=rule.name or name_of(rule), rule=str(rule.__struct_config__.tag), data=evidence.name,
        metric=getattr(rule, "metric", ""), alpha=alpha, chosen_by=evidence.chosen_by,
    )  # fmt: skip


def name_of(rule: Any) -> str:
    """Return the name of a rule in reports.

    >>> name_of(Better(metric="accuracy"))
    'better: accuracy'
    """
    tag = str(rule.__struct_config__.tag).replace("-", " ")
    about = str(getattr(rule, "metric", "") or getattr(rule, "measure", "")).replace("_", " ")
    group = getattr(rule, "group", "")
    return f"{tag}: {about}{f' by {group}' if group else ''}" if about else tag


_JUDGES: dict[type[DataRule], Callable[[Any, Evidence, float], RuleVerdict]] = {
    Better: better,
    BetterInAny: better_in_any,
    Bound: bound,
    Fairness: fairness,
    Latency: latency,
    NoHarm: no_harm,
    NotWorse: not_worse,
    WorseForNobody: worse_for_nobody,
}
