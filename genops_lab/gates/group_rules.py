"""Rules about groups of rows: worse for nobody, harm in none, fairness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from genops_lab.core.yaml_files import nearest
from genops_lab.evaluations.predictions import Predictions, class_name, class_names, known
from genops_lab.statistics.groups import Gap, GroupCounts, Rate, group_codes
from genops_lab.statistics.multiple import holm
from genops_lab.statistics.results import Alternative, Codes, Floats, Result

from . import messages
from .evidence import Evidence, clustered, decided, finite, too_few, verdict_of, worsened
from .metric_kinds import METRICS
from .metrics import CannotBeChecked, clusters_of, difference, rows_of, test_of
from .models import RuleVerdict, SliceVerdict, Verdict
from .plan import Fairness, NoHarm, WorseForNobody

MOST_SLICES = 200


UNKNOWN_GROUP = "unknown"


@dataclass(frozen=True)
class _Groups:
    """The rows of each group that is large enough, and the names of those that are too small."""

    rows: dict[str, npt.NDArray[np.intp]]
    too_small: list[str]

    @staticmethod
    def of(found: Predictions, group: str, smallest: int) -> _Groups:
        labels = _group(found, group)
        names, codes = group_codes(labels)
        sizes = np.bincount(codes, minlength=len(names))
        if len(names) > MOST_SLICES:
            raise CannotBeChecked(
                f"{group} has {len(names):,} values", f"At most {MOST_SLICES} groups are tested."
            )
        rows = {
            str(name): np.flatnonzero(codes == at) for at, name in enumerate(names) if sizes[at] >= smallest
        }
        small = [f"{name} ({sizes[at]:,})" for at, name in enumerate(names) if sizes[at] < smallest]
        return _Groups(rows, small)


def _group(found: Predictions, group: str) -> Any:
    if group not in found.groups:
        have = ", ".join(sorted(found.groups)) or "none"
        raise CannotBeChecked(
            f"the predictions have no group {group!r}",
            nearest(group, found.groups) or f"Their groups: {have}.",
        )
    labels = found.groups[group]
    return np.where(known(labels), labels, UNKNOWN_GROUP)


def worse_for_nobody(rule: WorseForNobody, evidence: Evidence, alpha: float) -> RuleVerdict:
    one, rows, against, groups, clusters = _in_groups(rule, evidence)
    slices, harmed = [], []
    for name, places in groups.rows.items():
        label, own = f"{rule.group} {name}", None if clusters is None else clusters[places]
        few = too_few(rule.metric, rows[places], rule.cluster, own)
        if few is not None:
            slices.append(
                SliceVerdict(
                    name=name, verdict=few.verdict, clause=f"{label}: {few.clause}", n=few.n, more=few.more
                )
            )
            continue
        found = difference(
            rule.metric,
            rows[places],
            against[places],
            margin=rule.margin,
            superior=False,
            alpha=alpha,
            clusters=own,
        )
        verdict = decided(found)
        if verdict == "fail":
            harmed.append(places)
        clause = _harm(found, rule.metric, label, verdict, rule.cluster)
        slices.append(_slice(name, verdict, clause, found, places))
    return _of_groups(
        rule, slices, groups, f"The rule allows less than {messages.amount(rule.margin, rule.metric)} in each group.",
        clustered(rule.cluster, clusters, rows),
        _worsened_in(one, rows, against, harmed, rule.metric),
    )  # fmt: skip


def no_harm(rule: NoHarm, evidence: Evidence, alpha: float) -> RuleVerdict:
    one, rows, against, groups, clusters = _in_groups(rule, evidence)
    better = METRICS[rule.metric].better
    side: Alternative = "less" if better == "higher" else "greater"
    tested: list[tuple[str, Any, Result]] = []
    slices = []
    for name, places in groups.rows.items():
        own = None if clusters is None else clusters[places]
        if too_few(rule.metric, rows[places], rule.cluster, own) is not None:
            groups.too_small.append(f"{name} ({len(places):,})")
            continue
        found = test_of(rule.metric, own)(
            rows[places], against[places], alternative=side, confidence=1 - 2 * alpha
        )
        tested.append((name, places, found))
    harmed = []
    for (name, places, found), p in zip(tested, holm([found.p for *_, found in tested]), strict=True):
        verdict: Verdict = "fail" if p <= alpha else "pass"
        if verdict == "fail":
            harmed.append(places)
        clause = _harm(found, rule.metric, f"{rule.group} {name}", verdict)
        slices.append(_slice(name, verdict, clause, replace(found, p=float(p)), places))
    return _of_groups(
        rule, slices, groups, f"The rule asks for no harm in {len(slices)} groups, corrected by Holm.",
        clustered(rule.cluster, clusters, rows),
        _worsened_in(one, rows, against, harmed, rule.metric),
    )  # fmt: skip


def _in_groups(
    rule: WorseForNobody | NoHarm, evidence: Evidence
) -> tuple[Predictions, Floats, Floats, _Groups, Codes | None]:
    one, other = evidence.both()
    labelled = one.labelled
    one, other = one.take(labelled), other.take(labelled)
    rows, against = (rows_of(rule.metric, each, evidence.positive) for each in (one, other))
    groups = _Groups.of(one, rule.group, rule.smallest)
    return one, rows, against, groups, clusters_of(one, rule.cluster)


def _slice(
    name: str, verdict: Verdict, clause: str, found: Result, places: npt.NDArray[np.intp]
) -> SliceVerdict:
    return SliceVerdict(
        name=name, verdict=verdict, clause=clause, n=len(places), estimate=found.estimate,
        low=finite(found.low), high=finite(found.high), bound=found.null, p=found.p, more=found.more,
    )  # fmt: skip


def _harm(found: Result, metric: str, label: str, verdict: Verdict, cluster: str = "") -> str:
    """Return what happens to a group, such as "worse for group B by 3 to 7 points"."""
    up = METRICS[metric].better == "higher"
    if found.estimate is None or found.low is None or found.high is None:
        return f"{label} cannot be told from chance"
    estimate, least, most = (
        (-found.estimate, -found.high, -found.low) if up else (found.estimate, found.low, found.high)
    )
    if least > 0:
        return f"worse for {label} by {messages.span(least, most, metric)}"
    if verdict == "fail":
        return (
            f"worse for {label} by {messages.amount(estimate, metric)}, up to {messages.amount(most, metric)}"
        )
    if verdict == "pass":
        return f"{label} is not worse by more than {messages.amount(max(0.0, most), metric)}"
    more = f"{messages.examples(found.more or 0, cluster)} {'in' if cluster else 'of'} it"
    would = f"; {more} would tell" if found.more else ""
    return f"{label} may be worse by up to {messages.amount(most, metric)}{would}"


def _worsened_in(
    one: Predictions, rows: Floats, against: Floats, harmed: list[Any], metric: str
) -> list[str]:
    if not harmed:
        return []
    places = np.concatenate(harmed)
    return worsened(one.take(places), rows[places], against[places], metric)


def _of_groups(
    rule: WorseForNobody | NoHarm,
    slices: list[SliceVerdict],
    groups: _Groups,
    detail: str,
    about: dict[str, Any],
    examples: list[str],
) -> RuleVerdict:
    if not slices:
        return verdict_of(
            "not_enough_data", f"no {rule.group} has {rule.smallest} rows with labels", detail,
            too_small=groups.too_small,
        )  # fmt: skip
    verdict = messages.worst([each.verdict for each in slices])
    if verdict == "pass":
        clause = f"worse for no {rule.group} of {len(slices)}"
    else:
        causes = [each.clause for each in slices if each.verdict == verdict]
        clause = "; ".join(causes[:3]) + (f"; {len(causes) - 3} more groups" if len(causes) > 3 else "")
    return verdict_of(
        verdict, clause, f"{detail}{messages.in_clusters(about)}", slices=slices, too_small=groups.too_small,
        examples=examples, **{**about, "n": sum(each.n for each in slices)},
        more=max((each.more for each in slices if each.more and each.verdict == "not_enough_data"), default=None),
    )  # fmt: skip


_FAIR: dict[str, tuple[Rate, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
    "accuracy": ("accuracy",),
}


def fairness(rule: Fairness, evidence: Evidence, alpha: float) -> RuleVerdict:
    found = evidence.one()
    found = found.take(found.labelled)
    if rule.measure == "accuracy":
        truth, guess, positive = np.ones(len(found)), found.right(), 1.0
        counts = GroupCounts.of(truth, guess, _group(found, rule.group), positive=positive)
        # Right answers are true positives, wrong ones false negatives: their rate is the accuracy.
        rates: tuple[Rate, ...] = ("true_positive_rate",)
    else:
        name = class_name(rule.positive)
        actual, guessed = class_names(found.labels) == name, class_names(found.predictions) == name
        if not actual.any() and not guessed.any():
            raise CannotBeChecked(
                f"no row has the positive label {name}", "Set the key 'positive' of the rule."
            )
        counts = GroupCounts.of(
            actual.astype(np.intp), guessed.astype(np.intp), _group(found, rule.group), positive=1
        )
        rates = _FAIR[rule.measure]
    gaps = [
        counts.gap(each, rng=np.random.default_rng(20_261_130), min_size=rule.smallest, confidence=1 - alpha)
        for each in rates
    ]
    small = sorted({str(each) for gap in gaps for each in gap.left_out})
    if any(gap.estimate is None for gap in gaps):
        return verdict_of(
            "not_enough_data", f"fewer than two groups of {rule.group} have {rule.smallest} rows",
            n=len(found), too_small=small,
        )  # fmt: skip
    verdicts = [_fair(gap, rule.at_most) for gap in gaps]
    verdict = messages.worst(verdicts)
    gap = gaps[verdicts.index(verdict)]
    assert (
        gap.estimate is not None
        and gap.corrected is not None
        and gap.low is not None
        and gap.high is not None
    )
    measure = rule.measure.replace("_", " ")
    by = messages.amount(gap.estimate, "accuracy")
    clause = f"{measure} differs by {by} between {rule.group} {gap.lowest} and {gap.highest}"
    more = None
    if verdict == "not_enough_data":
        room = rule.at_most - gap.corrected
        more = max(1, int(np.ceil(len(found) * (((gap.high - gap.corrected) / room) ** 2 - 1))))
        clause += f", and more than {messages.amount(rule.at_most, 'accuracy')} is not ruled out"
        clause += f"; about {messages.examples(more)} would tell"
    elif verdict == "fail":
        clause += f", over {messages.amount(rule.at_most, 'accuracy')}"
    ends = f"{messages.percent(1 - alpha)} interval: {messages.span(gap.low, gap.high, 'accuracy')}"
    return verdict_of(
        verdict, clause, f"{ends}; the rule allows {messages.amount(rule.at_most, 'accuracy')}.",
        estimate=gap.estimate, low=gap.low, high=gap.high, confidence=round(1 - alpha, 12), bound=rule.at_most,
        n=len(found), more=more, method=gap.method, too_small=small,
    )  # fmt: skip


def _fair(gap: Gap, most: float) -> Verdict:
    assert gap.high is not None and gap.corrected is not None
    if gap.high <= most:
        return "pass"
    return "fail" if gap.corrected >= most else "not_enough_data"
