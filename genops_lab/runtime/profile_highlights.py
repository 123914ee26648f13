"""What stands first in a profile: the advice that saves most and the costliest lines, in the session's own words."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple

from .cells import executed_cells
from .display import shell
from .palette import microseconds

MAX_ADVICE = 3
MAX_LINES = 6
_MAX_TEXT = 120


class _Cell(NamedTuple):
    number: int
    lines: List[str]


def findings(summary: Mapping[str, Any]) -> Dict[str, Any]:
    """The ``advice``, the ``lines`` with their share of all lines' time, and what is measured (``lines_of``).

    Of lines that ran on a device their time there counts; without any, their time on the host.
    """
    attribution = summary.get("attribution") or {}
    lines = attribution.get("lines") or []
    on_device = any(line["device_us"] > 0 for line in lines)
    basis = "device_us" if on_device else "cpu_us"
    total = sum(line[basis] for line in lines) or 1.0
    cells = _cells()
    costliest = sorted((line for line in lines if line[basis] > 0), key=lambda line: -float(line[basis]))
    return {
        "advice": [_advice(one, cells) for one in _by_saving(summary)[:MAX_ADVICE]],
        "more_advice": max(0, len(summary.get("advice") or []) - MAX_ADVICE),
        "lines": [
            {
                **_words(line["place"], cells),
                "time": microseconds(line[basis]),
                "share": line[basis] / total,
            }
            for line in costliest[:MAX_LINES]
        ],
        "lines_of": "device" if on_device else "host",
    }


def _by_saving(summary: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    return sorted(summary.get("advice") or [], key=lambda one: -float(one["saving_us"]))


def _advice(one: Mapping[str, Any], cells: Mapping[str, _Cell]) -> Dict[str, Any]:
    places = [_words(place, cells)["where"] for place in one.get("places") or []]
    return {
        "title": one["title"],
        "severity": one["severity"],
        "saving": f"up to {microseconds(one['saving_us'])}" if one["saving_us"] > 0 else "",
        "evidence": one["evidence"],
        "suggestion": one.get("suggestion") or "",
        "where": ", ".join(places),
    }


def _words(place: Mapping[str, Any], cells: Mapping[str, _Cell]) -> Dict[str, str]:
    """Where a line is, as the notebook numbers its cells, and its text where it is known."""
    cell, line, text = cells.get(place.get("cell") or ""), int(place["line"]), str(place.get("text") or "")
    file = str(place["file"])
    name = f"[{cell.number}]" if cell is not None else file
    if cell is not None and not text and 0 < line <= len(cell.lines):
        text = cell.lines[line - 1]
    where = name if line <= 0 else f"{name} line {line}" if name.startswith("[") else f"{name}:{line}"
    return {"where": where, "text": text.strip()[:_MAX_TEXT]}


def _cells() -> Dict[str, _Cell]:
    """This session's cells by the names that markers give them; of a cell that ran again, as it ran last."""
    here = shell()
    if here is None or not hasattr(here, "history_manager"):
        return {}
    return {
        cell.cell_id or f"In[{cell.execution_count}]": _Cell(cell.execution_count, cell.source.split("\n"))
        for cell in executed_cells(here)
        if cell.execution_count is not None
    }
