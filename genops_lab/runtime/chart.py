"""Draw small line charts as SVG, for the picture that stays in the saved notebook."""

from __future__ import annotations

import base64
import re
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .palette import GREY, SERIES, STATUS_COLOURS, escape, figure

WIDTH, HEIGHT = 300, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 22, 18
#: Width of a digit at the labels' font size, in pixels.
_DIGIT = 6
_PARTS = r"(train|training|val|valid|validation|test|eval)"
_GROUPED = re.compile(rf"^{_PARTS}[_/.\-]|[_/.\-]{_PARTS}$", re.IGNORECASE)

RED = STATUS_COLOURS["FAILED"]

Series = Dict[str, Dict[str, List[Any]]]


def groups(names: Sequence[str]) -> Dict[str, List[str]]:
    """Group metrics into charts as the live view does: ``val_loss``, ``train/loss`` and ``loss`` share one."""
    found: Dict[str, List[str]] = {}
    for name in names:
        found.setdefault(_GROUPED.sub("", name) or name, []).append(name)
    return found


def _range(values: Sequence[float]) -> Tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    return low, high


def line_chart(title: str, series: Series, marks: Mapping[int, str] = MappingProxyType({})) -> str:
    """Return an SVG document with a line for each metric. None is a gap. ``marks`` are words at steps, in
    red.
    """
    points = {
        name: [(step, value) for step, value in zip(one["steps"], one["values"]) if value is not None]  # noqa: B905
        for name, one in series.items()
    }
    flat = [point for some in points.values() for point in some]
    if not flat:
        return ""
    low_x, high_x = min([*marks, *(p[0] for p in flat)]), max([*marks, *(p[0] for p in flat)])
    low_y, high_y = _range([p[1] for p in flat])
    left = max(_LEFT, 6 + _DIGIT * max(len(figure(low_y)), len(figure(high_y))))
    wide, tall = WIDTH - left - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def at(point: Tuple[float, float]) -> Tuple[float, float]:
        across = 0.5 if high_x == low_x else (point[0] - low_x) / (high_x - low_x)
        return left + across * wide, _TOP + (1 - (point[1] - low_y) / (high_y - low_y)) * tall

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="10" role="img">'
        f"<title>{escape(title)}</title>"
    ]
    for value, y in ((high_y, _TOP), (low_y, _TOP + tall)):
        parts.append(
            f'<path d="M{left} {y}H{WIDTH - _RIGHT}" stroke="{GREY}" stroke-opacity=".4"/>'
            f'<text x="{left - 4}" y="{y + 3}" text-anchor="end" fill="{GREY}">{figure(value)}</text>'
        )
    ticks = ((low_x, left, "start"), (high_x, WIDTH - _RIGHT, "end"))
    for value, x, anchor in ticks if high_x > low_x else ((low_x, left + wide / 2, "middle"),):
        parts.append(
            f'<text x="{x}" y="{HEIGHT - 5}" text-anchor="{anchor}" fill="{GREY}">{figure(value)}</text>'
        )
    legend_x = float(left)
    for index, (name, some) in enumerate(points.items()):
        colour = SERIES[index % len(SERIES)]
        dash = "" if index < len(SERIES) else ' stroke-dasharray="4 2"'
        places = [at(point) for point in some]
        if len(places) == 1:
            parts.append(f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3" fill="{colour}"/>')
        elif places:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
        label = name if len(name) <= 24 else name[:23] + "…"
        parts.append(f'<text x="{legend_x:.0f}" y="12" fill="{colour}">{escape(label)}</text>')
        legend_x += 7 + 5.6 * len(label)
    for step, word in marks.items():
        x, anchor = at((step, low_y))[0], "start" if (step - low_x) * 2 < high_x - low_x else "end"
        parts.append(
            f'<path d="M{x:.1f} {_TOP}V{_TOP + tall}" stroke="{RED}" stroke-dasharray="4 3"/>'
            f'<text x="{x + (4 if anchor == "start" else -4):.1f}" y="{_TOP + 10}" text-anchor="{anchor}" '
            f'fill="{RED}" font-weight="bold">{escape(word)}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def picture(title: str, series: Series, marks: Mapping[int, str] = MappingProxyType({})) -> str:
    """Return the chart as a self-contained HTML image; its alternative text has the values."""
    svg = line_chart(title, series, marks)
    if not svg:
        return ""
    values = []
    for name, one in series.items():
        last = next((value for value in reversed(one["values"]) if value is not None), None)
        values.append(f"{name} {figure(last)}" if last is not None else f"{name}: no value")
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" width="{WIDTH}" height="{HEIGHT}" '
        f'alt="{escape(f"Chart of {title}: " + ", ".join(values))}">'
    )
