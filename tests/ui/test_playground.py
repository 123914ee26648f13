"""Try a deployment: a form from its signature, the answer, what was asked before, and code to copy."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .keyboard import Keyboard
from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

FLOWERS = """
import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

frame = pd.DataFrame({"petal length": [1.4, 4.7, 6.0, 1.3], "petal width": [0.2, 1.4, 2.5, 0.3]})
model = LogisticRegression().fit(frame, ["setosa", "versicolor", "virginica", "setosa"])
mlflow.set_experiment("flowers")
with mlflow.start_run(run_name="flowers"):
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name="flowers", serialization_format="skops", input_example=frame[:1],
        signature=infer_signature(frame, model.predict(frame)), pip_requirements=["mlflow", "scikit-learn", "skops"],
    )
"""


def deploy(server: LabServer) -> None:
    """Deploy the model whose files the person confirms by their digest."""
    _, check = server.request(
        "POST", "genops/deployment-checks", {"model": "flowers", "version": "", "name": ""}
    )
    body = {"model": "flowers", "trust": check["digest"]}
    status, answer = server.request("POST", "genops/deployments", body)
    assert status == 200, answer
    look = lambda: server.get("genops/deployments/flowers")  # noqa: E731
    found = eventually(look, lambda each: each["state"] in ("running", "failed"), 90)
    assert found["state"] == "running", found


def test_a_person_tries_a_deployment_with_the_keyboard(lab: LabPage, server: LabServer) -> None:
    run_script(server, FLOWERS, **own_mlflow(server))
    deploy(server)
    section = lab.section("Deployments")
    row = section.get_by_role("button", name=re.compile("^flowers"))
    if row.get_attribute("aria-expanded") == "false":
        row.click()
    keyboard = Keyboard(lab.page)
    keyboard.choose(section.get_by_role("button", name="Try it"))

    page = lab.page.locator(".gol-Page:has(.gol-Playground)")
    expect(page.get_by_role("heading", name="Try flowers")).to_be_visible()
    length = page.get_by_role("textbox", name="petal length")
    expect(length).to_have_value("1.4")  # of the input example
    length.fill("6.1")
    page.get_by_role("textbox", name="petal width").fill("2.4")
    lab.page.keyboard.press("Enter")
    answer = page.get_by_role("region", name="Answer")
    expect(answer.get_by_role("cell", name="virginica")).to_be_visible()
    expect(answer).to_contain_text("revision 1")
    expect(answer).to_contain_text(" ms")

    # A wrong value is sent too: the model's own message is shown.
    length.fill("long")
    page.get_by_role("button", name="Send").click()
    expect(answer.get_by_text("Failed with HTTP 400")).to_be_visible()
    expect(answer).to_contain_text("could not convert string to float")
    lab.looks("playground", ".gol-Page:has(.gol-Playground)", NARROW, WIDE)

    # An earlier request comes back as JSON.
    answer.get_by_role("row", name="Show request 2 again").focus()
    lab.page.keyboard.press("ArrowDown")
    expect(answer.get_by_role("row", name="Show request 1 again")).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(answer.get_by_role("cell", name="virginica")).to_be_visible()
    body = page.get_by_role("textbox", name="Body of the request (JSON)")
    expect(body).to_have_value(re.compile("6.1"))
    lab.shot("playground-json")


def test_what_is_copied_has_the_request_and_no_key(lab: LabPage, server: LabServer) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.execute("genops:try-deployment", {"name": "flowers"})
    page = lab.page.locator(".gol-Page:has(.gol-Playground)")
    key = server.get("genops/deployments/flowers/key")["key"]
    for word, text in (("Copy as Python", "urllib.request"), ("Copy as curl", "curl -sS")):
        page.get_by_role("button", name=re.compile(word)).click()
        copied = lab.page.evaluate("navigator.clipboard.readText()")
        assert text in copied
        assert "petal length" in copied
        assert server.get("genops/deployments/flowers")["url"] in copied
        assert key not in copied


def test_a_stopped_deployment_says_that_it_does_not_answer(lab: LabPage, server: LabServer) -> None:
    lab.execute("genops:try-deployment", {"name": "flowers"})
    page = lab.page.locator(".gol-Page:has(.gol-Playground)")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    server.request("POST", "genops/deployments/flowers/stop")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("it does not answer")).to_be_visible()
    server.request("DELETE", "genops/deployments/flowers")
