"""What is drawn and what is thinned, without a kernel."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from genops_lab.runtime import views
from genops_lab.runtime.cards import deployment_card, run_card, run_text
from genops_lab.runtime.chart import groups, line_chart, picture
from genops_lab.runtime.history import MAX_POINTS, History
from genops_lab.runtime.options import cell_options, split_statement, track_parser
from genops_lab.runtime.profile_cards import NOTHING_RAN, profile_card, profile_text
from genops_lab.runtime.source import simple_params

HOSTILE = "<script>alert('1')</script>\"&"


def drawn(html: str) -> ElementTree.Element:
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", html)
    assert data is not None
    return ElementTree.fromstring(base64.b64decode(data[1]))


def state(**changes: Any) -> dict[str, Any]:
    series = {"loss": {"steps": [0, 1, 2], "values": [1.0, None, 0.5]}}
    base = {"title": "t", "status": "FINISHED", "series": series, "params": {}, "elapsed_s": 75.0}
    return {**base, "run_id": "r1", "message": "", **changes}


def test_a_picture_holds_a_line_a_metric_and_says_its_values() -> None:
    series = {
        "loss": {"steps": [0, 1, 2], "values": [3.0, 2.0, 1.0]},
        "val_loss": {"steps": [0, 2], "values": [4.0, 2.5]},
    }
    html = picture("loss", series)
    paths = [
        path for path in drawn(html).iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "none"
    ]
    assert [path.get("d", "").count("L") for path in paths] == [2, 1]
    assert 'alt="Chart of loss: loss 1, val_loss 2.5"' in html


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [None, 1.0], [1e-300, 1e300], [-5.0, 0.0]])
def test_odd_series_are_drawn(values: list[float | None]) -> None:
    root = drawn(picture("x", {"x": {"steps": list(range(len(values))), "values": values}}))
    assert "nan" not in ElementTree.tostring(root, encoding="unicode").lower()


def test_a_series_without_values_has_no_picture() -> None:
    assert picture("x", {"x": {"steps": [0], "values": [None]}}) == ""


def test_the_longest_number_beside_a_chart_has_its_room() -> None:
    svg = line_chart("loss", {"loss": {"steps": [0, 1], "values": [-0.033948, 0.9]}})
    (edge,) = {float(x) for x in re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="end" fill="#\w+">-?[.\d]+<', svg)
               if float(x) < 200}  # fmt: skip
    assert edge >= 5.6 * len("-0.033948"), "10 px sans-serif: a digit is 5.6 px wide"


def test_metrics_of_one_kind_share_a_chart() -> None:
    assert groups(["loss", "val_loss", "train/acc", "acc"]) == {
        "loss": ["loss", "val_loss"],
        "acc": ["train/acc", "acc"],
    }


def test_text_of_others_stays_text() -> None:
    run = state(title=HOSTILE, message=HOSTILE, params={HOSTILE: HOSTILE}, run_id=HOSTILE)
    run["series"] = {HOSTILE: {"steps": [0], "values": [1.0]}}
    operator = {"name": HOSTILE, "count": 1, "self_us": 1.0, "total_us": 1.0, "device_us": 0.0}
    profile = {"id": HOSTILE, "title": HOSTILE, "state": HOSTILE, "message": HOSTILE}
    profile["summary"] = {"operators": [operator], "damaged": HOSTILE}  # type: ignore[assignment]
    deployment = dict.fromkeys(("name", "state", "model", "version", "url", "message", "hint"), HOSTILE)
    for html in (run_card(run, charts=True), profile_card(profile), deployment_card(deployment)):
        assert "<script" not in html and "&lt;script&gt;" in html
        assert (
            "<script" not in base64.b64decode((re.search(r"base64,([^\"]+)", html) or ["", ""])[1]).decode()
        )
    assert "SECRET" not in deployment_card({**deployment, "key": "SECRET"})


def test_a_profile_holds_all_its_operators_without_a_script() -> None:
    operators = [
        {"name": f"op{i}", "count": i, "self_us": float(i), "total_us": 0.0, "device_us": 0.0}
        for i in range(70)
    ]
    html = profile_card({"title": "t", "state": "ready", "summary": {"operators": operators}})
    table = html[html.index("<details") :]
    assert "All 70 operators" in table and table.count('<th scope="row"') == 60 and "and 10 more" in table
    assert ">op69<" in table and ">op9<" not in table
    few = profile_card({"title": "t", "state": "ready", "summary": {"operators": operators[:8]}})
    assert "<details" not in few


def line_of(line: int, device: float, cpu: float, cell: str = "c1") -> dict[str, Any]:
    place = {"file": cell, "line": line, "cell": cell, "text": ""}
    return {"place": place, "device_us": device, "backward_us": 0.0, "cpu_us": cpu, "kernels": 0}


def test_advice_and_the_costliest_lines_stand_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_cells", lambda: {"c1": views._Cell(7, ["%%profile", "  y = a < b", "x"])})
    advice = [
        {"title": title, "severity": "low", "saving_us": us, "evidence": "E.", "suggestion": "S."}
        for title, us in (("a", 1.0), ("b", 4000.0), ("c", 3.0), ("d", 2.0))
    ]
    advice[1]["places"] = [line_of(2, 0, 0)["place"]]
    operators = [{"name": "op", "count": 1, "self_us": 1.0, "total_us": 1.0, "device_us": 0.0}]
    summary: dict[str, Any] = {"advice": advice, "operators": operators}
    summary["attribution"] = {"lines": [line_of(3, 0.0, 100.0), line_of(2, 0.0, 300.0)]}
    shown = views.findings(summary)
    assert [one["title"] for one in shown["advice"]] == ["b", "c", "d"] and shown["more_advice"] == 1
    assert shown["advice"][0]["where"] == "[7] line 2" and shown["advice"][0]["saving"] == "up to 4.00 ms"
    assert [(one["where"], one["text"], one["share"]) for one in shown["lines"]] == [
        ("[7] line 2", "y = a < b", 0.75),
        ("[7] line 3", "x", 0.25),
    ]
    state = {"title": "t", "state": "ready", "summary": summary, "findings": shown, "note": "recorded"}
    html, text = profile_card(state), profile_text(state)
    assert (
        html.index("Suggested changes") < html.index("by line, on the CPU") < html.index("Time by operator")
    )
    assert "[7] line 2  y = a &lt; b" in html and "300.0 µs (75 %)" in html and "1 call<" in html
    assert "b up to 4.00 ms: E. S." in text and text.endswith("recorded")
    # Device time counts where there is some.
    summary["attribution"]["lines"].append(line_of(1, 5.0, 0.0))
    assert [one["where"] for one in views.findings(summary)["lines"]] == ["[7] line 1"]


def test_kernels_that_were_measured_one_by_one_stand_in_place_of_busy_time() -> None:
    kernels = [
        {"name": "gemm<1>", "total_us": 300.0, "count": 2, "bound": "memory"},
        {"name": "relu", "total_us": 100.0, "count": 1, "bound": ""},
    ]
    devices = [{"device": "0", "span_us": 400.0, "busy_us": 400.0, "idle_us": 0.0}]
    summary = {"devices": devices, "measured": {"kernels": kernels, "total_us": 400.0}}
    state = {"title": "t", "state": "ready", "summary": summary}
    html, text = profile_card(state), profile_text(state)
    assert "Measured GPU kernels" in html and "gemm&lt;1&gt;" in html
    assert "300.0 µs, 2 launches, bound by memory" in html and "width:75.0%" in html
    assert "gemm<1>: 300.0 µs, 2 launches, bound by memory" in text and "relu: 100.0 µs" in text
    assert "busy" not in html + text and "idle" not in html + text


def test_a_profile_without_any_work_says_so() -> None:
    empty = {"title": "t", "state": "ready", "summary": {"operators": [], "devices": []}}
    assert NOTHING_RAN in profile_card(empty) and NOTHING_RAN in profile_text(empty)
    assert NOTHING_RAN not in profile_card({**empty, "state": "analyzing"})


def test_a_run_in_plain_text() -> None:
    assert run_text(state()) == "run t: Finished after 1 min 15 s, loss 0.5\nrun id r1"


def test_a_long_history_is_bounded_and_keeps_its_peaks() -> None:
    history = History()
    for step in range(100_000):
        history.add("loss", step, 1000.0 if step == 31_337 else math.sin(step))
    history.add("loss", 100_000, math.nan)
    series = history.series()["loss"]
    assert len(series["steps"]) == len(series["values"]) <= MAX_POINTS
    assert max(value for value in series["values"] if value is not None) == 1000.0
    assert series["steps"][0] == 0 and series["steps"][-1] == 100_000 and series["values"][-1] is None
    assert series["steps"] == sorted(series["steps"])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("lr = 1e-3\nepochs = 3 * base\nname = f'run-{base}'", {"lr": 1e-3, "epochs": 30, "name": "run-10"}),
        ("a, b = 1, 'x'\nc = d = True\ne: float = -2.5", {"a": 1, "b": "x", "c": True, "d": True, "e": -2.5}),
        ("total = 0\nfor i in range(3):\n    total += i", {}),
        ("n = len([1])\nx = [1]\n_p = 1\nif True:\n    y = 1", {}),
        ("base = 2\nz = base + 1", {"base": 2, "z": 3}),
        ("w = 1\nw = 2", {}),
        ("bad = 1 / 0\nnope = missing + 1\nok = 1 if base > 5 else 2", {"ok": 1}),
        ("a = (", {}),
    ],
)
def test_parameters_are_the_constants_of_a_cell(code: str, expected: dict[str, Any]) -> None:
    assert simple_params(code, {"base": 10, "other": object()}) == expected


def test_options_of_a_cell_and_of_a_line() -> None:
    options = cell_options(track_parser(), "--name 'a b' --tag k=v=w --param x=1 --no-source")
    assert (options.name, options.tag, options.param, options.no_source) == (
        "a b",
        [("k", "v=w")],
        [("x", "1")],
        True,
    )
    given, statement = split_statement(track_parser(), '--name "a b" --no-source f("x  y", a=1) -- 2')
    assert (given.name, given.no_source, statement) == ("a b", True, 'f("x  y", a=1) -- 2')


def test_a_metric_that_is_no_number_any_more_is_named_with_its_first_step() -> None:
    history = History()
    points = [("loss", 0, 1.0), ("loss", 3, float("nan")), ("loss", 4, float("nan")), ("best", 0, float("inf")),
              ("best", 1, 2.0), ("norm", 0, 1.0), ("norm", 7, float("-inf"))]  # fmt: skip
    found = [(key, step) for key, step, value in points if history.add(key, step, value)]
    assert found == [("loss", 3), ("norm", 7)]
    assert history.diverged == {"loss": "NaN since step 3", "norm": "-Infinity since step 7"}
    state = {"title": "t", "status": "FINISHED", "series": history.series(), "params": {}, "elapsed_s": 1.0,
             "diverged": history.diverged, "run_id": "", "message": ""}  # fmt: skip
    html = run_card(state, charts=False)
    assert '<div style="color:#dc4c4c;font-weight:600">loss is NaN since step 3</div>' in html
    assert "best is" not in html
    assert "1</span>" not in html.replace("best</span> 2</span>", "")  # not the last finite loss
    assert '<span style="color:#dc4c4c;font-weight:600">NaN</span>' in html
    assert "loss NaN, best 2, norm -Infinity" in run_text(state)
    assert "norm is -Infinity since step 7" in run_text(state)
    charts = [
        base64.b64decode(one).decode() for one in re.findall(r"base64,([^\"]+)", run_card(state, charts=True))
    ]
    assert [re.findall(r'fill="#dc4c4c"[^>]*>([^<]+)<', one) for one in charts] == [
        ["NaN"],
        [],
        ["-Infinity"],
    ]
