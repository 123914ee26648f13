"""``python -m benchmarks.table [--after PAGE] FILE...``: the lines that ``make bench`` printed, as the page
``docs/figures.md``. Rows of an earlier page stay where nothing newer was measured, with their day."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_KNOWN = {"figure", "unit", "median", "min", "max", "n", "target", "baseline"}
_DAY = re.compile(r"\| \d{4}-\d\d-\d\d \|$")
_HEAD = """# Figures

Made by `python -m benchmarks.table` from what `make bench` printed, the latest on {day}, on a machine with {cores}
cores ({machine}, Python {python}), which the Lab and its hosts shared; not edited. A figure and its baseline were
measured in one run. Values are medians, with the least and the largest in brackets. "Wanted" was written down before.

| figure | measured | wanted | baseline | more | day |
|---|---|---|---|---|---|
"""


def page(lines: Iterable[str], day: str, earlier: str = "") -> str:
    """Markdown; a figure that comes again replaces the earlier one. ``earlier`` is the page before."""
    rows = _rows_of(earlier)
    for line in lines:
        if line.startswith("{"):
            figure = json.loads(line)
            rows[_name(figure)] = _row(figure, day)
    head = _HEAD.format(
        day=day, cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version()
    )
    return head + "".join(rows.values())


def _rows_of(page_before: str) -> dict[str, str]:
    """Rows by name, each with its day: the page's own where they have none yet."""
    day = re.search(r"\b\d{4}-\d\d-\d\d\b", page_before)
    rows: dict[str, str] = {}
    for line in page_before.splitlines():
        cells = line.strip("| ").split(" | ") if line.startswith("| ") else []
        if len(cells) < 2 or cells[0] == "figure":
            continue
        if not _DAY.search(line) and day is not None:
            line += f" {day[0]} |"
        rows[cells[0]] = line + "\n"
    return rows


def _name(figure: dict[str, Any]) -> str:
    return str(figure["figure"]).replace("_", " ")


def _row(figure: dict[str, Any], day: str) -> str:
    unit, target, baseline = str(figure["unit"]), figure.get("target"), figure.get("baseline")
    more = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in figure.items() if key not in _KNOWN)
    cells = (
        _name(figure),
        _values(figure, unit),
        "" if target is None else f"{_number(target)} {unit}",
        f"{baseline['what']}: {_values(baseline, unit)}" if baseline else "",
        more,
        day,
    )
    return "| " + " | ".join(cells) + " |\n"


def _values(spread: dict[str, Any], unit: str) -> str:
    told = f"{_number(spread['median'])} {unit}"
    if spread["n"] == 1:
        return told
    return f"{told} ({_number(spread['min'])} to {_number(spread['max'])}, {spread['n']} times)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--after", type=Path, help="the page before, whose rows stay where nothing newer is")
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    newest = max(each.stat().st_mtime for each in given.files)
    text = [line for each in given.files for line in each.read_text(encoding="utf-8").splitlines()]
    earlier = given.after.read_text(encoding="utf-8") if given.after else ""
    sys.stdout.write(page(text, time.strftime("%Y-%m-%d", time.localtime(newest)), earlier))


if __name__ == "__main__":
    main()
