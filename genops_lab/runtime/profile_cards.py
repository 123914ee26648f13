"""Format a profile as HTML without scripts, and as text: advice, costliest lines, busy time, operators."""

from __future__ import annotations

from typing import Any, List, Mapping

from .cards import MUTED, card
from .palette import SERIES, escape, microseconds

MAX_OPERATORS = 8
MAX_TABLE_ROWS = 60
MAX_MEASURED = 5
_BOUNDS = ("compute", "memory", "latency")
#: In a profile with lines, operators are secondary.
_OPERATORS_BEHIND_LINES = 3
NOTHING_RAN = "No PyTorch operator ran during the recording."
_LINES_OF = {"device": "Device time by line", "host": "Time by line, on the CPU"}
_PART = '<div style="margin-top:6px">'


def _bar(share: float, colour: str) -> str:
    return (
        '<div style="flex:1;min-width:80px;align-self:center;height:9px;background:rgba(128,128,128,.2)">'
        f'<div style="width:{100 * min(max(share, 0.0), 1.0):.1f}%;height:9px;background:{colour}"></div></div>'
    )


def _bar_row(label: str, share: float, text: str, colour: str, *, is_code: bool = False) -> str:
    width = "width:52%;font-family:monospace;white-space:pre" if is_code else "width:220px;white-space:nowrap"
    return (
        '<div style="display:flex;gap:8px;font-size:12px">'
        f'<span title="{escape(label)}" style="{width};overflow:hidden;text-overflow:ellipsis">{escape(label)}</span>'
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


def _measured_rows(measured: Mapping[str, Any]) -> List[str]:
    """Return rows of kernels that Nsight Compute measured one by one: busy and idle time mean nothing there."""
    total = measured["total_us"] or 1.0
    return [
        _bar_row(str(kernel["name"]), kernel["total_us"] / total, _measured(kernel), SERIES[0])
        for kernel in measured["kernels"][:MAX_MEASURED]
    ]


def _measured(kernel: Mapping[str, Any]) -> str:
    often = f", {kernel['count']:,} launches" if kernel["count"] > 1 else ""
    bound = f", bound by {kernel['bound']}" if kernel.get("bound") in _BOUNDS else ""
    return f"{microseconds(kernel['total_us'])}{often}{bound}"


def calls(count: int) -> str:
    """Return a number of calls as text."""
    return "1 call" if count == 1 else f"{count:,} calls"


def _by_time(summary: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    return sorted(
        summary.get("operators") or [], key=lambda one: one["self_us"] + one["device_us"], reverse=True
    )


def _advice(found: Mapping[str, Any]) -> str:
    rows = []
    for one in found.get("advice") or []:
        saving = f' <span style="{MUTED}">{escape(one["saving"])}</span>' if one["saving"] else ""
        where = f' <span style="{MUTED}">({escape(one["where"])})</span>' if one["where"] else ""
        rows.append(
            f"<li><strong>{escape(one['title'])}</strong>{saving}<br>{escape(one['evidence'])}{where} "
            f"{escape(one['suggestion'])}</li>"
        )
    left = found.get("more_advice") or 0
    more = f'<div style="{MUTED}">{left} more: Open shows all</div>' if left else ""
    return (
        f'{_PART}Suggested changes</div><ol style="margin:2px 0 0;padding-left:22px">{"".join(rows)}</ol>{more}'
        if rows
        else ""
    )


def _lines(found: Mapping[str, Any]) -> str:
    rows = [
        _bar_row(
            f"{one['where']}  {one['text']}",
            one["share"],
            f"{one['time']} ({_percent(one['share'])})",
            SERIES[3],
            is_code=True,
        )
        for one in found.get("lines") or []
    ]
    return f"{_PART}{_LINES_OF[found['lines_of']]}</div>{''.join(rows)}" if rows else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %"


def _operator_rows(summary: Mapping[str, Any], most: int) -> List[str]:
    operators = _by_time(summary)
    total = sum(one["self_us"] + one["device_us"] for one in operators) or 1.0
    rows = []
    for one in operators[:most]:
        own = one["self_us"] + one["device_us"]
        text = f"{microseconds(own)} ({_percent(own / total)}), {calls(one['count'])}"
        rows.append(_bar_row(str(one["name"]), own / total, text, SERIES[1]))
    return rows


def _has_work(summary: Mapping[str, Any]) -> bool:
    return bool(summary.get("operators") or summary.get("devices"))


def profile_card(profile: Mapping[str, Any]) -> str:
    """Return the HTML of a profile: advice, costliest lines, busy and idle time by device, time by operator."""
    summary = profile.get("summary") or {}
    state = str(profile.get("state", ""))
    head = f"<div><strong>{escape(profile.get('title') or 'profile')}</strong> "
    about = ", ".join(part for part in (f"profile {profile.get('id') or ''}".strip(), state) if part)
    head += f'<span style="{MUTED}">{escape(about)}</span>'
    if profile.get("id") and state == "ready":
        # In a Lab this link opens the profile's views.
        head += f' <a href="#genops-profile={escape(profile["id"])}">Open</a>'
    inner = f"{head}</div>"
    found = profile.get("findings") or {}
    nothing = NOTHING_RAN if state == "ready" and not _has_work(summary) else ""
    for note in (profile.get("message"), summary.get("damaged"), nothing):
        inner += f"<p>{escape(note)}</p>" if note else ""
    inner += _advice(found) + _lines(found)
    measured = summary.get("measured")
    rows = _measured_rows(measured) if measured else _busy_rows(summary)
    if rows:
        label = "Measured GPU kernels" if measured else "Busy and idle time"
        inner += f'<div style="margin-top:6px">{label}</div>{"".join(rows)}'
    most = _OPERATORS_BEHIND_LINES if found.get("lines") else MAX_OPERATORS
    operators = _operator_rows(summary, most)
    if operators:
        inner += f'<div style="margin-top:6px">Time by operator</div>{"".join(operators)}'
        inner += _operator_table(summary, most)
    if profile.get("note"):
        inner += f'<div style="margin-top:6px;{MUTED}">{escape(profile["note"])}</div>'
    return card(f"Profile {profile.get('title', '')}", inner)


def _operator_table(summary: Mapping[str, Any], most: int) -> str:
    operators = _by_time(summary)
    if len(operators) <= most:
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
    """Return a profile as plain text."""
    summary = profile.get("summary") or {}
    lines = [f"profile {profile.get('id', '')} {profile.get('title', '')}: {profile.get('state', '')}"]
    if profile.get("message"):
        lines.append(str(profile["message"]))
    if profile.get("state") == "ready" and not _has_work(summary):
        lines.append(NOTHING_RAN)
    found = profile.get("findings") or {}
    for one in found.get("advice") or []:
        lines.append(
            f"{one['title']} {one['saving']}".strip() + f": {one['evidence']} {one['suggestion']}".rstrip()
        )
    if found.get("lines"):
        lines.append(f"{_LINES_OF[found['lines_of']]}:")
    for one in found.get("lines") or []:
        lines.append(f"  {one['time']:>10}  {one['where']}  {one['text']}".rstrip())
    measured = summary.get("measured")
    for kernel in measured["kernels"][:MAX_MEASURED] if measured else ():
        lines.append(f"{kernel['name']}: {_measured(kernel)}")
    for device in () if measured else summary.get("devices") or []:
        span = device["span_us"] or 1.0
        lines.append(f"{device['device']}: busy {100 * device['busy_us'] / span:.0f} %")
    cpu = summary.get("cpu") or {}
    if cpu.get("span_us"):
        lines.append(f"CPU operators: busy {100 * cpu['busy_us'] / cpu['span_us']:.0f} %")
    for one in _by_time(summary)[:MAX_OPERATORS]:
        lines.append(
            f"  {microseconds(one['self_us'] + one['device_us']):>10}  {one['name']} x {one['count']}"
        )
    if profile.get("note"):
        lines.append(str(profile["note"]))
    return "\n".join(lines)
