"""Traces on one page: query, failures first, a trace as a tree on an axis of time, what was said, two side by side."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Locator, Response, expect

from tests.genai.live_deployment import LiveDeployment
from tests.support.browser import LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

from .conftest import EXAMPLES
from .keyboard import Keyboard
from .programs import own_mlflow, run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

#: A person's own code: an agent that searches, asks a model and calls a tool. One of its answers fails.
MADE = """
import json, os, pathlib
import mlflow
from mlflow.entities import SpanType

cell = json.loads(pathlib.Path("quickstart.ipynb").read_text())["cells"][-1]["id"]
CELL = {"genops.notebook": os.path.abspath("quickstart.ipynb"), "genops.cell": cell}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

@mlflow.trace(name="answer", span_type=SpanType.AGENT)
def answer(question, session, fails=False):
    mlflow.update_current_trace(metadata={"mlflow.trace.session": session, **CELL})
    with mlflow.start_span("search", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"query": question})
        found = [{"page_content": "Refunds take 5 days.", "metadata": {"doc_uri": "refunds.md", "score": 0.91}}]
        span.set_outputs(found)
    with mlflow.start_span("ask", span_type=SpanType.CHAT_MODEL) as span:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}
        text = {"type": "text", "text": question + " <img src=x onerror=document.title='run'>"}
        span.set_inputs({"model": "tiny", "messages": [
            {"role": "system", "content": "Answer briefly."}, {"role": "user", "content": [text, picture]}]})
        call = {"id": "call-1", "type": "function", "function": {"name": "order", "arguments": '{"number": 7}'}}
        said = {"role": "assistant", "content": "Your refund takes 5 days, " + session, "tool_calls": [call]}
        span.set_outputs({"choices": [{"message": said}]})
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 120, "output_tokens": 34, "total_tokens": 154})
        span.set_attribute("mlflow.llm.cost", {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003})
    with mlflow.start_span("order", span_type=SpanType.TOOL) as span:
        span.set_inputs({"number": 7})
        if fails:
            raise KeyError("order 7 is unknown")
        span.set_outputs({"state": "shipped"})
    return "5 days"

mlflow.set_experiment("of traces")
answer("Where is my refund?", "anna")
answer("Where is my money?", "anna")
try:
    answer("Where is order 7?", "bert", fails=True)
except KeyError:
    pass
mlflow.flush_trace_async_logging()
"""
ROWS = """
import mlflow
print(mlflow.genai.datasets.get_dataset(name="of-traces").to_df()["inputs"].tolist())
"""


def page(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-Traces")


def rows(lab: LabPage) -> Locator:
    return page(lab).locator(".gol-RunTable-rdg .rdg-row")


def ask(lab: LabPage, query: str) -> None:
    box = page(lab).get_by_role("combobox", name="Query")
    box.fill(query)
    box.press("Enter")


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab whose MLflow has no traces yet: those of other tests are in the shared one."""
    shutil.copy(EXAMPLES / "quickstart.ipynb", module_home.work)
    with running_lab(module_home) as found:
        yield found


def open_page(lab: LabPage) -> None:
    lab.execute("genops:open-traces")
    expect(page(lab)).to_be_visible()


def test_an_empty_page_says_how_to_make_a_trace_and_shows_it_when_it_lands(
    lab: LabPage, server: LabServer
) -> None:
    open_page(lab)
    expect(page(lab)).to_contain_text("mlflow.openai.autolog()")
    lab.looks("traces-empty", ".gol-Traces", daily=False)
    run_script(server, MADE, **own_mlflow(server))
    expect(rows(lab)).to_have_count(3)
    expect(rows(lab).first).to_contain_text("Where is order 7?")
    lab.looks("traces", ".gol-Traces")


def test_a_reload_keeps_the_query_the_order_and_the_open_trace(lab: LabPage) -> None:
    def kept(answer: Response) -> bool:
        sent = answer.request.post_data or ""
        return "/api/workspaces/" in answer.url and all(
            each in sent for each in ('"opened":"', '"query":"status = ERROR"')
        )

    open_page(lab)
    ask(lab, "status = ERROR")
    page(lab).get_by_role("button", name="Errors first").click()
    expect(rows(lab)).to_have_count(1)
    with lab.page.expect_response(kept, timeout=60_000):
        rows(lab).first.get_by_role("gridcell").nth(2).dblclick()
    trace = page(lab).get_by_role("region", name="Trace", exact=True)
    expect(trace).to_contain_text("order 7 is unknown")
    lab.page.reload()
    lab.ready()
    expect(page(lab).get_by_role("combobox", name="Query")).to_have_value("status = ERROR")
    order = page(lab).get_by_role("button", name="Errors first", pressed=True)
    expect(rows(lab)).to_have_count(1)
    expect(trace).to_contain_text("order 7 is unknown")
    Keyboard(lab.page).choose(trace.get_by_role("button", name="Close the trace"))
    expect(trace).to_have_count(0)
    order.click()


def test_failures_come_first_and_sessions_together(lab: LabPage) -> None:
    open_page(lab)
    ask(lab, "request CONTAINS refund or status = ERROR")
    expect(rows(lab)).to_have_count(2)
    ask(lab, "statsu = ERROR")
    expect(page(lab).get_by_role("alert")).to_contain_text("status")
    ask(lab, "")
    page(lab).get_by_role("button", name="Errors first").click()
    expect(rows(lab).first).to_contain_text("Where is order 7?")
    page(lab).get_by_role("button", name="Sessions").click()
    expect(page(lab).locator(".gol-RunTable-rdg")).to_have_attribute("role", "treegrid")
    expect(page(lab)).to_contain_text("anna")
    expect(page(lab).get_by_role("row", name=re.compile(r"Session anna .*\d traces?\b"))).to_be_visible()
    page(lab).get_by_role("button", name="Sessions").click()
    expect(rows(lab)).to_have_count(3)


def test_a_session_is_read_as_one_conversation(lab: LabPage) -> None:
    open_page(lab)
    ask(lab, "")
    page(lab).get_by_role("button", name="Sessions").click()
    expect(page(lab).locator(".gol-RunTable-rdg")).to_have_attribute("role", "treegrid")
    # The rows of before are there until the groups have come.
    head = page(lab).locator(".gol-RunTable-rdg .rdg-row[aria-expanded]").filter(has_text="anna")
    expect(head).to_have_attribute("aria-expanded", "false")
    head.get_by_role("gridcell").nth(2).click(button="right")
    lab.page.get_by_role("menuitem", name="Show Session").click()
    session = page(lab).get_by_role("region", name="Session", exact=True)
    talk = session.get_by_role("list", name="Conversation")
    expect(talk.get_by_role("list", name=re.compile("^Messages of trace"))).to_have_count(2)
    said = talk.locator(".gol-Turns-turn")
    expect(said).to_contain_text(["Where is my refund?", "5 days", "Where is my money?", "5 days"])
    expect(session).to_contain_text("2 traces")
    expect(session).to_contain_text("308 tokens")
    expect(session).to_contain_text("0.006 USD")
    lab.looks("session", ".gol-Traces")
    keyboard = Keyboard(lab.page)
    keyboard.choose(session.get_by_role("button", name="Open trace").first)
    trace = page(lab).get_by_role("region", name="Trace", exact=True)
    expect(session).to_have_count(0)
    keyboard.choose(trace.get_by_role("button", name="Open session"))
    expect(session.get_by_role("button", name="Close the session")).to_be_focused()
    keyboard.press("Escape")
    expect(session).to_have_count(0)
    expect(page(lab).get_by_role("combobox", name="Query")).to_be_focused()
    page(lab).get_by_role("button", name="Sessions").click()
    expect(rows(lab)).to_have_count(3)


def test_a_trace_is_read_with_the_keyboard_alone(lab: LabPage) -> None:
    open_page(lab)
    ask(lab, "session = bert")
    expect(rows(lab)).to_have_count(1)
    keyboard = Keyboard(lab.page)
    rows(lab).first.get_by_role("gridcell").nth(2).click()
    keyboard.press("Enter")
    trace = page(lab).get_by_role("region", name="Trace", exact=True)
    tree = trace.get_by_role("treegrid", name="Spans")
    chosen = tree.locator("[aria-selected=true]")
    # The span that failed is shown first.
    expect(chosen).to_contain_text("order")
    expect(trace.locator(".gol-Span")).to_contain_text("order 7 is unknown")
    tree.focus()
    keyboard.press("Home")
    expect(chosen).to_have_attribute("aria-level", "1")
    keyboard.press("ArrowLeft")
    expect(tree.get_by_role("row")).to_have_count(1)
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    expect(trace.locator(".gol-Span")).to_contain_text("Refunds take 5 days.")
    keyboard.press("ArrowDown")
    turns = trace.get_by_role("list", name="Messages")
    expect(turns).to_contain_text("Your refund takes 5 days, bert")
    expect(turns).to_contain_text("Calls order")
    expect(turns.get_by_role("img")).to_be_visible()
    expect(turns).to_contain_text("<img src=x onerror=document.title='run'>")
    assert lab.page.title() != "run"
    expect(chosen).to_contain_text("154")
    expect(chosen).to_contain_text("0.003 USD")
    lab.looks("trace", ".gol-Traces")
    keyboard.press("z")
    expect(trace.get_by_role("button", name="Fit")).to_be_enabled()
    keyboard.press("0")
    expect(trace.get_by_role("button", name="Fit")).to_be_disabled()
    keyboard.press("Enter")
    expect(trace.locator(".gol-Span")).to_be_focused()
    keyboard.press("Escape")
    expect(trace).to_have_count(0)


def test_two_traces_stand_side_by_side_with_the_words_that_differ(lab: LabPage) -> None:
    open_page(lab)
    ask(lab, "request CONTAINS 'Where is my'")
    expect(rows(lab)).to_have_count(2)
    for row in rows(lab).all():
        row.get_by_role("checkbox").check()
    page(lab).get_by_role("button", name="Compare", exact=True).click()
    both = page(lab).get_by_role("region", name="Comparison of two traces")
    pairs = both.get_by_role("region", name="Spans in pairs")
    expect(pairs.get_by_role("row")).to_have_count(5)
    pairs.get_by_role("row", name=re.compile("^ask")).click()
    asked = both.get_by_role("region", name="Inputs")
    expect(asked.locator("del")).to_have_text("money")
    expect(asked.locator("ins")).to_have_text("refund")
    expect(both.get_by_role("heading", name="Outputs: the same")).to_be_visible()
    lab.looks("traces-compared", ".gol-Traces")


def test_a_trace_becomes_a_row_of_a_data_set_and_new_traces_wait_while_the_tail_is_off(
    lab: LabPage, server: LabServer
) -> None:
    open_page(lab)
    ask(lab, "session = bert")
    expect(rows(lab)).to_have_count(1)
    rows(lab).first.get_by_role("gridcell").nth(2).dblclick()
    trace = page(lab).get_by_role("region", name="Trace", exact=True)
    trace.get_by_role("button", name="Add to data set…").click()
    lab.page.get_by_role("dialog").get_by_role("textbox").fill("of-traces")
    lab.page.keyboard.press("Enter")
    expect(lab.page.get_by_text("1 row added to the data set of-traces.")).to_be_visible()
    trace.get_by_role("button", name="Add to data set of-traces").click()
    expect(lab.page.get_by_text("already has rows with these inputs")).to_be_visible()
    found = run_script(server, ROWS, **own_mlflow(server))
    assert "Where is order 7?" in found

    trace.get_by_role("button", name="Close the trace").click()
    ask(lab, "session = anna or session = cleo")
    expect(rows(lab)).to_have_count(2)
    page(lab).get_by_role("button", name="Live").click()
    run_script(server, MADE.replace('"anna"', '"cleo"'), **own_mlflow(server))
    page(lab).get_by_role("button", name="Show new traces").click()
    expect(rows(lab)).to_have_count(4)

    page(lab).get_by_role("button", name="Live").click()
    rows(lab).first.get_by_role("gridcell").nth(2).dblclick()
    trace.get_by_role("button", name="Go to cell").click()
    notebook = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(notebook.locator(".jp-Cell").last).to_have_class(re.compile("jp-mod-active"))


def test_the_call_of_a_deployment_stands_in_the_tree_of_its_application(
    lab: LabPage, server: LabServer
) -> None:
    pytest.importorskip("openai", reason="openai's client")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OpenTelemetry's exporter for OTLP")
    chat = LiveDeployment(server, "chat")
    for name in ("support", "elsewhere"):
        chat.done("POST", "genops/v1/experiments", {"name": name})
    chat.deploy()
    chat.done("PUT", "genops/v1/deployments/chat/traces", {"sample": 1.0, "experiment": "support"})
    chat.application("mlflow", "support")
    chat.application("opentelemetry", "elsewhere")
    open_page(lab)
    ask(lab, "tags.deployment = chat")
    expect(rows(lab)).to_have_count(2, timeout=60_000)
    trace = page(lab).get_by_role("region", name="Trace", exact=True)
    tree = trace.get_by_role("treegrid", name="Spans")

    def opened(name: str) -> None:
        rows(lab).filter(has_text=name).first.get_by_role("gridcell").nth(2).dblclick()

    ask(lab, "tags.deployment = chat and name = answer")
    expect(rows(lab)).to_have_count(1)
    opened("answer")
    expect(tree.get_by_role("row")).to_have_count(4)
    call = tree.get_by_role("row", name=re.compile("^chat chat"))
    expect(call).to_have_attribute("aria-level", "3")
    expect(trace.locator(".gol-TracePane-head")).to_contain_text("12 tokens")
    call.click()
    turns = trace.get_by_role("list", name="Messages")
    expect(turns).to_contain_text("Answer to The office opens at nine.")
    lab.looks("trace-of-an-application", ".gol-Traces")
    trace.get_by_role("button", name="Close the trace").click()

    # The other application's trace is in another experiment: the deployment's leads to it, and both are one tree.
    ask(lab, "tags.deployment = chat and name = 'chat chat'")
    expect(rows(lab)).to_have_count(1)
    opened("chat chat")
    expect(tree.get_by_role("row")).to_have_count(1)
    Keyboard(lab.page).choose(trace.get_by_role("button", name="Open trace of the application"))
    expect(tree.get_by_role("row")).to_have_count(3)
    expect(call).to_have_attribute("aria-level", "2")
    call.click()
    expect(turns).to_contain_text("Answer to The office opens at nine.")
    lab.looks("trace-of-another-experiment", ".gol-Traces", daily=False)
    trace.get_by_role("button", name="Close the trace").click()
    chat.remove()


def test_a_query_goes_by_the_clock_of_the_browser(lab: LabPage) -> None:
    """The reader's clock is 14 hours ahead of UTC, further than that of any machine of a Lab."""
    open_page(lab)
    ask(lab, "")
    expect(rows(lab)).not_to_have_count(0)
    at = datetime.now(timezone.utc) + timedelta(hours=13, minutes=30)
    query = f"start_time > '{at:%Y-%m-%d %H:%M}'"
    ask(lab, query)
    expect(rows(lab)).to_have_count(0)
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Kiritimati"})
    try:
        ask(lab, f"{query} ")
        expect(rows(lab)).not_to_have_count(0)
        ask(lab, "")
    finally:
        session.send("Emulation.setTimezoneOverride", {"timezoneId": ""})
        session.detach()
