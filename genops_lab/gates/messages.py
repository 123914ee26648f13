"""The words of a verdict: the same sentences in panel, command and Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .metric_kinds import METRICS, called
from .models import WORDS, GateReport, RuleVerdict, Verdict

if TYPE_CHECKING:
    from genops_lab.statistics.results import Result

#: Clauses in a headline.
MOST_CLAUSES = 4
#: The worst first.
_WORST: tuple[Verdict, ...] = ("fail", "cannot_be_checked", "not_enough_data", "pass")


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict of all: the worst one.

    >>> worst(["pass", "not_enough_data", "fail"])
    'fail'
    """
    return next((each for each in _WORST if each in verdicts), "pass")


def number(value: float, *, points: bool = False) -> str:
    """Return a figure with at most three digits that count; a rate in percent or points.

    >>> number(0.0081, points=True), number(0.01234), number(-0.0)
    ('0.8', '0.0123', '0')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{100 * value:.1f}" if points else f"{value:.3g}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def amount(value: float, metric: str) -> str:
    """Return a difference with its unit: points for rates."""
    points = METRICS[metric].points
    text = number(value, points=points)
    return text if not points else f"{text} point" if text == "1" else f"{text} points"


def value(found: float, metric: str) -> str:
    """Return a value with its unit: percent for rates."""
    points = metric in METRICS and METRICS[metric].points
    return f"{number(found, points=points)} %" if points else number(found)


def examples(count: int, cluster: str = "") -> str:
    """Return a count with two digits that count, rounded up; with ``cluster`` it counts clusters.

    >>> examples(1843), examples(7), examples(1)
    ('1,900 more examples', '7 more examples', '1 more example')
    >>> examples(12, "user")
    '12 more clusters of user'
    """
    step = 10 ** max(0, len(str(count)) - 2)
    rounded = -(-count // step) * step
    what = f"clusters of {cluster}" if cluster else "examples"
    if rounded == 1:
        what = f"cluster of {cluster}" if cluster else "example"
    return f"{rounded:,} more {what}"


def span(low: float, high: float, metric: str) -> str:
    """Return two ends with one unit.

    >>> span(0.03, 0.07, "accuracy")
    '3 to 7 points'
    """
    points = METRICS[metric].points
    ends = f"{number(low, points=points)} to {number(high, points=points)}"
    return f"{ends} points" if points else ends


def interval(found: Result, alpha: float, metric: str) -> str:
    """Return the interval of a difference as a sentence; empty without one."""
    if found.low is None or found.high is None:
        return ""
    return f"{percent(1 - 2 * alpha)} interval: {span(found.low, found.high, metric)}."


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.9)
    '90 %'
    """
    return f"{100 * share:.4g} %"


def difference_clause(found: Result, metric: str) -> str:
    """Return a difference as a clause, such as "accuracy is 0.8 points higher"."""
    estimate = found.estimate or 0.0
    if not estimate:
        return f"{called(metric)} is the same"
    return f"{called(metric)} is {amount(abs(estimate), metric)} {'higher' if estimate > 0 else 'lower'}"


def would_show(state: str, more: int | None, cluster: str = "") -> str:
    """Return a state with what would change it.

    >>> would_show("within chance", 1843)
    'within chance; 1,900 more examples would show it'
    """
    return state if more is None else f"{state}; {examples(more, cluster)} would show it"


def in_clusters(about: dict[str, Any]) -> str:
    """Return a sentence about clusters, to follow others; empty for independent rows."""
    if not about:
        return ""
    return f" Rows of one {about['cluster']} count as dependent: {about['n']:,} rows in {about['clusters']:,} clusters."


def within_chance(more: int | None, cluster: str = "") -> str:
    """Return what would show a difference that is within chance."""
    return would_show("within chance", more, cluster)


def headline(verdict: Verdict, rules: list[RuleVerdict], against: str, extra: str = "") -> str:
    """Return the verdict and what caused it, in one line.

    ``extra``: a clause of the file itself, such as that it changed after the run began.
    """
    if verdict == "pass":
        count = f"all {len(rules)} rules hold" if len(rules) > 1 else "the rule holds"
        return f"Pass: {count}{f' against version {against}' if against else ''}."
    by_verdict = sorted((each for each in rules if each.verdict != "pass"), key=_order)
    clauses = list(dict.fromkeys(([extra] if extra else []) + [each.clause for each in by_verdict]))
    more = len(clauses) - MOST_CLAUSES
    shown = "; ".join(clauses[:MOST_CLAUSES])
    return f"{WORDS[verdict]}: {shown}{f'; {more} more' if more > 0 else ''}."


def _order(rule: RuleVerdict) -> int:
    # What was measured comes before what could not be; the rest as in the file.
    return rule.verdict == "cannot_be_checked"


def sentence(rule: RuleVerdict) -> str:
    """Return what a rule found, as sentences."""
    clause = rule.clause[:1].upper() + rule.clause[1:]
    return f"{clause}.{f' {rule.detail}' if rule.detail else ''}"


def markdown(report: GateReport) -> str:
    """Return the report for a job summary or a pull request."""
    title = f"## Gates of {markdown_cell(report.model)} version {report.version}: {WORDS[report.verdict]}"
    lines = [title, "", f"**{markdown_cell(report.headline)}**", ""]
    lines += ["| rule | verdict | found |", "|---|---|---|"]
    for rule in report.rules:
        lines.append(
            f"| {markdown_cell(rule.name)} | {WORDS[rule.verdict]} | {markdown_cell(sentence(rule))} |"
        )
    slices = [(rule, each) for rule in report.rules for each in rule.slices]
    if slices:
        lines += ["", "| rule | part | rows | verdict | found |", "|---|---|--:|---|---|"]
        for rule, each in slices:
            lines.append(
                f"| {markdown_cell(rule.name)} | {markdown_cell(each.name)} | {each.n:,} | {WORDS[each.verdict]} "
                f"| {markdown_cell(each.clause)} |"
            )
    notes = [
        *report.notes,
        *(
            f"Groups too small for {rule.name}: {', '.join(rule.too_small)}."
            for rule in report.rules
            if rule.too_small
        ),
    ]
    lines += ["", *(f"- {markdown_cell(note)}" for note in notes)] if notes else []
    for data in report.data:
        lines += [
            "",
            f"Data: {markdown_cell(data.name)} ({data.digest[:12]}), {data.rows:,} rows, evaluation run `{data.run}`.",
        ]
    lines += ["", f"Gate file: {markdown_cell(report.file)}, blob `{report.hash[:12]}`."]
    return "\n".join(lines) + "\n"


def markdown_cell(text: str) -> str:
    """Return text that stays in its cell, and is no HTML."""
    text = " ".join(text.split())
    for sign in "\\`|<>*_[]":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
