"""``python -m benchmarks.table FILE...``: the lines that ``make bench`` printed, as the page ``docs/figures.md``."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_KNOWN = {"figure", "unit", "median", "min", "max", "n", "target", "baseline"}
_HEAD = """# Figures

Made by `python -m benchmarks.table` from what `make bench` printed on {day}, on a machine with {cores} cores
({machine}, Python {python}), which the Lab and its hosts shared; not edited. A figure and its baseline were measured
in one run. Values are medians, with the least and the largest in brackets. "Wanted" was written down before.

| figure | measured | wanted | baseline | more |
|---|---|---|---|---|
"""


def page(lines: Iterable[str], day: str) -> str:
    """Markdown; a figure that comes again replaces the earlier one."""
    figures: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.startswith("{"):
            figure = json.loads(line)
            figures[str(figure["figure"])] = figure
    head = _HEAD.format(
        day=day, cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version()
    )
    return head + "".join(map(_row, figures.values()))


def _row(figure: dict[str, Any]) -> str:
    unit, target, baseline = str(figure["unit"]), figure.get("target"), figure.get("baseline")
    more = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in figure.items() if key not in _KNOWN)
    cells = (
        str(figure["figure"]).replace("_", " "),
        _values(figure, unit),
        "" if target is None else f"{_number(target)} {unit}",
        f"{baseline['what']}: {_values(baseline, unit)}" if baseline else "",
        more,
    )
    return "| " + " | ".join(cells) + " |\n"


def _values(spread: dict[str, Any], unit: str) -> str:
    told = f"{_number(spread['median'])} {unit}"
    if spread["n"] == 1:
        return told
    return f"{told} ({_number(spread['min'])} to {_number(spread['max'])}, {spread['n']} times)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:]]
    newest = max(each.stat().st_mtime for each in files)
    text = [line for each in files for line in each.read_text(encoding="utf-8").splitlines()]
    sys.stdout.write(page(text, time.strftime("%Y-%m-%d", time.localtime(newest))))
