"""Conversations and agents, asked of a real HTTP server: turns of a user, mocked tools, pictures and PDFs."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.asking_models import wanted_of
from genops_lab.genai.evaluations.evaluation_file import EvaluationFileError, read_evaluation
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.results_folder import find_folder
from genops_lab.genai.evaluations.spans import spans_of
from genops_lab.genai.evaluations.traces import AnswerTrace
from genops_lab.genai.scorers.base import CannotScore
from genops_lab.genai.scorers.sandbox.sandbox import chosen

from .answering import Answering, Evaluating, answer, questions


def body_of(content: str | None, *calls: tuple[str, Any]) -> bytes:
    """Return an answer that calls tools."""
    made = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for at, (name, arguments) in enumerate(calls)
    ]
    return answer("", message={"role": "assistant", "content": content, "tool_calls": made})


def calls_of(evaluating: Evaluating) -> dict[Any, Any]:
    return read(evaluating.folder / "answers" / evaluating.id / "calls.jsonl")


def test_the_turns_of_a_row_follow_each_other_and_kill_9_asks_for_no_turn_twice(tmp_path: Path) -> None:
    rows = [
        {
            "q": f"Question {at}",
            "before": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
            "next": ["and then?", {"role": "assistant", "content": "a reference"}, {"role": "user", "content": "last"}],
            "expected": "4 turns of mine",
        }
        for at in range(6)
    ]  # fmt: skip

    def reply(number: int, _text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        mine = sum(each["role"] == "user" for each in stub.bodies[number]["messages"])
        return 200, f"{mine} turns of mine", 5.0 if number in slow else 0.0

    stub, slow = Answering(reply), range(8, 12)
    with stub.serving() as url:
        more = {"conversation": {"history": "before", "turns": "next"}, "settings": {"max_tokens": 8}}
        evaluating = Evaluating(tmp_path, url, rows, model={"limits": {"at_once": 4}}, **more)
        code = (
            "import sys, msgspec; from genops_lab.genai.evaluations.process import AnswersProcess as P;"
            "from genops_lab.genai.endpoints.endpoint import Endpoint as E;"
            "P(sys.argv[1]).ask(sys.argv[2], msgspec.json.decode(sys.stdin.read(), type=list[E]))"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "answers"), evaluating.id]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(evaluating.endpoints))
            process.stdin.close()
            deadline = time.monotonic() + 60
            while len(stub.said) < 12 and time.monotonic() < deadline:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
        slow = range(0)
        found = evaluating.ask().models[0]
    assert (found.answered, found.repeated, len(stub.said)) == (6, 4, 6 * 3 + 4)
    assert found.spent.total == 6 * 3 * 13 + found.repeated_tokens
    call = calls_of(evaluating)["a", "3", 0]
    assert [each["content"] for each in stub.bodies[0]["messages"]] == ["Question 0", "Hello", "Hi"]
    assert [step.message["content"] for step in call.steps] == [
        "2 turns of mine", "and then?", "3 turns of mine", "last", "4 turns of mine"
    ]  # fmt: skip
    evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and report.scored[0].mean.value == 1.0


def test_a_model_plays_the_user_until_it_has_what_it_wants(tmp_path: Path) -> None:
    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        body = stub.bodies[number]
        if body["model"] == "customer":
            assert body["messages"][0]["content"] == "You want Question 1." or "Question 0" in str(body)
            return 200, "[END] thanks" if "second" in text else "More, please.", 0.0
        turns = sum(each["role"] == "assistant" for each in body["messages"])
        return 200, ["first", "second", "third"][turns], 0.0

    stub = Answering(reply)
    with stub.serving() as url:
        user = {"model": "c", "prompt": "You want {{q}}."}
        judges = {"c": {"url": url, "model": "customer", "price": {"input": 1e6, "output": 0.0}}}
        evaluating = Evaluating(
            tmp_path, url, questions(2), prompt="", conversation={"user": user}, judges=judges
        )
        others = [Endpoint(name="c", url=url, model="customer")]
        state = evaluating.process.ask(evaluating.id, evaluating.endpoints, others)
    found = state.models[0]
    assert (found.answered, found.spent.total) == (2, 2 * 2 * 13)
    assert state.notes == ["The user, c, used 78 tokens, 60 USD."]
    call = calls_of(evaluating)["a", "2", 0]
    assert [(step.kind, step.message["content"]) for step in call.steps] == [
        ("user", "More, please."), ("model", "first"), ("user", "More, please."), ("model", "second")
    ]  # fmt: skip


def test_an_agent_calls_tools_of_row_table_and_function_and_its_steps_are_spans(tmp_path: Path) -> None:
    try:
        chosen()
    except CannotScore as error:
        pytest.skip(f"no sandbox works here: {error.message}")
    (tmp_path / "prices.csv").write_text("item,answer\ntea,3\nmilk,2\n")
    (tmp_path / "shop.py").write_text(
        "def order(arguments, row, calls):\n"
        "    print('not the answer')\n"
        "    return {'n': len(calls), 'item': arguments['item'], 'for': row['q']}\n"
    )
    schema = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
    tools = [
        {"name": "price", "parameters": schema, "table": "prices.csv"},
        {"name": "order", "parameters": schema, "function": "shop.py:order"},
        {"name": "stock", "column": "stock"},
    ]
    stock = [{"arguments": {"item": "tea"}, "answer": 7}]
    expected = [
        {"name": "stock", "arguments": {"item": "Tea"}},
        {"name": "price", "arguments": {"item": "tea"}},
    ]
    rows = [{"q": "Buy tea", "stock": stock, "calls": expected}, {"q": "Loop", "stock": stock, "calls": []}]

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        messages = stub.bodies[number]["messages"]
        if messages[0]["content"] == "Loop":
            return 200, body_of(None, ("nothing", {})), 0.0
        told = [each["content"] for each in messages if each["role"] == "tool"]
        if len(told) < 2:
            return 200, body_of(None, ("stock", {"item": "Tea"}), ("price", {"item": "tea"})), 0.0
        if len(told) < 4:
            return 200, body_of("Now.", ("order", {"item": "tea"}), ("price", {})), 0.0
        return 200, " ".join(told), 0.0

    stub = Answering(reply)
    with stub.serving() as url:
        scorer = {"scorer": "tool_calls", "expected": "calls", "more": True}
        evaluating = Evaluating(
            tmp_path, url, rows, tools=tools, scorers=[scorer], conversation={"most_steps": 3}
        )
        (tmp_path / "prices.csv").write_text("item,answer\ntea,99\n")  # copied when the evaluation began
        assert evaluating.ask().models[0].answered == 2
    assert [each["function"]["name"] for each in stub.bodies[0]["tools"]] == ["price", "order", "stock"]
    calls = calls_of(evaluating)
    told = calls["a", "1", 0].answer.text
    assert told.startswith(
        '7 3 {"n": 2, "item": "tea", "for": "Buy tea"} {"error": "The arguments do not keep'
    )
    loop = calls["a", "2", 0]
    assert loop.answer.finish_reason == "most_steps" and len(loop.answer.tool_calls) == 3
    assert loop.steps[1].message["content"] == (
        '{"error": "There is no tool \'nothing\'. There are: price, order, stock."}'
    )
    evaluating.process.score(evaluating.id, [])
    folder = find_folder(tmp_path / "answers", evaluating.id)
    assert {key[1]: each.value for key, each in folder.scores("tool_calls").items()} == {"1": 1.0, "2": 1.0}
    file = read_evaluation(folder.text())
    wanted = wanted_of(file, folder.rows(), "a")[0]
    spans = spans_of(AnswerTrace("e", "n", wanted, calls["a", "1", 0], [], {}))
    kinds = [json.loads(each["attributes"]["mlflow.spanType"]) for each in spans]
    assert kinds == ["AGENT", "CHAT_MODEL", "TOOL", "TOOL", "CHAT_MODEL", "TOOL", "TOOL", "CHAT_MODEL"]
    assert spans[2]["parent_span_id"] == spans[0]["span_id"]
    assert json.loads(spans[2]["attributes"]["mlflow.spanInputs"]) == {"item": "Tea"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompt": ""}, "there is no prompt"),
        ({"conversation": {"user": {"model": "x", "prompt": "y"}}}, "the user is 'x', which is not below judges"),
        ({"tools": [{"name": "t", "column": "a"}] * 2}, "another tool has the name 't'"),
        ({"tools": [{"name": "t"}]}, "a tool has one of column, table and function"),
    ],
)  # fmt: skip
def test_errors_of_conversations_name_line_and_column(more: dict[str, Any], said: str) -> None:
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "x"}, "data": "x.csv", "prompt": "q",
        "models": {"a": {"url": "http://x/v1", "model": "m"}}, "scorers": [{"scorer": "exact"}], **more,
    }  # fmt: skip
    with pytest.raises(EvaluationFileError, match="line 1, column"):
        read_evaluation(json.dumps(file))
    with pytest.raises(EvaluationFileError) as found:
        read_evaluation(json.dumps(file))
    assert said in found.value.message


def test_a_tool_reads_no_file_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.csv").write_text("answer\n1\n")
    for table, error in [("../out.csv", InvalidRequest), ("gone.csv", NotFound)]:
        with pytest.raises(error):
            Evaluating(tmp_path / "in", "http://x/v1", questions(1), tools=[{"name": "t", "table": table}])


#: A picture of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def pdf_of(text: str) -> bytes:
    """Return a PDF of one page with a text."""
    drawn = f"BT /F 12 Tf 10 20 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 50]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    found, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(found))
        found += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 6\n0000000000 65535 f \n{table}trailer<</Root 1 0 R/Size 6>>\nstartxref\n{len(found)}\n%%EOF\n"
    return (found + end).encode()


PDF = pdf_of("Lima is big")


def test_pictures_and_pdfs_go_with_the_call_and_budgets_know_them(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    (tmp_path / "paper.pdf").write_bytes(PDF)
    url_of = "data:image/png;base64," + base64.b64encode(PNG).decode()
    rows = [{"q": "See 0", "at": "one.png"}, {"q": "See 1", "at": url_of}, {"q": "See 2", "at": ""}]
    rows.append({"q": "See 3", "at": "paper.pdf"})
    prompt = [{"role": "user", "content": "{{q}}", "attach": ["at"]}]
    stub = Answering(lambda number, text, headers: (200, "yes", 0.0))
    with stub.serving() as url:
        model = {"limits": {"tokens": 5400, "at_once": 1}}
        more = {"prompt": prompt, "pdf": "file", "settings": {"max_tokens": 5}}
        evaluating = Evaluating(tmp_path, url, rows, model=model, **more)
        (tmp_path / "one.png").write_bytes(b"changed")
        found = evaluating.ask().models[0]
        assert found.answered == 4 and not found.stopped
        small = {"limits": {"tokens": 4000, "at_once": 1}}
        (tmp_path / "one.png").write_bytes(PNG)
        stopped = Evaluating(tmp_path, url, rows, model=small, **more).ask().models[0]
        assert stopped.answered == 0 and "budget of 4,000 tokens" in stopped.stopped
    first, second, third, last = [body["messages"][0]["content"] for body in stub.bodies[:4]]
    assert first == [{"type": "text", "text": "See 0"}, {"type": "image_url", "image_url": {"url": url_of}}]
    assert second[1:] == first[1:] and third == "See 2"
    assert base64.b64decode(last[1]["file"]["file_data"].partition(",")[2]) == PDF
    folder = find_folder(tmp_path / "answers", evaluating.id)
    assert len(list(folder.attachments.iterdir())) == 2 and folder.state().digest != ""
    assert url_of[30:] not in folder.calls.read_text() + (folder.path / "rows.jsonl").read_text()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("../out.png", "outside the folder of the rows"),
        ("gone.png", "there is no file"),
        ("text.png", "neither a picture nor a PDF"),
        ("big.png", "has 10,000,001 bytes"),
        ("data:image/png;base64,???", "no base64"),
        ("paper.pdf", "pypdf" if importlib.util.find_spec("pypdf") is None else ""),
    ],
)
def test_a_file_that_cannot_be_attached_begins_nothing(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "out.png").write_bytes(PNG)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "text.png").write_text("text")
    (folder / "paper.pdf").write_bytes(PDF)
    with (folder / "big.png").open("wb") as file:
        file.truncate(10_000_001)
    prompt = [{"role": "user", "content": "?", "attach": ["at"]}]
    try:
        evaluating = Evaluating(folder, "http://x/v1", [{"at": value}], prompt=prompt)
    except (InvalidRequest, NotFound) as error:
        assert said and said in error.message
        assert not list((folder / "answers").iterdir())
    else:  # pypdf is installed
        assert not said
        found = find_folder(folder / "answers", evaluating.id)
        assert found.rows()["1"]["at"] == "Lima is big"
