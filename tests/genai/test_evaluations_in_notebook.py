"""``%%evaluate`` and ``genops.evaluate`` in a kernel of a real Lab, which asks a real HTTP server."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.homes import temporary_home
from tests.support.kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually

from .answering import Answering

CELL = """prompt: "{{{{q}}}}"
models:
  a: {{url: "{url}", model: stub, settings: {{seed: 1}}, limits: {{at_once: {at_once}}}}}
  b: {{url: "{url}", model: stub, settings: {{seed: 2}}}}
scorers: [{{scorer: exact}}]
tries: 1
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabServer]:
    with temporary_home() as home, running_lab(home) as found:
        yield found


@pytest.fixture(scope="module")
def kernel(lab: LabServer) -> Iterator[LabKernel]:
    with lab_kernel(lab, "python3") as found:
        found.ok(
            "%load_ext genops_lab\nrows = [{'q': f'Question {at}', 'expected': str(at)} for at in range(12)]"
        )
        yield found


def wrong_by_b(stub: Answering) -> Any:
    """Fail on Question 4; be wrong on Question 7 as model b."""

    def reply(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if text == "Question 4":
            return 500, b"{}", 0.0
        is_b = stub.bodies[-1]["seed"] == 2
        return 200, "no" if is_b and text == "Question 7" else text.split()[-1], 0.0

    return reply


def test_a_cell_shows_scores_with_intervals_and_counts_failures(lab: LabServer, kernel: LabKernel) -> None:
    stub = Answering(lambda *_: (200, "", 0.0))
    stub.reply = wrong_by_b(stub)
    with stub.serving() as url:
        text = CELL.format(url=url, at_once=8)
        cell = kernel.ok(f"%%evaluate rows --name numbers\n{text}")
        card = cell.of("execute_result")[0]["data"]["text/html"]
        found = kernel.ok(
            "import genops, pandas, json\n"
            f"_file = dict(prompt='{{{{q}}}}', models=dict(a=dict(url={url!r}, model='stub', settings=dict(seed=1))),\n"
            "             scorers=[dict(scorer='exact')], tries=1)\n"
            "_found = genops.evaluate(_file, pandas.DataFrame(rows).head(3), name='first three')\n"
            "print(json.dumps(_found.data))"
        )
        assert len(stub.said) == 2 * 12 + 3
    assert "Evaluation numbers" in card and card.count('role="img"') == 3
    assert "b less a" in card and "-0.091" in card
    kept = lab.get("genops/v1/answer-evaluations")["items"][-1]["id"]
    sentences = lab.get(f"genops/v1/answer-evaluations/{kept}")["report"]["sentences"]
    assert sentences and all(html.escape(each) in card for each in sentences)
    assert (
        card.count("That counts as neither right nor wrong") == 2
        and "%genops evaluate resume numbers-" in card
    )
    assert 'data-commandlinker-command="genops:open-evaluations"' in card and "<script" not in card
    (line,) = [each for each in found.stream("stdout").splitlines() if each.startswith("{")]
    evaluation = json.loads(line)["evaluation"]
    assert (evaluation["data"], evaluation["rows"], evaluation["stage"]) == ("first three", 3, "done")
    shown = lab.get(f"genops/v1/answer-evaluations/{evaluation['id']}")
    assert shown["report"]["scored"][0]["mean"]["value"] == 1.0


def test_rows_of_a_cell_lose_secrets_before_they_leave_the_kernel(lab: LabServer, kernel: LabKernel) -> None:
    secret = "ghp_" + "a1B2" * 9
    stub = Answering(lambda *_: (200, "fine", 0.0))
    with stub.serving() as url:
        kernel.ok(
            "%genops redaction set secrets\n"
            "import genops, pandas\n"
            f"_rows = [{{'q': 'My key is {secret}'}}]\n"
            f"_file = dict(prompt='{{{{q}}}}', models=dict(a=dict(url={url!r}, model='stub')),\n"
            "             scorers=[dict(scorer='regex', pattern='fine')], tries=1)\n"
            "genops.evaluate(_file, _rows, name='dicts')\n"
            "genops.evaluate(_file, pandas.DataFrame(_rows), name='frame')\n"
            "%genops redaction set off"
        )
    assert len(stub.said) == 2 and all(re.fullmatch(r"My key is \[.* 1\]", each) for each in stub.said), (
        stub.said
    )
    results = lab.get("genops/v1/answer-evaluations")["items"][:2]
    assert {each["data"] for each in results} == {"dicts", "frame"}
    for each in results:
        shown = lab.get(f"genops/v1/answer-evaluations/{each['id']}/rows")
        assert "My key is [" in str(shown) and secret not in str(shown)


def test_a_stopped_cell_keeps_its_answers_and_says_how_to_go_on(lab: LabServer, kernel: LabKernel) -> None:
    stub = Answering(lambda number, text, headers: (200, None if number >= 4 else text.split()[-1], 0.0))
    with stub.serving() as url:
        text = CELL.format(url=url, at_once=1)
        for option, state in (("", "cancelled"), ("--keep-running", "running")):
            stub.said.clear()
            running = kernel.send(f"%%evaluate rows {option}\n{text}")
            eventually(lambda: len(stub.said), lambda count: count >= 4)
            eventually(lambda: lab.get("genops/v1/tasks")[0]["state"], lambda found: found == "running")
            kernel.interrupt()
            cell = kernel.finish(running)
            assert cell.reply["ename"] == "KeyboardInterrupt"
            said = json.dumps(cell.messages)
            (id,) = set(re.findall(r"evaluate (?:resume|show) (rows-[0-9a-f]{8})", said))
            task = lab.get("genops/v1/tasks")[0]
            assert (task["state"], task["subject"]) == (state, f"answers:{id}")
            assert ("goes on in the Lab" if option else "is cancelled. The answers so far are kept.") in said
        lab.request("POST", f"genops/v1/tasks/{task['id']}/cancel")
        stub.reply = lambda number, text, headers: (200, text.split()[-1], 0.0)
        stub.said.clear()
        kernel.ok(f"%genops evaluate resume {id}")
    # Up to one answer a model was in flight.
    assert 24 - 4 - 9 <= len(stub.said) <= 24 - 3
    assert lab.get(f"genops/v1/answer-evaluations/{id}")["report"]["scored"][0]["answers"] == 12


def test_what_is_wrong_is_said_by_name_and_line(kernel: LabKernel) -> None:
    for code, message in (
        ("%%evaluate nothing\nprompt: x", "There is no variable 'nothing'."),
        ("%%evaluate rows\nprompt: x\nmodels: {a: {url: 'http://x'}}\nscorers: [{scorer: exact}]",
         "cell, line 2, column 13: the model 'a' must have one of"),
        ("%%evaluate\nprompt: x\nmodels: {a: {url: 'http://x', model: m}}\nscorers: [{scorer: exact}]",
         "cell has no data."),
        ("%%evaluate --on nowhere\nprompt: x\nmodels: {a: {url: 'http://x', model: m}}\nscorers: [{scorer: exact}]\n"
         "data: /nothing.csv", "nowhere"),
        ("_wrong = ['a']\n", ""),
        ("%%evaluate _wrong\nprompt: x", "_wrong has a str where a row must be a dict."),
    ):  # fmt: skip
        cell = kernel.run(code)
        assert message in str(cell.reply.get("evalue", "")) + str(cell.reply.get("traceback", "")), cell.reply
