"""Evaluations whose endpoint goes away, whose model changes, whose disk is full, whose notebook and Lab end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Failed, Unavailable
from genops_lab.genai.evaluations import asking
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.records import AnswerRecords
from genops_lab.genai.evaluations.results_folder import find_folder
from genops_lab.genai.evaluations.waits import kept_waits
from tests.support.homes import temporary_home
from tests.support.kernels import LabKernel
from tests.support.lab_server import LabServer, free_port, running_lab, start_lab
from tests.support.quota import fill, small_disk
from tests.support.rooms import eventually

from .answering import Answering, Evaluating, answer, questions

CELL = """%%evaluate rows --name outlives {option}
prompt: "{{{{q}}}}"
models: {{a: {{url: "{url}", model: stub, limits: {{at_once: 2}}}}}}
scorers: [{{scorer: exact}}]
"""


def right(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
    return 200, text.split()[-1], 0.0


@pytest.mark.parametrize("status", [502, 503])
def test_an_endpoint_that_comes_back_is_waited_for_whatever_the_tries(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes of a proxy without a model behind it, scaled: more calls fail than ``tries`` allows."""
    monkeypatch.setattr(asking, "_SILENT_S", 0.0)
    away = {"left": 25}
    told = set()

    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        if number >= 20 and away["left"]:
            away["left"] -= 1
            told.add(kept_waits(find_folder(tmp_path / "answers", evaluating.id).path))
            return status, b"{}", 0.0
        return right(number, text, headers)

    stub = Answering(reply)
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(60), tries=1)
        found = evaluating.ask().models[0]
    assert (found.answered, found.failed, found.stopped, away["left"]) == (60, 0, "", 0)
    assert len(stub.said) == 60 + 25
    # Meanwhile people read which endpoint is waited for, and why.
    assert any(each.startswith(f"a is asked again until it answers: HTTP {status}") for each in told), told
    assert kept_waits(find_folder(tmp_path / "answers", evaluating.id).path) == ""


def test_a_call_that_alone_finds_nobody_fails_and_holds_up_no_other(tmp_path: Path) -> None:
    stub = Answering(
        lambda number, text, headers: (503, b"{}", 0.0) if text == "Question 3" else right(0, text, {})
    )
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(30), tries=2)
        found = evaluating.ask().models[0]
    assert (found.answered, found.failures, found.stopped) == (29, {"away": 1}, "")


def test_an_endpoint_that_asks_to_wait_longer_than_the_patience_is_left_at_once(tmp_path: Path) -> None:
    class Limited(Answering):
        retry_after = "86400"

    stub = Limited(lambda number, text, headers: (429, b"{}", 0.0) if number >= 10 else right(0, text, {}))
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(30))
        found = evaluating.ask().models[0]
    assert found.answered == 10
    assert "asks to wait for 86,400 s, and patience_s is 900" in found.stopped


def test_calls_that_may_have_been_paid_for_count_in_full_and_pass_no_budget(tmp_path: Path) -> None:
    """The endpoint writes every answer, and loses every third one on its way: the client cannot know."""
    written = {"tokens": 0}

    def reply(number: int, _text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        written["tokens"] += 10 + 20
        body = answer("x", tokens=20)
        return 200, body[: len(body) // 2] if number % 3 == 0 else body, 0.01

    stub = Answering(reply)
    with stub.serving() as url:
        limits = {"tokens": 3_000, "at_once": 8}
        evaluating = Evaluating(
            tmp_path, url, questions(300), model={"limits": limits}, settings={"max_tokens": 20}, tries=2
        )
        for _ in range(3):
            found = evaluating.ask().models[0]
            assert "budget of 3,000 tokens" in found.stopped
            assert written["tokens"] <= found.spent.total <= 3_000
    assert found.unanswered_tokens > 0 and found.answered > 10
    assert found.spent.total == 30 * found.answered + found.unanswered_tokens


_HALF = "\\ud83d"  # of an emoji that was cut


@pytest.mark.parametrize("talks", [False, True], ids=["one turn", "two turns"])
@pytest.mark.parametrize(
    ("message", "more", "kept"),
    [
        (f'"content": "cut {_HALF}"', "", "cut ?"),
        ('"content": "x"', f'"system_fingerprint": "{_HALF}"', "x"),
        ('"content": "x", "tool_calls": [null]', "", None),
        ('"content": "x", "tool_calls": ["look"]', "", None),
        ('"content": "x"', '"usage": {"prompt_tokens": 1e999, "completion_tokens": 1}', "x"),
        ('"content": "x"', '"usage": {"prompt_tokens": null, "completion_tokens": null}', "x"),
        ('"content": "x"', '"usage": {"prompt_tokens": -3, "completion_tokens": 1' + "0" * 400 + "}", "x"),
        ('"content": ' + "[" * 50_000, "", None),
    ],
    ids=["half text", "half name", "no call", "text call", "infinite", "null tokens", "huge tokens", "deep"],
)  # fmt: skip
def test_a_strange_answer_ends_no_evaluation(
    tmp_path: Path, message: str, more: str, kept: str | None, talks: bool
) -> None:
    """The answer is kept or counts as malformed; the others are there, and the journal can be read again."""
    strange = '{"choices": [{"message": {' + message + "}}]" + (f", {more}" if more else "") + "}"
    stub = Answering(
        lambda number, text, headers: (200, strange.encode() if text == "Question 1" else "fine", 0.0)
    )
    rows = [{**row, "next": ["and?"]} for row in questions(4)]
    conversation = {"conversation": {"turns": "next"}} if talks else {}
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, rows, tries=1, settings={"max_tokens": 9}, **conversation)
        evaluating.ask()
        asked = len(stub.said)
        found = evaluating.ask().models[0]
        evaluating.process.score(evaluating.id, [])
    assert (found.answered, found.failures) == ((4, {}) if kept else (3, {"malformed": 1}))
    calls = read(evaluating.folder / "answers" / evaluating.id / "calls.jsonl")
    if kept and not talks:
        answered = calls["a", "2", 0].answer
        assert answered is not None and answered.text == kept
        assert not answered.usage.known and found.spent.total > 3 * 13 + 9  # it costs all that was reserved
    assert len(stub.said) == asked + (not kept)


def test_a_model_that_changes_without_a_word_is_noticed_by_its_answers(tmp_path: Path) -> None:
    stub = Answering(right)

    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        if not text.startswith("Question"):  # the endpoint returns one name, and no fingerprint
            return 200, f"{text} {'new' if number > 12 else 'old'}", 0.0
        return right(number, text, headers)

    stub.reply = reply
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(10), check_models=True)
        state = evaluating.ask()
        assert (state.models[0].answered, len(stub.said)) == (10, 10 + 2 * 5)
        said = [each for each in state.notes if each.startswith("a is another model than at the beginning.")]
        assert len(said) == 1 and "it was" in said[0]
        quiet = Evaluating(tmp_path, url, questions(10), name="quiet")
        assert not any("another model" in each for each in quiet.ask().notes)


def test_a_disk_that_is_really_full_loses_no_answer(tmp_path: Path) -> None:
    stub = Answering(right)
    with stub.serving() as url, small_disk(tmp_path / "answers", "256k") as disk:
        evaluating = Evaluating(tmp_path, url, questions(400))
        fill(disk)
        with (disk / "filler").open("rb+") as filler:
            filler.truncate(filler.seek(0, os.SEEK_END) - 64 * 1024)
        with pytest.raises(Failed, match="cannot be written: No space left on device") as failed:
            evaluating.ask()
        assert f"resume {evaluating.id}" in failed.value.hint
        kept = len(read(disk / evaluating.id / "calls.jsonl"))
        assert 0 < kept < 400
        fill(disk)  # and now even a state cannot be kept
        with pytest.raises(Failed, match="No space left"):
            evaluating.process.score(evaluating.id, [])
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True, timeout=60)
        assert evaluating.ask().models[0].answered == 400
        evaluating.process.score(evaluating.id, [])
        report = find_folder(disk, evaluating.id).report()
        assert report is not None and report.scored[0].mean.value == 1.0
        assert len(stub.said) <= 400 + 8  # at most those in flight
        with pytest.raises(Failed, match="No space left"):  # a new one begins whole or not at all
            fill(disk)
            evaluating.process.begin(NewAnswerEvaluation(text=evaluating.text, folder=str(tmp_path)))
        assert [each.name for each in disk.iterdir() if each.is_dir()] == [evaluating.id]


def test_an_evaluation_outlives_its_notebook_and_its_lab(tmp_path: Path) -> None:
    """A shutdown of the kernel stops its cell; with --keep-running the evaluation goes on, in another Lab too."""
    slow = Answering(lambda number, text, headers: (200, None if number >= 6 else text.split()[-1], 0.0))
    with slow.serving() as url, temporary_home() as home:
        with running_lab(home) as lab:
            for option, state in (("", "cancelled"), ("--keep-running", "running")):
                slow.said.clear()
                _shut_down_meanwhile(lab, CELL.format(option=option, url=url), slow)
                (task,) = [each for each in lab.get("genops/v1/tasks") if each["state"] == state]
                kept = task["subject"].removeprefix("answers:")
                found = lab.get(f"genops/v1/answer-evaluations/{kept}")["evaluation"]
                assert found["models"][0]["answered"] == 6
            os.kill(lab.process.pid, signal.SIGKILL)
            lab.process.wait(30)
        slow.reply = right
        again = start_lab(home)
        try:
            shown = eventually(
                lambda: again.get(f"genops/v1/answer-evaluations/{kept}"),
                lambda found: found["evaluation"]["stage"] == "done",
            )
        finally:
            again.stop()
    model = shown["evaluation"]["models"][0]
    assert (model["answered"], model["repeated"]) == (20, 2)
    assert len(slow.said) == 20 + 2 and shown["report"]["scored"][0]["mean"]["value"] == 1.0


def _shut_down_meanwhile(lab: LabServer, cell: str, slow: Answering) -> None:
    """Run a cell, and shut its notebook down with the kernel while the endpoint hangs."""
    body = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    status, session = lab.request("POST", "api/sessions", body, timeout=90)
    assert status == 201, session
    kernel = LabKernel(lab, session)
    kernel.ok(f"%load_ext genops_lab\nrows = {questions(20)!r}")
    kernel.send(cell)
    eventually(lambda: len(slow.said), lambda count: count >= 8)
    eventually(lambda: lab.get("genops/v1/tasks")[0]["progress"], lambda found: found == 6 / 20)
    kernel.close()
    eventually(lambda: lab.get("api/kernels"), lambda found: not found)


def test_an_evaluation_that_mlflow_does_not_take_is_kept_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint was that GenOps Lab tries again by itself, which no task of an evaluation does."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with Answering(right).serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(3))
        evaluating.ask()
        evaluating.process.score(evaluating.id, [])
    folder = find_folder(tmp_path / "answers", evaluating.id)
    with pytest.raises(Unavailable, match="could not be written into MLflow") as caught:
        AnswerRecords(f"http://127.0.0.1:{free_port()}").record(str(folder.path))
    assert "by itself" not in caught.value.hint
    assert caught.value.hint.endswith(f"are kept. Then: genops evaluate resume {evaluating.id}")
    assert folder.state().stage == "recording" and folder.report() is not None
