"""Runs side by side, and files of theirs that would bite."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

HOSTILE = """<!doctype html><h1>Report</h1><p id="said">quiet</p>
<img src="/genops/bitten?img">
<script>
  document.getElementById('said').textContent = 'bitten';
  fetch('/genops/bitten?fetch');
  fetch('/genops/run-table/delete', {method: 'POST', body: '{}'});
  new Image().src = '/genops/bitten?image';
  try { parent.document.title = 'bitten'; top.location = '/genops/bitten?top'; } catch (error) { }
</script>
<form action="/genops/bitten" id="f"><input name="x"></form><script>document.getElementById('f').submit()</script>
<meta http-equiv="refresh" content="0;url=/genops/bitten?refresh">"""

MODEL = """import torch

class Net(torch.nn.Module):
    def __init__(self, width={width}):
        super().__init__()
        self.first = torch.nn.Linear(64, width)
        self.last = torch.nn.Linear(width, 10)

    def forward(self, x):
        return self.last(torch.{act}(self.first(x)))
"""
TRAIN = """%%track --name {name}
model = Net()
optimizer = torch.optim.{optimizer}(model.parameters(), lr={lr})
for epoch in range(10):
    train(model, optimizer)
genops.log(evaluate(model))"""
PATCH = """diff --git a/data.py b/data.py
--- a/data.py
+++ b/data.py
@@ -1,3 +1,3 @@
 def load():
-    return digits(split=0.2)
+    return digits(split={split})
"""


def png(red: int, green: int, blue: int) -> bytes:
    """A square of one colour."""
    rows = b"".join(b"\0" + bytes((red, green, blue)) * 64 for _ in range(64))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def runs(server: LabServer) -> dict[str, list[str]]:
    """Three settings, of which two were repeated with seeds."""
    from mlflow import MlflowClient

    server.get("genops/runs")
    client = MlflowClient(f"sqlite:///{server.home.data / 'mlflow' / 'mlflow.db'}")
    settings: list[tuple[str, dict[str, Any], list[float]]] = [
        ("adam-wide", {"lr": 0.01, "width": 64, "optimizer": "Adam", "act": "relu"}, [0.951, 0.957, 0.949]),
        ("sgd-wide", {"lr": 0.1, "width": 64, "optimizer": "SGD", "act": "relu"}, [0.921, 0.93, 0.917]),
        ("adam-narrow", {"lr": 0.01, "width": 16, "optimizer": "Adam", "act": "tanh"}, [0.953]),
    ]
    made: dict[str, list[str]] = {}
    for index, (name, params, values) in enumerate(settings):
        for seed, value in enumerate(values):
            run_id = client.create_run("0", run_name=name).info.run_id
            for key, given in {**params, "seed": seed, "epochs": 10}.items():
                client.log_param(run_id, key, given)
            for key, figure in {"val/accuracy": value, "val/loss": (1 - value) * 3, "epoch": 9}.items():
                client.log_metric(run_id, key, figure)
            client.log_metric(run_id, "grad_norm", float("nan") if index == 2 else 1.5 + seed / 10)
            cells = [
                "%load_ext genops_lab",
                MODEL.format(**params),
                TRAIN.format(name=name, **params),
            ]
            kept = [
                {"source": source, "cell_id": str(i), "execution_count": i + 1}
                for i, source in enumerate(cells)
            ]
            record = {
                "environment": {"python": f"3.11.{index}"},
                "host": "gpu1" if index else "laptop",
                "gpus": [{"name": "NVIDIA H100", "driver": "550"}] if index else [],
            }
            client.log_text(run_id, json.dumps(kept), "source/cells.json")
            client.log_text(run_id, json.dumps(record), "source/record.json")
            client.log_text(run_id, f"numpy==1.26.4\ntorch==2.{4 + index}.0\n", "source/installed.txt")
            client.log_text(run_id, PATCH.format(split=0.1 * (index + 1)), "source/uncommitted.patch")
            client.log_text(run_id, HOSTILE + f"<p>{name}</p>", "report.html")
            client.log_text(run_id, f"digit,recall\n0,{value}\n1,{value / 2}\n", "recall.csv")
            folder = server.home.work / "pictures"
            folder.mkdir(exist_ok=True)
            (folder / "confusion.png").write_bytes(png(60 * index, 120, 200))
            client.log_artifact(run_id, str(folder / "confusion.png"))
            client.set_terminated(run_id)
            made.setdefault(name, []).append(run_id)
    return made


def opened(lab: LabPage, run_ids: list[str]) -> Any:
    """The comparison of these runs."""
    lab.execute("genops:compare-runs", {"run_ids": run_ids})
    view = lab.page.locator(".gol-Comparison:visible")
    expect(view.get_by_role("heading", name="Comparison")).to_be_visible()
    return view


def test_runs_are_compared_from_the_panel(lab: LabPage, runs: dict[str, list[str]]) -> None:
    experiments = lab.section("Runs")
    experiments.get_by_role("button", name="adam-narrow").first.click()
    button = experiments.get_by_role("button", name="Compare with…")
    button.focus()
    lab.page.keyboard.press("Enter")
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_role("listbox").select_option(
        label=[f"sgd-wide · Default · {run_id[:8]}" for run_id in runs["sgd-wide"]]
    )
    dialog.get_by_role("button", name="Compare").click()
    view = lab.page.locator(".gol-Comparison:visible")
    expect(view.locator(".gol-Comparison-column")).to_have_count(2)
    assert lab.problems == []


def test_what_differs_is_shown_in_both_themes(lab: LabPage, runs: dict[str, list[str]]) -> None:
    every = [run_id for group in runs.values() for run_id in group]
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    view = opened(lab, every)
    expect(view.locator(".gol-Comparison-column")).to_have_count(3)
    params = view.get_by_role("region", name="Parameters")
    expect(params.get_by_role("rowheader")).to_have_text(["act", "lr", "optimizer", "seed", "width"])
    accuracy = view.get_by_role("region", name="Metrics").get_by_role("row").filter(has_text="val/accuracy")
    expect(accuracy).to_contain_text("n = 3")
    expect(accuracy).to_contain_text("lower")
    code = view.get_by_role("region", name="Code")
    expect(code.get_by_text("SGD", exact=True)).to_have_count(1)
    # Another baseline, by the keyboard.
    view.get_by_role("button", name="Make baseline").first.focus()
    lab.page.keyboard.press("Enter")
    expect(view.locator(".gol-Comparison-column.gol-mod-baseline")).to_contain_text("sgd-wide")
    expect(accuracy).to_contain_text("higher")
    view.get_by_role("button", name="Make baseline").first.click()
    expect(accuracy).to_contain_text("lower")
    view.evaluate("node => node.scrollTo(0, 0)")
    lab.looks("comparison", ".gol-Comparison")
    code.evaluate("node => node.scrollIntoView()")
    lab.looks("comparison-code", ".gol-Comparison", daily=False)
    # Narrow: tables scroll, the view does not.
    lab.shot("comparison-narrow", width=700, height=800)
    assert view.evaluate("node => node.scrollWidth <= node.clientWidth")
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    lab.theme("light")
    # Each run alone: more columns than fit.
    view.get_by_label("Group repeats").uncheck()
    expect(view.locator(".gol-Comparison-column")).to_have_count(7)
    view.evaluate("node => node.scrollTo(0, 0)")
    lab.shot("comparison-seven", width=1280, height=800)
    assert view.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert lab.problems == []


def test_files_are_shown_and_none_of_them_bites(lab: LabPage, runs: dict[str, list[str]]) -> None:
    page = lab.page
    asked: list[str] = []
    page.on("response", lambda response: asked.append(response.url))
    view = opened(lab, [runs["adam-wide"][0], runs["sgd-wide"][0]])
    artifacts = view.get_by_role("region", name="Artifacts")
    artifacts.get_by_role("button", name="confusion.png").click()
    picture = artifacts.get_by_role("img", name="confusion.png of A")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    artifacts.get_by_role("button", name="recall.csv").click()
    expect(artifacts.get_by_role("cell", name="0.951", exact=True)).to_be_visible()
    artifacts.get_by_role("button", name="report.html").click()
    frame = artifacts.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="Report")).to_be_visible()
    expect(frame.locator("#said")).to_have_text("quiet")
    artifacts.evaluate("node => node.scrollIntoView()")
    lab.looks("comparison-artifacts", ".gol-Comparison", (1280, 800), daily=False)
    assert [url for url in asked if "bitten" in url or "run-table/delete" in url] == []
    assert page.title() != "bitten"


def test_an_artifact_that_is_opened_directly_cannot_act(
    lab: LabPage, server: LabServer, runs: dict[str, list[str]]
) -> None:
    context = lab.page.context
    address = f"{server.url}genops/runs/{runs['adam-wide'][0]}/artifact?path=report.html"

    def bites(change: Any) -> list[str]:
        """What the page gets from the Lab when its answer is ``change``d on the way."""
        page = context.new_page()
        asked: list[str] = []
        # What a policy blocks is a request for Chromium all the same, but has no response.
        page.on("response", lambda response: asked.append(response.url))

        def shown(route: Route) -> None:
            answer = route.fetch()
            headers = {**answer.headers, "content-type": "text/html"}
            del headers["content-disposition"]
            route.fulfill(response=answer, headers=change(headers))

        page.route("**/artifact?**", shown)
        page.goto(address)
        page.wait_for_load_state("networkidle")
        page.close()
        return [url for url in asked if "bitten" in url or "run-table/delete" in url]

    # As it is, it is a download.
    page = context.new_page()
    with page.expect_download() as download:
        page.evaluate("address => { location.href = address; }", address)
    assert download.value.suggested_filename == "report.html"
    page.close()
    # Were it shown, its policy alone would hold it; and without that it would bite.
    assert bites(lambda headers: headers) == []
    without = {"content-security-policy"}
    assert bites(lambda headers: {k: v for k, v in headers.items() if k not in without}) != []
