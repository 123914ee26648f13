"""Format a sweep as HTML without scripts or outside resources, and as text; all texts are escaped."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from .cards import MUTED, card, marked, short
from .chart import picture
from .palette import GREY, SERIES, escape

#: Final states of a trial.
ENDED = ("finished", "failed", "pruned", "stopped")
OVER = ("done", "stopped", "failed")
STATES: Dict[str, Tuple[str, str]] = {
    "running": (SERIES[0], "●"),
    "starting": (SERIES[0], "…"),
    "stopping": (SERIES[0], "…"),
    "finished": (SERIES[2], "✓"),
    "done": (SERIES[2], "✓"),
    "failed": ("#dc4c4c", "✕"),
}


def sweep_card(state: Mapping[str, Any]) -> str:
    """Return the HTML of a sweep: its trials, the best of them, the objective by trial."""
    names = _names(state)
    metric = str(state["metric"] or "")
    head = (
        f'<div style="display:flex;gap:12px;flex-wrap:wrap"><strong>Sweep {escape(state["name"])}</strong>'
        f"{_state(str(state['state']))}<span>{escape(progress(state))}</span>"
        f'<span style="{MUTED}">{escape(state["id"])}</span></div>'
    )
    later = (
        ""
        if state["state"] in OVER
        else f"To see its present state, run `%genops sweeps show {state['id']}`."
    )
    notes = "".join(f"<p>{escape(state[name])}</p>" for name in ("message", "hint") if state.get(name))
    notes += f'<p style="{MUTED}">{escape(later)}</p>' if later else ""
    plot = ""
    series = state["series"]
    if series and len(next(iter(series.values()))["steps"]) > 1:
        plot = f'<div style="margin-top:6px">{picture(metric, series)}</div>'
    cells = "".join(
        f'<th scope="col" style="text-align:right">{escape(name)}</th>' for name in [*names, metric]
    )
    rows = "".join(_row(trial, names, state["best"]) for trial in state["trials"])
    table = (
        f'<table style="margin-top:6px"><thead><tr><th scope="col" style="text-align:right">Trial</th>'
        f'<th scope="col" style="text-align:left">State</th>{cells}<th scope="col"></th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        if state["trials"]
        else ""
    )
    return card(f"Sweep {state['name']}", head + notes + plot + _summary(state) + table)


def _row(trial: Mapping[str, Any], names: List[str], best: Any) -> str:
    is_best = trial["number"] == best
    values = [trial["params"].get(name) for name in names] + [trial["value"]]
    cells = "".join(f'<td style="text-align:right">{escape(shown(value))}</td>' for value in values)
    note = "best" if is_best else str(trial["message"] or "")
    weight = ' style="font-weight:bold"' if is_best else ""
    return (
        f'<tr{weight}><td style="text-align:right">{trial["number"]}</td>'
        f'<td style="text-align:left">{_state(str(trial["state"]))}</td>{cells}'
        f'<td style="text-align:left">{escape(note)}</td></tr>'
    )


def _summary(state: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(one["metric"])}</th>'
        f"<td>{one['n']}</td><td>{escape(shown(one['mean']))}</td><td>{escape(interval(one))}</td></tr>"
        for one in state.get("summary") or []
    )
    if not rows:
        return ""
    return (
        '<table style="margin-top:6px"><thead><tr><th scope="col" style="text-align:left">Metric</th>'
        '<th scope="col">n</th><th scope="col">Mean</th><th scope="col">95 % interval</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def sweep_text(state: Mapping[str, Any]) -> str:
    """Return a sweep as plain text."""
    lines = [f"sweep {state['id']} {state['name']}: {state['state']}, {progress(state)}"]
    best = next((trial for trial in state["trials"] if trial["number"] == state["best"]), None)
    if best is not None:
        params = ", ".join(f"{name}={shown(value)}" for name, value in best["params"].items())
        lines.append(f"best: trial {best['number']}, {params}: {state['metric']} {shown(best['value'])}")
    for one in state.get("summary") or []:
        lines.append(f"{one['metric']}: mean {shown(one['mean'])} of {one['n']}, {interval(one)}")
    if state.get("message"):
        lines.append(f"{state['message']} {state.get('hint') or ''}".strip())
    return "\n".join(lines)


def progress(state: Mapping[str, Any]) -> str:
    """Return how many trials have ended, and how many of them did not finish."""
    counts = state["counts"]
    ended = sum(counts.get(name, 0) for name in ENDED)
    others = [f"{counts[name]} {name}" for name in ("failed", "pruned", "stopped") if counts.get(name)]
    return f"{ended} of {state['planned']} trials" + (f" ({', '.join(others)})" if others else "")


def interval(one: Mapping[str, Any]) -> str:
    """Return a mean's 95 % interval as text."""
    if one.get("low") is None or one.get("high") is None:
        return "no interval"
    return f"{shown(one['low'])} to {shown(one['high'])}"


def shown(value: Any) -> str:
    """Return a value in a few characters; empty for None."""
    return "" if value is None else short(value, 40)


def _names(state: Mapping[str, Any]) -> List[str]:
    return list(dict.fromkeys(name for trial in state["trials"] for name in trial["params"]))


def _state(word: str) -> str:
    return marked(*STATES.get(word, (GREY, "■")), word)
