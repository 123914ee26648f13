"""Say in plain sentences what a report shows, the most important first."""

from __future__ import annotations

from collections.abc import Sequence

from genops_lab.genai.scorers.base import named_judge
from genops_lab.runtime.money import money_text

from .models import (
    AskedUntilKnown,
    ComparedModels,
    ComparedSlice,
    JudgeVerdict,
    ScoredModel,
    ScoreEstimate,
    ScoresReport,
)

_NAMED = 5


def sentences(report: ScoresReport) -> list[str]:
    """Return what a report shows."""
    found = [] if report.compared else [_mean(each) for each in report.scored if each.mean.value is not None]
    for each in report.compared:
        found.append(_difference(each, report.stopped))
        found += _changed(each)
        found += [
            _slice(each, part)
            for part in each.slices
            if part.verdict not in ("within chance", "equal", "not known")
        ]
        if each.corrected is not None and each.corrected.value is not None:
            found.append(
                f"By people's labels, which the marks of {each.scorer} complete, {each.model} is "
                f"{amount(each.corrected.value, each.points, signed=True)}{interval(each.corrected, each.points)}."
            )
    if report.stopped is not None:
        found += _stopped(report.stopped)
    return found + [_judge(each) for each in report.judges]


def _mean(each: ScoredModel) -> str:
    """Say the mean of a model that is compared with none."""
    assert each.mean.value is not None
    examples = "example" if each.mean.n == 1 else "examples"
    return (
        f"The mean of {each.model} by {each.scorer} is {_number(each.mean.value, False)}"
        f"{interval(each.mean, False)}, over {each.mean.n:,} {examples}."
    )


def _difference(each: ComparedModels, stopped: AskedUntilKnown | None) -> str:
    against = f"{each.against} of {each.against_result}" if each.against_result else each.against
    value = each.difference.value
    if value is None:
        return f"No example has a score of {each.model} and {against} by {each.scorer}."
    size = amount(abs(value), each.points)
    within = interval(each.difference, each.points)
    after = f", after {stopped.examples:,} of {stopped.of:,} examples" if stopped else ""
    match each.verdict:
        case "better":
            return f"{each.model} beats {against} by {size} in {each.scorer}{within}{after}."
        case "worse":
            return f"{each.model} is worse than {against} by {size} in {each.scorer}{within}{after}."
        case "equal":
            return f"{each.model} and {against} are equal in {each.scorer}{within}{after}."
        case "higher" | "lower":
            return f"{each.model} is {each.verdict} than {against} by {size} in {each.scorer}{within}{after}."
    if each.difference.low is None:
        signed = amount(value, each.points, signed=True)
        return f"{each.model} is {signed} beside {against} in {each.scorer}, without an interval{after}."
    many = f", corrected for {each.tests} comparisons" if each.tests > 1 else ""
    shown = f"{each.model} is {amount(value, each.points, signed=True)}{within}"
    return f"{each.model} and {against} differ within chance in {each.scorer}{many}: {shown}{after}."


def _changed(each: ComparedModels) -> list[str]:
    if each.new_failures is None or each.mended is None or not (each.new_failures or each.mended):
        return []
    count = len(each.new_failures)
    found = [f"{count:,} new failure{'' if count == 1 else 's'}, {len(each.mended):,} mended."]
    if each.new_failures:
        found.append(f"New failures of {each.model}: {named(each.new_failures)}.")
    return found


def _judge(each: JudgeVerdict) -> str:
    found = each.agreement
    if not each.calibrated or found is None or found.value is None or found.low is None or found.high is None:
        return each.verdict
    return (
        f"{named_judge(each.scorer)} agrees with people {found.value:.2f} beyond chance "
        f"(95 % interval {found.low:.2f} to {found.high:.2f}, {found.n:,} labels): it is calibrated."
    )


def _slice(each: ComparedModels, part: ComparedSlice) -> str:
    assert part.difference.value is not None
    size = amount(part.difference.value, each.points, signed=True)
    return (
        f"Where {part.column} is {part.value}, {each.model} is {part.verdict} in {each.scorer}: "
        f"{size}{interval(part.difference, each.points)}, {part.difference.n:,} examples."
    )


def _stopped(found: AskedUntilKnown) -> list[str]:
    money = ""
    if found.spared_money is not None:
        money = f", which would have cost some {money_text(found.spared_money, found.currency)}"
    about = "The answer is about these rows alone." if found.finite else ""
    if not found.known:
        ends = [
            "The differences are not known yet. The intervals hold at each look, so they are wider than usual."
        ]
    else:
        ends = [f"The answer was known, and {found.spared:,} answers were not asked for{money}."]
    return [*ends, *filter(None, [about])]


def named(ids: Sequence[str]) -> str:
    """Return the first ids, and how many more there are.

    >>> named(["1", "2"]), named([str(at) for at in range(9)])
    ('1, 2', '0, 1, 2, 3, 4 and 4 more')
    """
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more


def amount(value: float, points: bool, *, signed: bool = False) -> str:
    """Return a difference in words.

    >>> amount(0.04, True), amount(0.01, True), amount(-1.25, False, signed=True)
    ('4 points', '1 point', '-1.25')
    """
    number = _number(value, points)
    sign = "+" if signed and value > 0 else ""
    if not points:
        return f"{sign}{number}"
    return f"{sign}{number} point{'' if number.lstrip('-') == '1' else 's'}"


def _number(value: float, points: bool) -> str:
    if not points:
        return f"{value:.3g}"
    found = f"{100 * value:.1f}".removesuffix(".0")
    return "0" if found == "-0" else found


def interval(found: ScoreEstimate, points: bool) -> str:
    """Return the interval of a difference in words; empty without one."""
    if found.low is None or found.high is None:
        return ""
    return f" (95 % interval {_number(found.low, points)} to {_number(found.high, points)})"
