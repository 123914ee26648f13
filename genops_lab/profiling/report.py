"""Write a profile as one HTML file that loads nothing, runs nothing and escapes every text of the trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from genops_lab.runtime.money import money_text

from .engine.formatting import ranks_text
from .models import Advice, DeviceTime, IdleTime, MeasuredKernel, Measurement, Place, ProfileSummary

#: Most rows of a table: those with most time.
MOST_ROWS = 200

_IDLE = {
    "dataloader": "Idle: waits for data",
    "synchronization": "Idle: host waits for the device",
    "copy": "Idle: host copies",
    "launch": "Idle: host launches",
    "python": "Idle: host runs other code",
    "communication": "Idle: communication",
    "other": "Idle: other",
}
_COLORS = {
    "Compute": "#2f7fd3",
    "Exposed communication": "#e0871a",
    "Copies and fills": "#2a9461",
    "Other": "#1593a5",
    "Idle: waits for data": "#d14343",
    "Idle: host waits for the device": "#a356c9",
    "Idle: host copies": "#c2571a",
    "Idle: host launches": "#6f7bd1",
    "Idle: host runs other code": "#8a6d3b",
    "Idle: communication": "#f0b76a",
    "Idle: other": "#7d8790",
    "Idle": "#b5bcc4",
}
_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 1100px; margin: 24px auto; padding: 0 16px; font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; } h2 { margin-top: 28px; font-size: 17px; } h3 { margin: 0; font-size: 14px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 14px 2px 0; border-bottom: 1px solid #8884; font-weight: normal; text-align: right;
  white-space: nowrap; }
th:first-child, .text { text-align: left; }
th:first-child, td.text { max-width: 46em; overflow: hidden; text-overflow: ellipsis; }
.many th:first-child { max-width: 20em; } .many td.text { max-width: 16em; }
thead th { opacity: .75; } .scroll { overflow-x: auto; }
.bar { display: flex; height: 16px; margin: 2px 0 8px; }
.bar span, .key { display: inline-block; } .key { width: 10px; height: 10px; margin-right: 5px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12px; }
.keys { display: flex; flex-wrap: wrap; gap: 8px 32px; } .keys b { display: block; font-size: 19px; }
.note { padding: 8px 12px; border-left: 4px solid #e0871a; background: #8882; }
.advice { margin: 10px 0; padding: 8px 12px; border: 1px solid #8884; border-left: 4px solid #8886; }
.high { border-left-color: #d14343; } .medium { border-left-color: #e0871a; }
pre { padding: 6px 8px; overflow-x: auto; background: #8882; } code, pre { font-family: ui-monospace, monospace; }
"""
#: With this policy a browser refuses scripts and requests that a mistake of ours lets in.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report(summary: ProfileSummary, title: str) -> str:
    """Return the page. Times are those of the summary; the page names what the trace does not have."""
    where = [
        "<h2>Where the time was spent</h2>",
        *(_device(summary, device) for device in summary.devices),
        "" if summary.devices else "<p>The trace has no GPU events.</p>",
    ]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">The trace could not be read completely. {escape(summary.damaged)}</p>'
        if summary.damaged
        else "",
        _keys(summary),
        *(where if summary.measured is None else measured_kernels(summary.measured)),
        "<h2>Advice</h2>",
        "<p>The trace is incomplete: the advice covers only the part that could be read.</p>"
        if summary.incomplete
        else "",
        *(_advice(each) for each in sorted(summary.advice, key=lambda each: -each.saving_us)),
        "" if summary.advice else "<p>The trace shows no problem that GenOps Lab knows.</p>",
        "<h2>Cells and lines</h2>",
        _lines(summary),
        *(["<h2>Steps</h2>", _steps(summary)] if summary.measured is None else []),
        "<h2>Operators</h2>",
        _operators(summary),
        "<h2>GPU kernels</h2>",
        _kernels(summary),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def measured_kernels(found: Measurement) -> list[str]:
    """Return the section on measured kernels. Nsight Compute measures kernel by kernel, so the section has no
    idle time."""
    rows = [
        [
            each.name,
            time_text(each.total_us),
            share_text(each.total_us, found.total_us),
            f"{each.count:,}",
            *(_of_hundred(part) for part in (each.compute_pct, each.memory_pct, each.occupancy_pct)),
            each.bound or "–",
            _place(each.place) if each.place is not None else "–",
            *_best(each),
        ]
        for each in found.kernels
    ]
    head = ["GPU kernel", "Time", "Share", "Launches", "Compute", "Memory", "Occupancy", "Bound by", "Line"]
    return [
        "<h2>Measured GPU kernels</h2>",
        f"<p>{escape(found.note)}</p>" if found.note else "",
        f'<div class="many">{_table([*head, "First change", "Est. speedup"], rows, texts={7, 8, 9})}</div>',
    ]


def _of_hundred(part: float | None) -> str:
    return "–" if part is None else share_text(part, 100)


def _best(kernel: MeasuredKernel) -> tuple[str, str]:
    """Return the rule with the highest estimate for the whole kernel, and its estimate."""
    estimates = [(rule.speedup_pct or 0.0, rule.title) for rule in kernel.rules if rule.of == "kernel"]
    gain, title = max(estimates, default=(0.0, ""))
    return (title, share_text(gain, 100)) if gain else ("–", "–")


def time_text(us: float) -> str:
    """Format microseconds with three digits, in the unit that reads best."""
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if abs(us) >= size:
            return f"{us / size:.3g} {unit}" if us < 1000 * size else f"{us / size:,.0f} {unit}"
    return f"{us:.3g} µs"


def share_text(part: float, whole: float) -> str:
    """Format a part in percent, or as a dash where the whole is 0."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    return "<0.01 %" if 0 < percent < 0.01 else f"{percent:.3g} %"


def device_parts(device: DeviceTime, idle: IdleTime | None) -> list[tuple[str, float]]:
    """Return the parts of a device's time; they add up to the span. Compute, communication and copies may
    overlap: only exposed communication counts, and copies only fill the rest of the busy time. "Idle" is idle
    time without a reason."""
    compute = min(device.compute_us, device.busy_us)
    communication = min(device.exposed_comm_us, device.busy_us - compute)
    copies = min(device.memory_us, device.busy_us - compute - communication)
    reasons = [(_IDLE[each.code], each.total_us) for each in idle.reasons] if idle else []
    parts = [
        ("Compute", compute),
        ("Exposed communication", communication),
        ("Copies and fills", copies),
        ("Other", device.busy_us - compute - communication - copies),
        *sorted(reasons, key=lambda each: -each[1]),
        ("Idle", device.idle_us - sum(us for _, us in reasons)),
    ]
    return [(name, us) for name, us in parts if us > device.span_us * 1e-6]


def _keys(summary: ProfileSummary) -> str:
    span = sum(device.span_us for device in summary.devices)
    busy = sum(device.busy_us for device in summary.devices)
    exposed = sum(device.exposed_comm_us for device in summary.devices)
    roofline = summary.roofline
    keys = [("Events", f"{summary.events:,}"), ("Ranks", ranks_text(summary.ranks) or "–")]
    if summary.measured is None:
        keys.append(("Device busy", share_text(busy, span)))
        keys.append(("Exposed communication", share_text(exposed, span)))
    else:
        keys.append(("Measured launches", f"{summary.measured.launches:,}"))
        keys.append(("Total GPU kernel time", time_text(summary.measured.total_us)))
    if roofline is not None and roofline.mfu is not None:
        keys.append(("MFU", share_text(roofline.mfu, 1)))
    if summary.price is not None and summary.price.usd_a_step is not None:
        keys.append(("Cost per step", money_text(summary.price.usd_a_step, "USD", "given")))
    cells = "".join(f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in keys)
    missing = f"<p>{escape(roofline.missing)}</p>" if roofline is not None and roofline.missing else ""
    return f'<div class="keys">{cells}</div>{missing}'


def _device(summary: ProfileSummary, device: DeviceTime) -> str:
    idle = next(
        (each for each in summary.idle if (each.device, each.rank) == (device.device, device.rank)), None
    )
    parts = device_parts(device, idle)
    name = f"Device {device.device}, rank {device.rank}" + (f" ({device.model})" if device.model else "")
    bar = "".join(
        f'<span style="flex:{us / device.span_us:.6f} 0 0;background:{_COLORS[part]}"></span>'
        for part, us in parts
    )
    legend = "".join(
        f'<span><span class="key" style="background:{_COLORS[part]}"></span>{escape(part)} {time_text(us)} '
        f"({share_text(us, device.span_us)})</span>"
        for part, us in parts
    )
    return (
        f"<h3>{escape(name)}: {time_text(device.span_us)}</h3>"
        f'<div class="bar" aria-hidden="true">{bar}</div><div class="legend">{legend}</div>'
    )


def _advice(advice: Advice) -> str:
    rank = "" if advice.rank is None else f" (rank {advice.rank})"
    saving = f", up to {time_text(advice.saving_us)}" if advice.saving_us > 0 else ""
    places = "".join(
        f"<li>{escape(_place(place))} <code>{escape(place.text.strip())}</code></li>"
        for place in advice.places
    )
    return (
        f'<div class="advice {advice.severity}"><h3>{escape(advice.title)}</h3>'
        f"<div>{advice.severity}{saving}{rank}</div><p>{escape(advice.evidence)}</p>"
        + (f"<ul>{places}</ul>" if places else "")
        + (f"<p><b>{escape(advice.suggestion)}</b></p>" if advice.suggestion else "")
        + (f"<pre>{escape(advice.code_hint)}</pre>" if advice.code_hint else "")
        + "</div>"
    )


def _lines(summary: ProfileSummary) -> str:
    found = summary.attribution
    if found is None or found.by == "none" or not found.lines:
        return "<p>The trace does not record source lines.</p>"
    rows = [
        [
            _place(line.place),
            time_text(line.device_us),
            time_text(line.device_us - line.backward_us),
            time_text(line.backward_us),
            time_text(line.cpu_us),
            f"{line.kernels:,}",
            line.place.text.strip(),
        ]
        for line in sorted(found.lines, key=lambda line: -line.device_us)
    ]
    head = ["Line", "Device", "Forward", "Backward", "CPU", "GPU kernels", "Code"]
    share = f"<p>{share_text(found.attributed_us, found.device_us)} of the device time has a source line.</p>"
    return share + _table(head, rows, texts={6})


def _steps(summary: ProfileSummary) -> str:
    rows = [
        [
            step.name + (" (warm-up)" if step.warmup else ""),
            str(step.rank),
            *(
                time_text(us)
                for us in (step.span_us, step.busy_us, step.compute_us, step.exposed_comm_us, step.memory_us)
            ),
            f"{step.kernels:,}",
        ]
        for step in summary.steps
    ]
    head = ["Step", "Rank", "Span", "Busy", "Compute", "Exposed communication", "Copies", "GPU kernels"]
    return _table(head, rows) if rows else "<p>The trace marks no steps.</p>"


def _operators(summary: ProfileSummary) -> str:
    ranked = sorted(summary.operators, key=lambda each: (-each.device_us, -each.self_us))
    rows = [
        [
            each.name,
            time_text(each.device_us),
            time_text(each.self_us),
            time_text(each.total_us),
            f"{each.count:,}",
        ]
        for each in ranked
    ]
    head = ["Operator", "Device", "CPU self", "CPU total", "Calls"]
    return _table(head, rows) if rows else "<p>The trace has no operators.</p>"


def _kernels(summary: ProfileSummary) -> str:
    kernels = summary.kernels or [kernel for device in summary.devices for kernel in device.top_kernels]
    rows = [
        [each.name, time_text(each.total_us), f"{each.count:,}", time_text(each.total_us / max(each.count, 1)),
         each.operator]
        for each in sorted(kernels, key=lambda each: -each.total_us)
    ]  # fmt: skip
    head = ["GPU kernel", "Total", "Launches", "Mean", "Operator"]
    return _table(head, rows, texts={4}) if rows else "<p>The trace has no GPU kernels.</p>"


def _place(place: Place) -> str:
    where = place.where
    return f"{where} in {place.function}" if place.function not in ("", "<module>") else where


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: Iterable[int] = ()) -> str:
    texts = set(texts)
    heads = "".join(
        f'<th scope="col"{_text_class(place in texts)}>{escape(each)}</th>' for place, each in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + f'<th scope="row" title="{escape(first)}">{escape(first)}</th>'
        + "".join(
            f"<td{_text_class(place in texts)}>{escape(each)}</td>"
            for place, each in enumerate(others, start=1)
        )
        + "</tr>"
        for first, *others in rows[:MOST_ROWS]
    )
    more = f"<p>{len(rows) - MOST_ROWS:,} more with less time.</p>" if len(rows) > MOST_ROWS else ""
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>{more}'
    )


def _text_class(is_text: bool) -> str:
    return ' class="text"' if is_text else ""
