"""The picture of a report: for each rule what was measured, its interval, and what the rule asks for, as SVG.

An SVG has the colours of both themes in it. Its text says what the sentences beside it say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from . import messages
from .metric_kinds import METRICS
from .models import WORDS, GateReport, RuleVerdict, Verdict

_ROW, _LEFT, _TRACK, _RIGHT = 26, 260, 300, 280
#: Rules and groups that fit; the report has all.
MOST_ROWS = 60
_STYLE = """\
svg{--back:#fff;--text:#1f1f1f;--soft:#616161;--pass:#2e7d32;--fail:#c62828;--open:#a15c00}
@media (prefers-color-scheme:dark){
svg{--back:#111;--text:#e6e6e6;--soft:#ababab;--pass:#7bc67e;--fail:#ff8a80;--open:#ffb74d}}
text{font:12px sans-serif;fill:var(--text)}.soft{fill:var(--soft)}.back{fill:var(--back)}
line{stroke:var(--soft)}.bound{stroke:var(--text);stroke-dasharray:3 2}
.pass{stroke:var(--pass);fill:var(--pass)}.fail{stroke:var(--fail);fill:var(--fail)}
.open{stroke:var(--open);fill:none}.interval{stroke-width:2}"""
_CLASSES: dict[Verdict, str] = {
    "pass": "pass", "fail": "fail", "not_enough_data": "open", "cannot_be_checked": "open",
}  # fmt: skip


@dataclass(frozen=True)
class _Row:
    """One line: ``low`` and ``high`` are infinite or None where the interval has no such end."""

    name: str
    verdict: Verdict
    estimate: float
    low: float | None
    high: float | None
    bound: float | None
    unit: str


def picture(report: GateReport) -> str:
    """Return a forest plot of a report as an SVG document; empty if no rule has an estimate."""
    rows = list(_rows(report))[:MOST_ROWS]
    if not rows:
        return ""
    width, height = _LEFT + _TRACK + _RIGHT, _ROW * (len(rows) + 2)
    title = f"Gates of {report.model} version {report.version}: {WORDS[report.verdict]}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_text(title, 200)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
        f'<text x="8" y="17" font-weight="bold">{_text(title, 110)}</text>',
    ]
    for at, row in enumerate(rows):
        lines += _drawn(row, _ROW * (at + 1.5) + 4)
    note = "Bar: interval. Dot: estimate, filled if the rule is decided. Dashed line: what the rule asks for."
    lines += [f'<text class="soft" x="8" y="{height - 9}">{note}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _rows(report: GateReport) -> Iterator[_Row]:
    for rule in report.rules:
        if rule.estimate is not None:
            unit = _unit(rule, rule.metric)
            yield _Row(rule.name, rule.verdict, rule.estimate, rule.low, rule.high, rule.bound, unit)
        for part in rule.slices:
            if part.estimate is not None:
                # Of several metrics each has its name.
                unit = _unit(rule, part.name if part.name in METRICS else rule.metric)
                yield _Row(
                    f"{rule.name}, {part.name}", part.verdict, part.estimate, part.low, part.high, part.bound,
                    unit,
                )  # fmt: skip


def _unit(rule: RuleVerdict, metric: str) -> str:
    """Return the unit of a rate, which is shown in percent, or of a difference of rates."""
    if metric not in METRICS or not METRICS[metric].points:
        return ""
    return " %" if rule.rule == "bound" else " points"


def _drawn(row: _Row, y: float) -> Iterator[str]:
    given = (row.estimate, row.low, row.high, row.bound)
    known = [each for each in given if each is not None and math.isfinite(each)]
    low, high = min(known), max(known)
    room = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room

    def x(value: float | None, otherwise: float) -> str:
        place = (value - low) / (high - low) if value is not None and math.isfinite(value) else otherwise
        return f"{_LEFT + place * _TRACK:.1f}"

    kind = _CLASSES[row.verdict]
    yield f'<text x="8" y="{y + 4:g}">{_text(row.name, 38)}</text>'
    yield f'<line x1="{_LEFT}" x2="{_LEFT + _TRACK}" y1="{y:g}" y2="{y:g}" stroke-opacity="0.4"/>'
    if _finite(row.bound):
        at = x(row.bound, 0)
        yield f'<line class="bound" x1="{at}" x2="{at}" y1="{y - 10:g}" y2="{y + 10:g}"/>'
    if _finite(row.low) or _finite(row.high):
        yield (
            f'<line class="interval {kind}" x1="{x(row.low, 0)}" x2="{x(row.high, 1)}" y1="{y:g}" y2="{y:g}"/>'
        )
    yield f'<circle class="{kind}" cx="{x(row.estimate, 0.5)}" cy="{y:g}" r="4" stroke-width="2"/>'
    yield f'<text class="soft" x="{_LEFT + _TRACK + 10}" y="{y + 4:g}">{_text(_said(row), 42)}</text>'


def _said(row: _Row) -> str:
    points = bool(row.unit)
    low, high = (
        ("-∞", "∞")[at] if each is None else messages.number(each, points=points)
        for at, each in enumerate((row.low, row.high))
    )
    ends = f" ({low} to {high})" if row.low is not None or row.high is not None else ""
    asked = "" if row.bound is None else f", asked {messages.number(row.bound, points=points)}"
    return f"{messages.number(row.estimate, points=points)}{ends}{row.unit}{asked}"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _text(text: str, most: int) -> str:
    """Return text that is no markup, without characters that XML refuses, cut to ``most`` characters."""
    text = "".join(each if each.isprintable() else " " for each in text)
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")
