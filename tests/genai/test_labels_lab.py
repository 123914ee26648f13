"""The commands of labels as a user runs them, beside a running Lab: labels, failures, and the report with them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.warm import program

from .answering import Answering, answer, questions

ROWS = 6
NOTES = ["wrong unit", "the unit is missing", "rude"]


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    with running_lab(module_home) as found:
        yield found


def genops(server: LabServer, *arguments: str, ends: int = 0) -> str:
    """Run a command, and return what it prints; of one that fails, what it says about that."""
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments],
        cwd=server.home.work, env=server.home.environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stderr if ends else done.stdout


def said(server: LabServer, *arguments: str) -> Any:
    return json.loads(genops(server, *arguments, "--json"))


def reply(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
    """Answer half of the questions right; group the first two notes."""
    if "<notes>" in text:
        groups = [{"name": "no unit", "description": "The unit is missing or wrong.", "notes": [1, 2, 50]}]
        return 200, answer(json.dumps({"groups": groups})), 0.0
    number = int(text.split()[-1])
    return 200, answer(str(number) if number % 2 else "no"), 0.0


def evaluation(folder: Path, url: str) -> Path:
    rows = "".join(json.dumps(row) + "\n" for row in questions(ROWS))
    (folder / "rows.jsonl").write_text(rows)
    file = folder / "evaluation.yaml"
    content = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "labels-lab"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "scorers": [{"scorer": "exact"}], "models": {"a": {"url": url, "model": "stub"}},
    }  # fmt: skip
    file.write_text(json.dumps(content))
    return file


def label(server: LabServer, queue: str, labels: list[str]) -> None:
    items = server.get(f"genops/v1/label-queues/{queue}/items")["items"]
    assert len(items) >= len(labels)
    for item, each in zip(items, labels, strict=False):
        path = f"genops/v1/label-queues/{queue}/items/{item['trace_id']}"
        assert server.request("PUT", path, {"label": each})[0] == 200


def test_the_commands(server: LabServer, tmp_path: Path) -> None:
    with Answering(reply).serving() as url:
        result = said(server, "evaluate", str(evaluation(tmp_path, url)))["evaluation"]["id"]
        queue = labels(server, result)
        genops(server, "labels", "delete", queue, ends=4)
        assert said(server, "labels", "delete", queue, "--yes") == {"deleted": queue}
        failures(server, result, url)


def labels(server: LabServer, result: str) -> str:
    """Begin, label, and update the report of the evaluation."""
    made = said(server, "labels", "begin", result, "--sample", "4", "--choice", "bad", "--choice", "good")
    assert (made["items"], made["question"]["choices"]) == (4, ["bad", "good"])
    assert "being labelled" in genops(
        server, "labels", "begin", result, "--choice", "bad", "--choice", "good", ends=4
    )
    assert "lacks these labels" not in genops(server, "labels", "show", made["name"])  # there are none yet
    label(server, made["id"], ["good", "bad", "good", "bad"])
    assert [each["labelled"] for each in said(server, "labels", "list")] == [4]
    shown = genops(server, "labels", "show", made["name"])
    assert "4 of 4" in shown and f"genops evaluate score {result}" in shown
    genops(server, "evaluate", "score", result)
    assert "lacks these labels" not in genops(server, "labels", "show", made["name"])
    assert "disagree on no further answer" in genops(server, "labels", "add", made["name"], ends=2)
    return str(made["name"])


def failures(server: LabServer, result: str, url: str) -> None:
    """Note failures, let words and a model suggest groups, and make a scorer and a data set of one."""
    made = said(server, "labels", "begin", result, "--failures", "exact")
    queue = made["name"]
    assert made["items"] == ROWS / 2
    label(server, made["id"], NOTES)
    (group,) = said(server, "labels", "failures", queue)["suggested"]
    assert (group["words"], len(group["trace_ids"])) == (["unit"], 2)

    body = {"name": "helper", "url": url, "model": "stub", "price": {"input": 1, "output": 2}}
    assert server.request("POST", "genops/v1/endpoints", body)[0] == 200
    refused = genops(server, "labels", "failures", queue, "--model", "helper", ends=4)
    assert "One call to helper: at most" in refused and "--yes" in refused
    (asked,) = said(server, "labels", "failures", queue, "--model", "helper", "--yes")["suggested"]
    assert (asked["name"], len(asked["trace_ids"])) == ("no unit", 2)
    assert said(server, "labels", "failures", queue)["modes"] == []  # a suggestion changes nothing

    named = ("--name", "wrong unit", "--group", "1", "--description", "The unit is wrong.")
    assert "no suggested group 7" in genops(
        server, "labels", "failures", queue, "--name", "x", "--group", "7", ends=2
    )
    assert "2 of 3" in genops(server, "labels", "failures", queue, *named)
    rude = next(
        each["trace_id"]
        for each in said(server, "labels", "failures", queue)["answers"]
        if each["note"] == "rude"
    )
    found = said(server, "labels", "failures", queue, "--name", "rude", "--answer", rude)
    assert {each["name"]: len(each["trace_ids"]) for each in found["modes"]} == {"wrong unit": 2, "rude": 1}

    assert "the unit is missing" in genops(server, "labels", "failures", queue, "wrong unit")
    assert "no failure mode 'x'" in genops(server, "labels", "failures", queue, "x", ends=3)
    rubric = genops(server, "labels", "failures", queue, "--rubric", "wrong unit")
    assert rubric.startswith("scorers:\n- scorer: rubric\n") and "The unit is wrong." in rubric
    assert "needs a failure mode" in genops(server, "labels", "failures", queue, "--dataset", "d", ends=2)
    rows = genops(server, "labels", "failures", queue, "wrong unit", "--dataset", "units")
    assert "'units' has 2 new and 0 updated rows" in rows
