"""HTML of runs, profiles and deployments: no script, no outside resource, every text escaped."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from .chart import groups, picture
from .palette import (
    GREY,
    SERIES,
    STATUS_COLOURS,
    STATUS_MARKS,
    STATUS_WORDS,
    elapsed,
    escape,
    figure,
    microseconds,
)

MAX_PARAMS = 12
MAX_OPERATORS = 8
MAX_TABLE_ROWS = 60
CARD = "border:1px solid rgba(128,128,128,.45);border-radius:4px;padding:8px 12px;max-width:980px"
MUTED = "opacity:.8"


def _card(label: str, inner: str) -> str:
    return f'<div role="group" aria-label="{escape(label)}" style="{CARD}">{inner}</div>'


def _mark(colour: str, mark: str, word: str) -> str:
    return f'<span><span aria-hidden="true" style="color:{colour}">{mark}</span> {escape(word)}</span>'


def _pairs(values: Mapping[str, Any], most: int) -> str:
    shown = [
        f'<span style="margin-right:12px"><span style="{MUTED}">{escape(name)}</span> '
        f"{escape(_short(value))}</span>"
        for name, value in list(values.items())[:most]
    ]
    if len(values) > most:
        shown.append(f'<span style="{MUTED}">and {len(values) - most} more</span>')
    return f'<div style="margin-top:4px">{"".join(shown)}</div>' if shown else ""


def _short(value: Any, most: int = 60) -> str:
    text = figure(value) if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _last_values(series: Dict[str, Dict[str, List[Any]]]) -> Dict[str, float]:
    found = {}
    for name, one in series.items():
        last = next((value for value in reversed(one["values"]) if value is not None), None)
        if last is not None and not name.startswith("system/"):
            found[name] = last
    return found


def run_card(state: Mapping[str, Any], *, charts: bool) -> str:
    """A run: its state as the live view has it; with ``charts`` as pictures."""
    status = str(state["status"])
    head = (
        f'<div style="display:flex;gap:12px;flex-wrap:wrap"><strong>{escape(state["title"])}</strong>'
        f"{_mark(STATUS_COLOURS.get(status, GREY), STATUS_MARKS.get(status, ''), STATUS_WORDS.get(status, status))}"
        f'<span style="{MUTED}">{elapsed(float(state["elapsed_s"]))}</span></div>'
    )
    message = f"<p>{escape(state['message'])}</p>" if state["message"] else ""
    series = state["series"]
    pictures = ""
    if charts:
        own = [name for name in series if not name.startswith("system/")]
        pictures = "".join(
            picture(group, {name: series[name] for name in names}) for group, names in groups(own).items()
        )
    grid = (
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin-top:6px">{pictures}</div>'
        if pictures
        else ""
    )
    run_id = (
        f'<div style="{MUTED};margin-top:4px">run {escape(state["run_id"])}</div>' if state["run_id"] else ""
    )
    values = _pairs(_last_values(series), MAX_PARAMS)
    return _card(
        f"Run {state['title']}", head + message + _pairs(state["params"], MAX_PARAMS) + values + grid + run_id
    )


def run_text(state: Mapping[str, Any]) -> str:
    """A run in a line or two of plain text."""
    status = str(state["status"])
    values = ", ".join(f"{name} {figure(value)}" for name, value in _last_values(state["series"]).items())
    line = (
        f"run {state['title']}: {STATUS_WORDS.get(status, status)} after {elapsed(float(state['elapsed_s']))}"
    )
    parts = [line + (f", {values}" if values else "")]
    if state["run_id"]:
        parts.append(f"run id {state['run_id']}")
    if state["message"]:
        parts.append(str(state["message"]))
    return "\n".join(parts)


def _bar(share: float, colour: str) -> str:
    return (
        '<div style="flex:1;min-width:80px;align-self:center;height:9px;background:rgba(128,128,128,.2)">'
        f'<div style="width:{100 * min(max(share, 0.0), 1.0):.1f}%;height:9px;background:{colour}"></div></div>'
    )


def _bar_row(label: str, share: float, text: str, colour: str) -> str:
    return (
        '<div style="display:flex;gap:8px;font-size:12px">'
        f'<span style="width:220px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">{escape(label)}</span>'
        f'{_bar(share, colour)}<span style="width:190px">{escape(text)}</span></div>'
    )


def _busy_rows(summary: Mapping[str, Any]) -> List[str]:
    rows = []
    for device in summary.get("devices") or []:
        span = device["span_us"] or 1.0
        busy, idle = device["busy_us"], device["idle_us"]
        text = f"busy {100 * busy / span:.0f} %, idle {microseconds(idle)}"
        rows.append(_bar_row(str(device["device"]), busy / span, text, SERIES[0]))
    cpu = summary.get("cpu") or {}
    if cpu.get("span_us"):
        text = f"busy {100 * cpu['busy_us'] / cpu['span_us']:.0f} %, idle {microseconds(cpu['idle_us'])}"
        rows.append(_bar_row("CPU operators", cpu["busy_us"] / cpu["span_us"], text, SERIES[0]))
    return rows


def _operator_rows(summary: Mapping[str, Any]) -> List[str]:
    operators = sorted(
        summary.get("operators") or [], key=lambda one: one["self_us"] + one["device_us"], reverse=True
    )
    total = sum(one["self_us"] + one["device_us"] for one in operators) or 1.0
    rows = []
    for one in operators[:MAX_OPERATORS]:
        own = one["self_us"] + one["device_us"]
        text = f"{microseconds(own)} ({100 * own / total:.0f} %), {one['count']} calls"
        rows.append(_bar_row(str(one["name"]), own / total, text, SERIES[1]))
    return rows


def profile_card(profile: Mapping[str, Any]) -> str:
    """A profile: busy and idle time of each device, time by operator."""
    summary = profile.get("summary") or {}
    state = str(profile.get("state", ""))
    head = f"<div><strong>{escape(profile.get('title') or 'profile')}</strong> "
    about = ", ".join(part for part in (f"profile {profile.get('id') or ''}".strip(), state) if part)
    head += f'<span style="{MUTED}">{escape(about)}</span>'
    if profile.get("id") and state == "ready":
        # Where a Lab shows it, it opens the profile's views.
        head += f' <a href="#genops-profile={escape(profile["id"])}">Open</a>'
    inner = f"{head}</div>"
    for note in (profile.get("message"), summary.get("damaged")):
        inner += f"<p>{escape(note)}</p>" if note else ""
    busy = _busy_rows(summary)
    if busy:
        inner += f'<div style="margin-top:6px">Time with work and without</div>{"".join(busy)}'
    operators = _operator_rows(summary)
    if operators:
        inner += f'<div style="margin-top:6px">Time by operator</div>{"".join(operators)}'
        inner += _operator_table(summary)
    return _card(f"Profile {profile.get('title', '')}", inner)


def _operator_table(summary: Mapping[str, Any]) -> str:
    operators = sorted(
        summary.get("operators") or [], key=lambda one: one["self_us"] + one["device_us"], reverse=True
    )
    if len(operators) <= MAX_OPERATORS:
        return ""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(one["name"])}</th>'
        f"<td>{microseconds(one['self_us'])}</td><td>{microseconds(one['device_us'])}</td>"
        f"<td>{one['count']}</td></tr>"
        for one in operators[:MAX_TABLE_ROWS]
    )
    left = len(operators) - MAX_TABLE_ROWS
    more = f'<div style="{MUTED}">and {left} more</div>' if left > 0 else ""
    return (
        f'<details style="margin-top:6px"><summary>All {len(operators)} operators</summary><table>'
        '<thead><tr><th scope="col" style="text-align:left">Operator</th><th scope="col">CPU time</th>'
        f'<th scope="col">Device time</th><th scope="col">Calls</th></tr></thead><tbody>{rows}</tbody>'
        f"</table>{more}</details>"
    )


def profile_text(profile: Mapping[str, Any]) -> str:
    """A profile in plain text."""
    summary = profile.get("summary") or {}
    lines = [f"profile {profile.get('id', '')} {profile.get('title', '')}: {profile.get('state', '')}"]
    if profile.get("message"):
        lines.append(str(profile["message"]))
    for device in summary.get("devices") or []:
        span = device["span_us"] or 1.0
        lines.append(f"{device['device']}: busy {100 * device['busy_us'] / span:.0f} %")
    cpu = summary.get("cpu") or {}
    if cpu.get("span_us"):
        lines.append(f"CPU operators: busy {100 * cpu['busy_us'] / cpu['span_us']:.0f} %")
    operators = summary.get("operators") or []
    for one in sorted(operators, key=lambda o: o["self_us"] + o["device_us"], reverse=True)[:MAX_OPERATORS]:
        lines.append(
            f"  {microseconds(one['self_us'] + one['device_us']):>10}  {one['name']} x {one['count']}"
        )
    return "\n".join(lines)


_STATE_MARKS = {
    "running": (SERIES[2], "●"),
    "preparing": (SERIES[0], "…"),
    "starting": (SERIES[0], "…"),
    "stopping": (SERIES[0], "…"),
    "failed": ("#dc4c4c", "✕"),
}


def deployment_card(deployment: Mapping[str, Any]) -> str:
    """A deployment's state; never its key."""
    state = str(deployment.get("state", ""))
    colour, mark = _STATE_MARKS.get(state, (GREY, "■"))
    head = f"<div><strong>{escape(deployment.get('name', ''))}</strong> {_mark(colour, mark, state)}</div>"
    latency = deployment.get("latency_ms")
    facts = {
        "model": f"{deployment.get('model', '')} version {deployment.get('version', '')}",
        "url": deployment.get("url") or "",
        "requests": deployment.get("requests", 0),
        "errors": deployment.get("errors", 0),
        "latency": "" if latency is None else f"{latency:.2f} ms",
    }
    inner = head + _pairs({name: value for name, value in facts.items() if value != ""}, MAX_PARAMS)
    for note in (deployment.get("message"), deployment.get("hint")):
        inner += f"<p>{escape(note)}</p>" if note else ""
    return _card(f"Deployment {deployment.get('name', '')}", inner)


def deployment_text(deployment: Mapping[str, Any]) -> str:
    """A deployment in plain text; never its key."""
    lines = [
        f"deployment {deployment.get('name', '')}: {deployment.get('state', '')}",
        f"model {deployment.get('model', '')}, version {deployment.get('version', '')}",
        str(deployment.get("url") or ""),
        str(deployment.get("message") or ""),
        str(deployment.get("hint") or ""),
    ]
    return "\n".join(line for line in lines if line)
