"""Try a deployment: a form from its signature, the answer, what was asked before, and code to copy."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import NARROW, WIDE, LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually
from tests.support.small_llm import small_llm

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


#: A model of pictures of any size: the mean of each colour.
COLOURS = """
import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from pathlib import Path

Path("colours.py").write_text('''
import mlflow
class Colours(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.mean(axis=(1, 2))
mlflow.models.set_model(Colours())
''')
signature = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 4, 4, 3))]), None)
mlflow.set_experiment("flowers")
with mlflow.start_run(run_name="colours"):
    mlflow.pyfunc.log_model(
        python_model="colours.py", name="model", registered_model_name="colours", signature=signature,
        pip_requirements=["mlflow"],
    )
"""


def deploy(server: LabServer, name: str = "flowers", **asked: Any) -> None:
    """Deploy the model whose files the person confirms by their digest."""
    asked = asked or {"model": name}
    _, check = server.request("POST", "genops/deployment-checks", {"name": "", **asked})
    status, answer = server.request(
        "POST", "genops/deployments", {**asked, "name": name, "trust": check["digest"]}
    )
    assert status == 200, answer
    look = lambda: server.get(f"genops/deployments/{name}")  # noqa: E731
    found = eventually(look, lambda each: each["state"] in ("running", "failed"), 90)
    assert found["state"] == "running", found


def page_of(lab: LabPage, name: str) -> Locator:
    """Open the page that tries a deployment."""
    lab.execute("genops:try-deployment", {"name": name})
    page = lab.page.locator(".gol-Page:visible").filter(
        has=lab.page.get_by_role("heading", name=f"Try {name}")
    )
    expect(page).to_be_visible()
    return page


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

    # A wrong value is sent too: the model's own message is shown, and the field that is wrong.
    length.fill("long")
    page.get_by_role("button", name="Send").click()
    expect(answer.get_by_text("Failed with HTTP 400")).to_be_visible()
    expect(answer).to_contain_text("could not convert string to float")
    expect(answer).not_to_contain_text("error_code")
    expect(length).to_have_accessible_description("“long” is no number.")
    expect(page.get_by_role("textbox", name="petal width")).not_to_have_attribute("aria-invalid", "true")
    lab.looks("playground", ".gol-Page:has(.gol-Playground)", NARROW, WIDE)

    # An earlier request comes back as JSON.
    keyboard.to(answer.get_by_role("row", name="Show request 2 again"))
    keyboard.press("ArrowDown")
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

    # Code for another machine, through JupyterLab: it runs with Jupyter's token alone.
    page.get_by_label("Code for").select_option(label="where JupyterLab opens")
    page.get_by_role("button", name=re.compile("Copy as Python")).click()
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert f"{server.url}genops/call/flowers/invocations" in copied
    assert "# DEPLOYMENT_KEY is the token of JupyterLab." in copied
    ran = subprocess.run(
        [sys.executable, "-c", copied],
        env={**os.environ, "DEPLOYMENT_KEY": server.token},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "['setosa']\n", ran.stderr


def test_a_person_sees_who_reaches_a_deployment_from_where(lab: LabPage, server: LabServer) -> None:
    section = lab.section("Deployments")
    row = section.get_by_role("button", name=re.compile("^flowers"))
    if row.get_attribute("aria-expanded") == "false":
        row.click()
    Keyboard(lab.page).choose(section.get_by_role("button", name="Addresses"))
    page = lab.page.locator(".gol-Page:visible").filter(
        has=lab.page.get_by_role("heading", name="Addresses of flowers")
    )
    table = page.get_by_role("table", name="Addresses of the deployment")
    expect(table.get_by_role("row", name=re.compile("where JupyterLab opens"))).to_contain_text(
        f"{server.url}genops/call/flowers"
    )
    expect(table.get_by_role("row", name=re.compile("other machines"))).to_contain_text(
        "GenOpsLab.deployment_https"
    )
    expect(table.get_by_role("row", name=re.compile("SSH login"))).to_contain_text("ssh -N -L")
    lab.looks("addresses", ".gol-Page:has(.gol-mod-addresses)", NARROW, WIDE)


def records_requests(page: Locator, server: LabServer) -> None:
    """The person records two requests of callers, which the load tests then send."""
    keyboard = Keyboard(page.page)
    keyboard.choose(page.get_by_role("button", name="Record requests"), "Shift+Tab")
    wanted = page.get_by_label("Requests to record")
    wanted.fill("0")
    expect(page.get_by_role("button", name="Start recording")).to_be_disabled()
    wanted.fill("2")
    wanted.press("Enter")
    expect(page.get_by_text("Waiting for the first request")).to_be_visible()
    sent = page.get_by_role("checkbox", name="Send the 2 recorded requests")
    expect(sent).to_have_count(0)
    for length in (1.5, 4.5):
        row = {"petal length": length, "petal width": 0.3}
        body = {"body": json.dumps({"dataframe_records": [row]})}
        server.request("POST", "genops/deployments/flowers/try", body)
    expect(page.get_by_text("2 requests to /invocations are recorded.")).to_be_visible()
    keyboard.choose(sent, by="Space")
    expect(page.get_by_label("Requests (JSON, one a line)")).to_be_disabled()


def test_load_tests_are_started_seen_compared_and_cancelled(lab: LabPage, server: LabServer) -> None:
    lab.execute("genops:try-deployment", {"name": "flowers", "view": "load"})
    page = lab.page.locator(".gol-Page:has(.gol-Load)")
    expect(page.get_by_text("No load test yet.")).to_be_visible()
    start = page.get_by_role("button", name="Start load test")
    length = page.get_by_label("Length (s)")
    page.get_by_label("Last rate (requests/s)").fill("40")
    length.fill("0")
    expect(length).to_have_accessible_description("Write a number above 0.")
    expect(start).to_be_disabled()
    length.fill("4")
    page.get_by_label("In time within (ms)").fill("500")
    records_requests(page, server)
    for count in (1, 2):
        start.click()
        expect(page.get_by_role("progressbar", name="Load test of flowers")).to_be_visible()
        eventually(
            lambda: len(server.get("genops/deployments/flowers/load-tests")),
            lambda found, n=count: found == n,
            40,
        )
        expect(start).to_be_enabled()
    expect(page.get_by_role("row", name=re.compile("Show the load test of r1"))).to_have_count(2)
    expect(
        page.get_by_role("img", name=re.compile("Latency by requests a second.*p99 before"))
    ).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Answers in time by requests a second"))).to_be_visible()
    expect(page.get_by_text(re.compile("requests/s"), exact=False).first).to_be_visible()
    lab.looks("load", ".gol-Page:has(.gol-Load)", NARROW, WIDE)
    kept = server.get("genops/deployments/flowers/load-tests")
    assert all(each["plan"]["recorded"] for each in kept)
    page.get_by_role("button", name="Forget them").press("Enter")
    expect(page.get_by_role("button", name="Start recording")).to_be_visible()
    expect(page.get_by_role("checkbox", name=re.compile("recorded"))).to_have_count(0)

    length.fill("60")
    start.click()
    Keyboard(lab.page).choose(page.get_by_role("button", name="Cancel"))
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(start).to_be_enabled()
    assert len(server.get("genops/deployments/flowers/load-tests")) == 2


def test_a_picture_is_scaled_to_what_the_model_takes(lab: LabPage, server: LabServer) -> None:
    run_script(server, COLOURS, **own_mlflow(server))
    deploy(server, "colours")
    page = page_of(lab, "colours")
    picture = lab.page.evaluate(
        """() => {
          const canvas = document.createElement('canvas');
          canvas.width = canvas.height = 32;
          const context = canvas.getContext('2d');
          context.fillStyle = '#ff0033';
          context.fillRect(0, 0, 32, 32);
          return canvas.toDataURL('image/png').split(',')[1];
        }"""
    )
    choose = page.get_by_label("Picture")
    choose.set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_text("“broken.png” is no picture that can be read.")).to_be_visible()
    content = base64.b64decode(picture)
    choose.set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": content})
    expect(page.get_by_role("textbox", name="Body of the request (JSON)")).to_have_value(re.compile("0.2"))
    page.get_by_role("button", name="Send").click()
    answer = page.get_by_role("region", name="Answer")
    row = answer.get_by_role("row").nth(1)
    expect(row).to_contain_text("0.2")
    cells = [float(each) for each in row.get_by_role("cell").all_inner_texts()]
    assert [round(each, 1) for each in cells] == [1.0, 0.0, 0.2]
    server.request("POST", "genops/deployments/colours/stop")
    server.request("DELETE", "genops/deployments/colours")


def test_a_person_talks_to_a_language_model(lab: LabPage, server: LabServer) -> None:
    settings = {"context": "1024", "parallel": "2", "threads": "1"}
    deploy(server, "talk", path=str(small_llm()), settings=settings)
    page = page_of(lab, "talk")
    keyboard = Keyboard(lab.page)
    page.get_by_label("System prompt").fill("You answer briefly.")
    page.get_by_label("Temperature").fill("0")
    most = page.get_by_label("Most tokens")
    most.fill("none")
    expect(page.get_by_text("Write a whole number from 1 to 1,000,000.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    most.fill("12")
    page.get_by_label("Message").fill("What is the capital of France?")
    lab.page.keyboard.press("Enter")
    talk = page.get_by_role("log", name="Conversation")
    expect(talk.get_by_text("revision 1")).to_be_visible()
    expect(talk).to_contain_text(re.compile(r"\d+ tokens?"))
    expect(talk).to_contain_text(re.compile(r"first token after [\d,]+ ms"))
    expect(page.get_by_label("Message")).to_have_value("")

    # A long answer is stopped while it comes: the engine stops too.
    most.fill("900")
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("System prompt").fill("")
    page.get_by_label("Message").fill("Write a long story about a mouse.")
    lab.page.keyboard.press("Enter")
    last = talk.get_by_role("article").last
    expect(last.locator(".gol-Chat-text").last).not_to_have_text("")
    keyboard.choose(page.get_by_role("button", name="Stop"))
    expect(last.get_by_text("Stopped by you")).to_be_visible()
    expect(page.get_by_label("Message")).to_be_focused()
    figures = lambda: server.get("genops/deployments/talk")  # noqa: E731
    eventually(figures, lambda found: found["requests"] == 2, 20)
    lab.looks("chat", ".gol-Page:has(.gol-Chat)", NARROW, WIDE)

    # A refusal is a sentence, and the message is there to be changed.
    page.get_by_label("Message").fill("word " * 3000)
    lab.page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("context")
    expect(page.get_by_role("alert")).not_to_contain_text("{")
    expect(page.get_by_label("Message")).to_have_value(re.compile("word"))

    # An earlier request brings its conversation and settings back; it is copied as a program that runs.
    page.get_by_label("Message").fill("")
    page.get_by_role("row", name="Show the conversation of request 1").click()
    expect(talk.get_by_role("article")).to_have_count(2)
    expect(most).to_have_value("12")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = server.get("genops/deployments/talk/key")["key"]
    for word in ("Copy as Python", "Copy for OpenAI client"):
        page.get_by_role("button", name=re.compile(word)).click()
        program = lab.page.evaluate("navigator.clipboard.readText()")
        assert key not in program
        command = [sys.executable, "-c", program]
        environ = {**os.environ, "DEPLOYMENT_KEY": key}
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert ended.stdout.strip(), ended.stderr
    server.request("POST", "genops/deployments/talk/stop")
    server.request("DELETE", "genops/deployments/talk")


def test_a_stopped_deployment_says_that_it_does_not_answer(lab: LabPage, server: LabServer) -> None:
    lab.execute("genops:try-deployment", {"name": "flowers"})
    page = lab.page.locator(".gol-Page:has(.gol-Playground)")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    server.request("POST", "genops/deployments/flowers/stop")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("it does not answer")).to_be_visible()
    server.request("DELETE", "genops/deployments/flowers")
