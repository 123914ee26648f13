"""From a run to its profile and back, and from two compared runs to their profiles compared."""

from __future__ import annotations

import json
import time

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

NAMES = ("slow", "fast")


def trace(step_us: int) -> str:
    """Three steps, each with a kernel of a quarter of its length."""
    events = []
    for n in range(3):
        at = {"ph": "X", "ts": n * step_us}
        step = {
            **at,
            "cat": "user_annotation",
            "name": f"ProfilerStep#{n}",
            "pid": 1,
            "tid": 1,
            "dur": step_us,
        }
        kernel = {
            **at,
            "cat": "kernel",
            "name": "gemm",
            "pid": 0,
            "tid": 7,
            "dur": step_us / 4,
            "args": {"device": 0},
        }
        events += [step, kernel]
    return json.dumps({"traceEvents": events})


@pytest.fixture(scope="module")
def runs(server: LabServer) -> dict[str, str]:
    """Two runs with a profile each; one of the profiles has a price."""
    from mlflow import MlflowClient

    server.get("genops/runs")
    client = MlflowClient(f"sqlite:///{server.home.data / 'mlflow' / 'mlflow.db'}")
    made = {}
    for name, step_us in zip(NAMES, (4000, 1000), strict=True):
        run_id = client.create_run("0", run_name=name).info.run_id
        path = server.home.data / "profiles" / f"of-{name}" / "trace.json"
        path.parent.mkdir(parents=True)
        path.write_text(trace(step_us))
        asked = {"trace_path": str(path), "title": f"{name} steps", "run_id": run_id, "usd_per_hour": 36.0}
        status, answer = server.request("POST", "genops/profiles", asked, timeout=200)
        assert status == 200, answer
        client.set_terminated(run_id)
        made[name] = run_id
    deadline = time.monotonic() + 120
    while not all("profile/usd_a_step" in client.get_run(each).data.metrics for each in made.values()):
        assert time.monotonic() < deadline, "the profiles did not come to their runs"
        time.sleep(0.2)
    return made


def test_a_run_leads_to_its_profile_and_back(lab: LabPage, runs: dict[str, str]) -> None:
    experiments = lab.section("Runs")
    experiments.get_by_role("button", name="slow").first.click()
    experiments.get_by_role("button", name="Artifacts").click()
    button = experiments.get_by_role("button", name="Open profile")
    expect(button).to_be_visible()
    lab.shot("run-profile-drawer-1280")
    button.press("Enter")  # focus and key at once: the launcher takes the focus when it is ready
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("heading", name="slow steps")).to_be_visible()
    expect(panel.get_by_text("0.00004 USD", exact=True)).to_be_visible()
    expect(panel.get_by_text("At 36 USD an hour, the given price.")).to_be_visible()
    lab.looks("run-profile", ".gol-Profile", daily=False)
    panel.get_by_role("button", name="Open the run").click()
    expect(lab.page.get_by_text(runs["slow"][:8]).first).to_be_visible()
    assert lab.problems == []


def test_two_runs_lead_to_their_profiles_compared(lab: LabPage, runs: dict[str, str]) -> None:
    lab.execute("genops:compare-runs", {"run_ids": [runs[name] for name in NAMES]})
    view = lab.page.locator(".gol-Comparison:visible")
    metrics = view.get_by_role("region", name="Metrics")
    expect(metrics.get_by_role("rowheader", name="profile/usd_a_step")).to_be_visible()
    lab.shot("run-profiles-comparison-1280")
    view.get_by_role("button", name="Compare profiles").click()
    compared = lab.page.locator(".gol-Profile:visible")
    expect(compared.get_by_text("slow steps").first).to_be_visible()
    expect(compared.get_by_text("fast steps").first).to_be_visible()
    lab.looks("run-profiles-difference", ".gol-Profile:not(.lm-mod-hidden *)", (1280, 800))
    assert lab.problems == []
