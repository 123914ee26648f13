"""Format an evaluation of answers as HTML without scripts or outside resources, and as text; texts are escaped."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Sequence, Tuple

from .cards import MUTED, card, marked
from .money import money_text
from .palette import GREY, SERIES, STATUS_COLOURS, escape

_WIDTH, _HEIGHT = 220, 14
_BAD = STATUS_COLOURS["FAILED"]
_NO_REPORT: Mapping[str, Any] = {"sentences": [], "scored": [], "compared": [], "stopped": None}
_VERDICTS = {"better": (SERIES[2], "▲"), "worse": (_BAD, "▼")}
_STATES = {
    "running": (SERIES[0], "●"),
    "done": (SERIES[2], "✓"),
    "failed": (_BAD, "✕"),
}
_CELL = 'style="padding:1px 10px 1px 0;white-space:nowrap;text-align:{}"'
_LEFT, _RIGHT = _CELL.format("left"), _CELL.format("right")


def progress_card(task: Mapping[str, Any]) -> str:
    """Return the HTML of a task that asks, scores or records."""
    share = 1.0 if task["state"] == "done" else task.get("progress")
    bar = "" if share is None else _bar([(0.0, float(share), SERIES[0], 0.6)], f"{float(share):.0%}")
    colour, mark = _STATES.get(str(task["state"]), (GREY, "■"))
    return card(
        str(task["title"]),
        f'<div style="display:flex;gap:12px;flex-wrap:wrap"><strong>{escape(task["title"])}</strong>'
        f"{marked(colour, mark, str(task['state']))}{bar}<span>{escape(task['message'])}</span></div>"
        + _running_buttons(task),
    )


def progress_text(task: Mapping[str, Any]) -> str:
    """Return a task in a line of plain text."""
    return f"{task['title']}: {task['state']}. {task['message']}"


def evaluation_card(found: Mapping[str, Any], resume: str) -> str:
    """Return the HTML of a report: scores with their intervals as bars, differences, failures by number."""
    evaluation, report = found["evaluation"], found["report"] or _NO_REPORT
    head = (
        f'<div style="display:flex;gap:12px;flex-wrap:wrap"><strong>{escape(evaluation["name"])}</strong>'
        f"<span>{escape(_size(evaluation))}</span>"
        f'<span style="{MUTED}">{escape(evaluation["id"])}</span></div>'
    )
    said = _lines(report["sentences"], "")
    problems = _lines(_problems(evaluation, report, resume), f";color:{_BAD}")
    notes = _lines([*evaluation["notes"], *evaluation["data_notes"]], f";{MUTED}")
    inner = head + said + problems + _scores(evaluation, report["scored"]) + _differences(report["compared"])
    return card(f"Evaluation {evaluation['name']}", inner + notes + _opens(evaluation["id"]))


def _lines(texts: Sequence[str], style: str) -> str:
    return "".join(f'<p style="margin:4px 0{style}">{escape(text)}</p>' for text in texts)


def _scores(evaluation: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> str:
    models = {each["model"]: each for each in evaluation["models"]}
    rows = []
    for scorer in dict.fromkeys(each["scorer"] for each in scored):
        own = [each for each in scored if each["scorer"] == scorer]
        low, high = _axis([each["mean"] for each in own])
        for each in own:
            mean, model = each["mean"], models.get(each["model"], {})
            cost, currency = model.get("money"), model.get("currency", "USD")
            cells = [
                f'<th scope="row" {_LEFT}>{escape(each["model"])}</th>',
                f"<td {_LEFT}>{escape(scorer)}</td>",
                f"<td {_LEFT}>{_interval_bar(mean, low, high)}</td>",
                f"<td {_RIGHT}><b>{escape(_number(mean['value']))}</b></td>",
                f"<td {_LEFT}>{escape(_interval(mean))}</td>",
                f"<td {_RIGHT}>{each['answers']:,}</td>",
                f"<td {_RIGHT}>{_count(each['failed'])}</td>",
                f"<td {_RIGHT}>{_count(each['not_scored'])}</td>",
                f"<td {_RIGHT}>{'not known' if cost is None else escape(money_text(cost, currency))}</td>",
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = [
        "Model",
        "Scorer",
        "Mean with its 95 % interval",
        "",
        "",
        "Answers",
        "Failed",
        "Not scored",
        "Cost",
    ]
    return _table(heads, rows, right=(3, 5, 6, 7, 8))


def _differences(compared: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for scorer in dict.fromkeys(each["scorer"] for each in compared):
        own = [each for each in compared if each["scorer"] == scorer]
        ends = [abs(end) for each in own for end in _ends(each["difference"])]
        most = max(ends, default=0.0) or 1.0
        for each in own:
            difference, verdict = each["difference"], str(each["verdict"])
            colour, mark = _VERDICTS.get(verdict, (GREY, "●"))
            cells = [
                f'<th scope="row" {_LEFT}>{escape(each["model"])} less {escape(each["against"])}</th>',
                f"<td {_LEFT}>{escape(scorer)}</td>",
                f"<td {_LEFT}>{_interval_bar(difference, -most, most, colour)}</td>",
                f"<td {_RIGHT}><b>{escape(_number(difference['value'], signed=True))}</b></td>",
                f"<td {_LEFT}>{escape(_interval(difference, signed=True))}</td>",
                f"<td {_LEFT}>{marked(colour, mark, verdict)}</td>",
                f"<td {_RIGHT}>{len(each['better']):,}</td>",
                f"<td {_RIGHT}>{len(each['worse']):,}</td>",
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = [
        "Difference",
        "Scorer",
        "With its 95 % interval",
        "",
        "",
        "Verdict",
        "Better",
        "Worse",
        "Worse on",
    ]
    return _table(heads, rows, right=(3, 6, 7))


def _table(heads: Sequence[str], rows: Sequence[str], right: Sequence[int]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<th scope="col" {_RIGHT if at in right else _LEFT}>{escape(head)}</th>' if head else "<td></td>"
        for at, head in enumerate(heads)
    )
    return (
        f'<div style="overflow-x:auto"><table style="margin-top:6px"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _interval_bar(estimate: Mapping[str, Any], low: float, high: float, colour: str = SERIES[0]) -> str:
    """Return a picture of an estimate on the axis from ``low`` to ``high``: its interval, and a mark at its value."""
    if estimate["value"] is None:
        return ""
    width = high - low or 1.0

    def at(value: float) -> float:
        return min(1.0, max(0.0, (value - low) / width))

    parts: List[Tuple[float, float, str, float]] = []
    if _ends(estimate):
        begin, end = _ends(estimate)
        parts.append((at(begin), at(end), colour, 0.35))
    middle = at(float(estimate["value"]))
    parts.append((max(0.0, middle - 0.007), min(1.0, middle + 0.007), colour, 1.0))
    if low < 0 < high:
        parts.append((at(0.0) - 0.002, at(0.0) + 0.002, GREY, 1.0))
    said = f"{_number(estimate['value'])}, {_interval(estimate) or 'no interval'}"
    return _bar(parts, f"{said}; the bar goes from {low:.4g} to {high:.4g}")


def _bar(parts: Sequence[Tuple[float, float, str, float]], said: str) -> str:
    """Return a bar: each part has its begin and end (0 to 1), its colour and its opacity."""
    drawn = "".join(
        f'<rect x="{begin * _WIDTH:.1f}" y="0" width="{max(0.5, (end - begin) * _WIDTH):.1f}" height="{_HEIGHT}" '
        f'fill="{colour}" fill-opacity="{opacity:g}"/>'
        for begin, end, colour, opacity in parts
    )
    return (
        f'<svg role="img" aria-label="{escape(said)}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" style="vertical-align:middle"><title>{escape(said)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{GREY}" fill-opacity=".18"/>{drawn}</svg>'
    )


def _axis(means: Sequence[Mapping[str, Any]]) -> Tuple[float, float]:
    """Return the ends of the axis of a scorer's means: 0 and 1 unless one lies outside."""
    ends = [end for each in means for end in (*_ends(each), each["value"]) if end is not None]
    return min([0.0, *ends]), max([1.0, *ends])


def _ends(estimate: Mapping[str, Any]) -> List[float]:
    if estimate["low"] is None or estimate["high"] is None:
        return []
    return [float(estimate["low"]), float(estimate["high"])]


def _running_buttons(task: Mapping[str, Any]) -> str:
    """Return the buttons of an evaluation that runs; none before it has begun."""
    kind, _, id = str(task.get("subject", "")).partition(":")
    if task["state"] != "running" or kind != "answers":
        return ""
    cancel = _button("genops:cancel-task", str(task["id"]), "Cancel the evaluation")
    return f'<div style="display:flex;gap:8px;margin-top:6px">{_opens(id)}{cancel}</div>'


def _opens(id: str) -> str:
    """Return the button that opens the page."""
    return _button("genops:open-evaluations", id, "Open the evaluation", " jp-mod-accept")


def _button(command: str, id: str, label: str, look: str = "") -> str:
    """Return a button. JupyterLab runs its command where the notebook is trusted."""
    return (
        f'<button class="jp-mod-styled{look}" data-commandlinker-command="{command}" '
        f'data-commandlinker-args="{escape(json.dumps({"id": id}))}">{label}</button>'
    )


def _count(number: int) -> str:
    return f'<span style="color:{_BAD};font-weight:600">{number:,}</span>' if number else "0"


def _size(evaluation: Mapping[str, Any]) -> str:
    repeats = f", {evaluation['repeats']} answers to each" if evaluation["repeats"] > 1 else ""
    return f"{evaluation['rows']:,} rows{repeats}"


def _problems(evaluation: Mapping[str, Any], report: Mapping[str, Any], resume: str) -> List[str]:
    """Return what is missing, a sentence each."""
    found = []
    for each in evaluation["models"]:
        if each["failed"]:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each["failures"].items())
            found.append(
                f"{each['model']}: {each['failed']:,} {'call has' if each['failed'] == 1 else 'calls have'} no answer "
                f"({kinds}). That counts as neither right nor wrong. The last failure: {each['message']}"
            )
        if each["stopped"]:
            found.append(f"{each['model']}: {each['stopped']}")
    stopped = report["stopped"]  # as all was known
    if stopped is None and any(each["answered"] < each["wanted"] for each in evaluation["models"]):
        found.append(f"Ask for the missing answers: {resume}")
    return found


def evaluation_text(found: Mapping[str, Any], resume: str) -> str:
    """Return a report as plain text."""
    evaluation, report = found["evaluation"], found["report"] or _NO_REPORT
    lines = [f"evaluation {evaluation['id']}: {_size(evaluation)}", *report["sentences"]]
    lines += [
        f"{each['model']}, {each['scorer']}: {_number(each['mean']['value'])} "
        f"({_interval(each['mean']) or 'no interval'}), {each['answers']:,} answers"
        for each in report["scored"]
    ]
    lines += [
        f"{each['model']} less {each['against']}, {each['scorer']}: "
        f"{_number(each['difference']['value'], signed=True)} "
        f"({_interval(each['difference'], signed=True) or 'no interval'}), {each['verdict']}, "
        f"{len(each['better']):,} better, {len(each['worse']):,} worse"
        for each in report["compared"]
    ]
    return "\n".join(
        [*lines, *_problems(evaluation, report, resume), *evaluation["notes"], *evaluation["data_notes"]]
    )


def _interval(estimate: Mapping[str, Any], *, signed: bool = False) -> str:
    ends = [_number(end, signed=signed) for end in _ends(estimate)]
    return " to ".join(ends)


def _number(value: Any, *, signed: bool = False) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"+{text}" if signed and value > 0 else text
