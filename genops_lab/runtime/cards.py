"""Format runs and deployments as HTML without scripts or outside resources; all texts are escaped.

Profiles: :mod:`.profile_cards`.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Union

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
)

MAX_PARAMS = 12
CARD = "border:1px solid rgba(128,128,128,.45);border-radius:4px;padding:8px 12px;max-width:980px"
MUTED = "opacity:.8"


def card(label: str, inner: str) -> str:
    return f'<div role="group" aria-label="{escape(label)}" style="{CARD}">{inner}</div>'


def marked(colour: str, mark: str, word: str) -> str:
    """Return a word with a coloured mark before it."""
    return f'<span><span aria-hidden="true" style="color:{colour}">{mark}</span> {escape(word)}</span>'


def _pairs(values: Mapping[str, Any], most: int, red: Sequence[str] = ()) -> str:
    shown = [
        f'<span style="margin-right:12px"><span style="{MUTED}">{escape(name)}</span> '
        f"{_red(str(value)) if name in red else escape(short(value))}</span>"
        for name, value in list(values.items())[:most]
    ]
    if len(values) > most:
        shown.append(f'<span style="{MUTED}">and {len(values) - most} more</span>')
    return f'<div style="margin-top:4px">{"".join(shown)}</div>' if shown else ""


def short(value: Any, most: int = 60) -> str:
    """Return a value in at most ``most`` characters."""
    text = figure(value) if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _last_values(state: Mapping[str, Any]) -> Dict[str, Union[float, str]]:
    """Return the latest value of each metric: a word for NaN and infinite ones; start values are left out."""
    found: Dict[str, Union[float, str]] = {}
    for name, one in state["series"].items():
        last = next((value for value in reversed(one["values"]) if value is not None), None)
        words = state.get("diverged", {}).get(name)
        if words and one["values"][-1] is None:
            last = words.partition(" ")[0]
        if last is not None and not name.startswith("system/"):
            found[name] = last
    return found


def run_card(state: Mapping[str, Any], *, charts: bool) -> str:
    """Return the HTML of a run from the state of its live view; ``charts`` adds pictures."""
    status = str(state["status"])
    head = (
        f'<div style="display:flex;gap:12px;flex-wrap:wrap"><strong>{escape(state["title"])}</strong>'
        f"{marked(STATUS_COLOURS.get(status, GREY), STATUS_MARKS.get(status, ''), STATUS_WORDS.get(status, status))}"
        f'<span style="{MUTED}">{elapsed(float(state["elapsed_s"]))}</span></div>'
    )
    message = f"<p>{escape(state['message'])}</p>" if state["message"] else ""
    series = state["series"]
    pictures = ""
    if charts:
        own = [name for name in series if not name.startswith("system/")]
        pictures = "".join(
            picture(group, {name: series[name] for name in names}, _marks(state, names))
            for group, names in groups(own).items()
        )
    grid = (
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin-top:6px">{pictures}</div>'
        if pictures
        else ""
    )
    run_id = (
        f'<div style="{MUTED};margin-top:4px">run {escape(state["run_id"])}</div>' if state["run_id"] else ""
    )
    last = _last_values(state)
    values = _pairs(last, MAX_PARAMS, [name for name, value in last.items() if isinstance(value, str)])
    inner = head + message + _diverged(state) + _pairs(state["params"], MAX_PARAMS) + values + grid + run_id
    return card(f"Run {state['title']}", inner)


def _marks(state: Mapping[str, Any], names: Sequence[str]) -> Dict[int, str]:
    """Return, by step, the words for metrics of a chart that became NaN or infinite."""
    diverged = state.get("diverged", {})
    marked = [diverged[name].split(" since step ") for name in names if name in diverged]
    return {int(step): word for word, step in marked}


def _diverged(state: Mapping[str, Any]) -> str:
    """Return the names of metrics that became NaN or infinite, in red."""
    return "".join(_red(f"{name} is {words}", "div") for name, words in state.get("diverged", {}).items())


def _red(text: str, tag: str = "span") -> str:
    return f'<{tag} style="color:{STATUS_COLOURS["FAILED"]};font-weight:600">{escape(text)}</{tag}>'


def run_text(state: Mapping[str, Any]) -> str:
    """Return a run in one or two lines of plain text."""
    status = str(state["status"])
    values = ", ".join(f"{name} {short(value)}" for name, value in _last_values(state).items())
    line = (
        f"run {state['title']}: {STATUS_WORDS.get(status, status)} after {elapsed(float(state['elapsed_s']))}"
    )
    parts = [line + (f", {values}" if values else "")]
    parts += [f"{name} is {words}" for name, words in state.get("diverged", {}).items()]
    if state["run_id"]:
        parts.append(f"run id {state['run_id']}")
    if state["message"]:
        parts.append(str(state["message"]))
    return "\n".join(parts)


_STATE_MARKS = {
    "running": (SERIES[2], "●"),
    "preparing": (SERIES[0], "…"),
    "starting": (SERIES[0], "…"),
    "stopping": (SERIES[0], "…"),
    "failed": ("#dc4c4c", "✕"),
}


def deployment_card(deployment: Mapping[str, Any]) -> str:
    """Return the HTML of a deployment's state, without its key."""
    state = str(deployment.get("state", ""))
    colour, mark = _STATE_MARKS.get(state, (GREY, "■"))
    head = f"<div><strong>{escape(deployment.get('name', ''))}</strong> {marked(colour, mark, state)}</div>"
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
    return card(f"Deployment {deployment.get('name', '')}", inner)


def deployment_text(deployment: Mapping[str, Any]) -> str:
    """Return a deployment in plain text, without its key."""
    lines = [
        f"deployment {deployment.get('name', '')}: {deployment.get('state', '')}",
        f"model {deployment.get('model', '')}, version {deployment.get('version', '')}",
        str(deployment.get("url") or ""),
        str(deployment.get("message") or ""),
        str(deployment.get("hint") or ""),
    ]
    return "\n".join(line for line in lines if line)
