"""Evaluations of answers on good and bad days, asked in this process of a real HTTP server."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.commands.answer_evaluations import _new
from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.core.worker import Worker
from genops_lab.core.worker_child import LENGTH, Call
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.evaluations.evaluation_file import EvaluationFileError, read_evaluation
from genops_lab.genai.evaluations.gate_evidence import evidence_of
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import AnswersQuery, ExamplesQuery, NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.process import AnswersProcess
from genops_lab.genai.evaluations.results_folder import find_folder

from .answering import Answering, Evaluating, answer, questions


def right(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
    return 200, text.split()[-1], 0.0


def calls_of(evaluating: Evaluating) -> Any:
    return read(evaluating.folder / "answers" / evaluating.id / "calls.jsonl")


def test_scores_are_a_stage_of_their_own_and_pay_for_no_answer(tmp_path: Path) -> None:
    def reply(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        is_exact = text == "Question 0" and stub.bodies[-1]["seed"] == 7
        return 200, "0" if is_exact else f"It is {text.split()[-1]}", 0.0

    stub = Answering(reply)
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(20), repeats=2, seed=7)
        asked = evaluating.ask().models[0]
        assert (asked.answered, asked.failed, asked.spent.total, asked.money) == (40, 0, 520, None)
        assert sorted({body["seed"] for body in stub.bodies}) == [7, 8]
        evaluating.process.score(evaluating.id, [])
        added = NewScores(text="scorers:\n- {scorer: contains}\n")
        evaluating.process.add_scorers(evaluating.id, added)
        evaluating.process.add_scorers(evaluating.id, added)  # such as after an interrupt
        evaluating.process.score(evaluating.id, [])
    assert len(stub.said) == 40
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None
    means = {each.scorer: each.mean for each in report.scored}
    assert means["exact"].value == 1 / 40 and means["contains"].value == 1.0
    assert means["contains"].n == 20 and means["contains"].low is not None and means["contains"].low < 0.9
    with pytest.raises(Conflict, match="already"):
        evaluating.process.add_scorers(
            evaluating.id, NewScores(text="scorers: [{scorer: numeric, name: exact}]")
        )
    page = evaluating.process.answers(evaluating.id, AnswersQuery(only="differing", limit=5))
    assert [each.example for each in page.items] == ["1"] and not page.next
    listed = evaluating.process.examples(evaluating.id, ExamplesQuery(scorer="exact"))
    first = listed.examples[0]
    assert (first.asked, first.results[0].value, len(listed.examples)) == ("Question 0", 0.5, 20)


def test_a_judge_has_a_journal_of_its_own_and_its_refusals_do_not_score(tmp_path: Path) -> None:
    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        if "<answer>" not in text:
            return right(number, text, headers)
        return (
            200,
            "I cannot judge this." if "Question 3" in text else '{"reason": "as asked", "mark": 4}',
            0.0,
        )

    stub = Answering(reply)
    with stub.serving() as url:
        judge = {"scorer": "rubric", "criterion": "It is right.", "model": "j", "judgements": 2}
        judges = {"j": {"url": url, "model": "judging", "settings": {"max_tokens": 50}}}
        evaluating = Evaluating(tmp_path, url, questions(5), scorers=[judge], judges=judges)
        evaluating.ask()
        endpoint = Endpoint(name="j", url=url, model="judging")
        evaluating.process.score(evaluating.id, [endpoint])
        asked = len(stub.said)
        state = evaluating.process.score(evaluating.id, [endpoint])
    assert asked == len(stub.said) == 5 + 5 * 2 and stub.bodies[-1]["max_tokens"] == 50
    folder = find_folder(tmp_path / "answers", evaluating.id)
    scores = {each.example: each for each in folder.scores("rubric").values()}
    assert scores["1"].judgements == [0.75, 0.75] and scores["1"].reason == "as asked"
    assert scores["4"].value is None and scores["4"].reason
    report = folder.report()
    assert report is not None and report.scored[0].mean.value == 0.75 and report.scored[0].not_scored == 1
    assert any("rubric used 130 tokens of j" in note for note in state.notes)
    # The reason is said without the judge's words, which not everybody who may read scores may read.
    assert "rubric gave no score to 1 answer: the judge gave no mark." in state.notes
    # A model that is compared with none has a sentence too.
    assert report.sentences[0].startswith("The mean of a by rubric is 0.75 (95 % interval "), report.sentences
    assert report.sentences[0].endswith("), over 4 examples.")


def test_a_judge_whose_key_is_refused_in_the_middle_leaves_scores_that_resume_makes(tmp_path: Path) -> None:
    """The answers are all there, so the evaluation ended with exit code 0 and said nothing of the missing scores."""
    key = {"is good": 3}

    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        if "<answer>" not in text:
            return right(number, text, headers)
        key["is good"] -= 1
        return (200, '{"reason": "as asked", "mark": 4}', 0.0) if key["is good"] >= 0 else (401, b"{}", 0.0)

    stub = Answering(reply)
    with stub.serving() as url:
        judge = {"scorer": "rubric", "criterion": "It is right.", "model": "j"}
        judges = {
            "j": {"url": url, "model": "judging", "settings": {"max_tokens": 50}, "limits": {"at_once": 1}}
        }
        evaluating = Evaluating(tmp_path, url, questions(30), scorers=[judge], judges=judges)
        evaluating.ask()
        endpoint = Endpoint(name="j", url=url, model="judging", limits=Limits(at_once=1))
        state = evaluating.process.score(evaluating.id, [endpoint])
        assert (state.missing, state.unfinished) == (0, ["rubric"])
        (said,) = (each for each in state.notes if each.startswith("rubric did not score all answers"))
        assert said.endswith(f"of them not looked at. Go on with: genops evaluate resume {evaluating.id}"), (
            said
        )
        key["is good"], asked = 1000, len(stub.said)
        state = evaluating.process.score(evaluating.id, [endpoint])
        assert state.unfinished == [] and len(stub.said) - asked == 27
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and report.scored[0].not_scored == 0


def test_identical_calls_are_joined_and_repeats_never(tmp_path: Path) -> None:
    stub = Answering(lambda number, text, headers: (200, f"{number}", 0.02))
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, [{"q": "Same", "expected": "1"}] * 6, repeats=3)
        found = evaluating.ask().models[0]
    assert (len(stub.said), found.answered, found.joined, found.spent.total) == (3, 18, 15, 39)


def test_faults_are_all_accounted_for_and_only_they_are_asked_again(tmp_path: Path) -> None:
    bad = {"Question 3": 500, "Question 9": 0, "Question 12": 200, "Question 15": 200}
    storm = {"left": 10}

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if storm["left"] and number >= 20:
            storm["left"] -= 1
            return 429, b"{}", 0.0
        status = bad.get(text, 200)
        if text == "Question 12" and text in bad:
            return 200, b'{"choices": [{"mess', 0.0
        if text == "Question 15" and text in bad:
            return 200, answer("x" * 1_000_000, finish_reason="length"), 0.0
        return (
            (status, b"{}", 0.0) if status == 500 else (200, None if status == 0 else text.split()[-1], 0.0)
        )

    stub = Answering(reply)
    with stub.serving() as url:
        more = {"tries": 1, "model": {"timeout_s": 0.3}}
        evaluating = Evaluating(tmp_path, url, questions(40), **more)
        found = evaluating.ask().models[0]
        assert found.failures == {"server": 1, "timeout": 1, "malformed": 1}
        assert (found.answered, found.failed, found.cut, storm["left"]) == (37, 3, 1, 0)
        assert 1 <= found.again <= 10  # the storm: several answers, a call more each time
        evaluating.process.score(evaluating.id, [])
        report = find_folder(tmp_path / "answers", evaluating.id).report()
        assert report is not None and report.scored[0].failed == 3 and report.scored[0].mean.value == 36 / 37
        failed = evaluating.process.answers(evaluating.id, AnswersQuery(only="failed"))
        assert [each.example for each in failed.items] == ["4", "10", "13"]
        bad.clear()
        before = len(stub.said)
        assert evaluating.ask().models[0].answered == 40
        assert sorted(stub.said[before:]) == ["Question 12", "Question 3", "Question 9"]


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refuses the key"), (400, "refuses every call: HTTP 400: temperature")]
)
def test_an_endpoint_that_refuses_stops_the_evaluation(tmp_path: Path, status: int, said: str) -> None:
    refusal = json.dumps({"error": {"message": "temperature must be 1"}}).encode()
    after = 10 if status == 401 else 0  # the key is revoked in the middle

    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        is_refused = number >= after and headers.get("authorization") != "Bearer new"
        return (status, refusal, 0.0) if is_refused else right(number, text, headers)

    stub = Answering(reply)
    with stub.serving() as url:
        limits = {"at_once": 2}
        evaluating = Evaluating(tmp_path, url, questions(60), model={"limits": limits, "key": "old"})
        found = evaluating.ask().models[0]
        assert said in found.stopped and found.answered == after and len(stub.said) < 25
        if status == 401:
            renewed = [msgspec.structs.replace(each, key="new") for each in evaluating.endpoints]
            assert evaluating.process.ask(evaluating.id, renewed).models[0].answered == 60


def test_an_endpoint_that_is_gone_is_waited_for_as_long_as_the_file_says(tmp_path: Path) -> None:
    with Answering(right).serving() as url:
        pass
    models = {name: {"url": url, "model": "stub"} for name in "ab"}
    evaluating = Evaluating(tmp_path, url, questions(5), patience_s=0.2, models=models)
    found = evaluating.ask().models[0]
    assert "did not answer for" in found.stopped and found.answered == 0
    assert found.stopped.endswith(f"no connection to {url[7:-3]}: Connection refused")
    evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and [each.verdict for each in report.compared] == ["not known"]
    with pytest.raises(Conflict, match="have different rows"):  # nobody compares other rows
        (tmp_path / "other").mkdir()
        other = Evaluating(tmp_path / "other", url, questions(6))
        (tmp_path / "other" / "answers" / other.id).rename(tmp_path / "answers" / other.id)
        evaluating.process.answers(evaluating.id, AnswersQuery(against=other.id))


def test_the_budget_is_reached_and_never_passed(tmp_path: Path) -> None:
    stub = Answering(right)
    with stub.serving() as url:
        limits = {"tokens": 900, "at_once": 4}
        model = {"limits": limits, "price": {"input": 1000.0, "output": 2000.0}}
        evaluating = Evaluating(tmp_path, url, questions(100), model=model, settings={"max_tokens": 20})
        for _ in range(3):
            found = evaluating.ask().models[0]
            assert "budget of 900 tokens" in found.stopped
            assert found.spent.total <= 900 and found.spent.total == 13 * found.answered
    assert found.money == pytest.approx(found.answered * (10 * 1000 + 3 * 2000) / 1e6)
    assert len(stub.said) == found.answered >= 50


def test_calls_without_a_count_of_tokens_stay_paid_for_when_asked_again(tmp_path: Path) -> None:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "1"}}]}).encode()
    stub = Answering(lambda *_: (200, body, 0.0))
    with stub.serving() as url:
        model = {"limits": {"tokens": 400, "at_once": 1}}
        evaluating = Evaluating(tmp_path, url, questions(30), model=model, settings={"max_tokens": 20})
        first = evaluating.ask().models[0]
        asked = len(stub.said)
        again = evaluating.ask().models[0]
    assert 0 < asked < 30 and 300 < first.spent.total <= 400
    assert again.spent.total == first.spent.total and len(stub.said) == asked


def test_kill_9_repeats_only_what_was_in_flight_and_says_its_cost(tmp_path: Path) -> None:
    slow = Answering(lambda number, text, headers: (200, text.split()[-1], 0.0 if number < 30 else 5.0))
    with slow.serving() as url:
        model = {"price": {"input": 1000.0, "output": 1000.0}}
        evaluating = Evaluating(tmp_path, url, questions(60), model=model, settings={"max_tokens": 8})
        evaluating.data.write_text("")  # the data are edited meanwhile
        code = (
            "import sys, msgspec; from genops_lab.genai.evaluations.process import AnswersProcess as P;"
            "from genops_lab.genai.endpoints.endpoint import Endpoint as E;"
            "P(sys.argv[1]).ask(sys.argv[2], msgspec.json.decode(sys.stdin.read(), type=list[E]))"
        )
        given = msgspec.json.encode(evaluating.endpoints)
        command = [sys.executable, "-c", code, str(tmp_path / "answers"), evaluating.id]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(given)
            process.stdin.close()
            deadline = time.monotonic() + 60
            while len(slow.said) < 38 and time.monotonic() < deadline:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
        assert len(slow.said) == 38 and len(calls_of(evaluating)) == 30
        killed = find_folder(tmp_path / "answers", evaluating.id).state_now()
        assert (killed.stage, killed.models[0].answered, killed.missing) == ("asking", 30, 30)
        slow.reply = right
        state = evaluating.ask()
    found = state.models[0]
    assert (found.answered, found.repeated, len(slow.said)) == (60, 8, 68)
    assert found.repeated_tokens > 8 * 8 and found.spent.total == 60 * 13 + found.repeated_tokens
    assert found.repeated_money == pytest.approx(found.repeated_tokens / 1000)
    assert any("was edited since" in note for note in state.notes)


def test_the_process_leaves_when_its_lab_is_killed(tmp_path: Path) -> None:
    slow = Answering(lambda number, text, headers: (200, None, 0.0))
    with slow.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(20))
        place = f"{AnswersProcess.__module__}:{AnswersProcess.__qualname__}"
        given = {"id": evaluating.id, "endpoints": msgspec.to_builtins(evaluating.endpoints)}
        payload = msgspec.msgpack.encode(Call(1, place, "ask", given))
        environment = {**os.environ, "GENOPS_WORKER_CONFIG": json.dumps({"root": str(tmp_path / "answers")})}
        process = subprocess.Popen(
            Worker.program,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(LENGTH.pack(len(payload)) + payload)
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while len(slow.said) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.stdin.close()
        process.stdout.close()
        process.wait(30)  # its calls would hang for two minutes
        slow.reply = right
        assert evaluating.ask().models[0].repeated == 8


def test_a_full_disk_loses_no_answer(tmp_path: Path) -> None:
    stub = Answering(right)
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(200))
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_345, unlimited[1]))
        try:
            with pytest.raises(Failed, match="cannot be written") as failed:
                evaluating.ask()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert f"resume {evaluating.id}" in failed.value.hint
        kept = len(calls_of(evaluating))
        assert 0 < kept < 200
        assert evaluating.ask().models[0].answered == 200
        assert len(stub.said) <= 200 + 2 * 8  # at most those in flight


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("prices: {}", "line 12, column 5: the key 'prices' is unknown"),
        ("timeout_s: 0", "line 12, column 16: 'timeout_s' must be more than 0"),
        ("limits: {tokens: 5}", "line 10, column 5: the model 'a' has a budget"),
        ("deployment: x", "line 10, column 5: the model 'a' must have one of"),
    ],
)
def test_errors_of_a_file_name_line_and_column(change: str, said: str) -> None:
    text = (
        "apiVersion: genops/v1\nkind: Evaluation\nmetadata: {name: x}\ndata: x.csv\nprompt: q\n"
        f"scorers: [{{scorer: exact}}]\nmodels:\n  ok: {{url: http://x/v1, model: m}}\n"
        f"  a:\n    url: http://x/v1\n    model: m\n    {change}\n"
    )
    with pytest.raises(EvaluationFileError) as found:
        read_evaluation(text, "e.yaml")
    assert said in found.value.message


def test_rows_may_have_other_ends_of_lines_in_their_texts_and_no_halves_of_characters(tmp_path: Path) -> None:
    stub = Answering(right)
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(1))
        text = "one\u2028two\x85three\x0cfour 7"
        evaluating.data.write_text(json.dumps({"q": text, "expected": "7"}, ensure_ascii=False) + "\r\n")
        given = NewAnswerEvaluation(text=evaluating.text, folder=str(tmp_path))
        again = evaluating.process.begin(given)
        assert (again.rows, evaluating.process.ask(again.id, evaluating.endpoints).models[0].answered) == (
            1,
            1,
        )
        assert stub.said == [text]
        evaluating.data.write_text('{"q": "fine"}\n{"q": "cut \\ud83d"}\n')
        with pytest.raises(InvalidRequest, match="line 2: a text has half of a character"):
            evaluating.process.begin(given)


def test_a_prompt_that_a_row_cannot_fill_begins_nothing(tmp_path: Path) -> None:
    with Answering(right).serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(2))
    text = evaluating.text.replace("{{q}}", "{{country}}")
    with pytest.raises(Exception, match="The row 1 has no 'country'"):
        evaluating.process.begin(NewAnswerEvaluation(text=text, folder=str(tmp_path)))
    assert len(list((tmp_path / "answers").iterdir())) == 1


def test_a_model_with_a_prompt_of_its_own_is_asked_by_that(tmp_path: Path) -> None:
    stub = Answering(right)
    with stub.serving() as url:
        model = {"url": url, "model": "stub"}
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{q}} again 7"}]
        models = {"plain": model, "instructed": {**model, "prompt": turns}}
        evaluating = Evaluating(tmp_path, url, questions(3), models=models)
        evaluating.ask()
        evaluating.process.score(evaluating.id, [])
    assert sorted(stub.said)[:2] == ["Question 0", "Question 0 again 7"]
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and [each.mean.value for each in report.scored] == [1.0, 0.0]
    with pytest.raises(EvaluationFileError, match="there is no prompt"):
        read_evaluation(evaluating.text.replace('"prompt": "{{q}}"', '"prompt": ""'), "e.yaml")


def test_a_missing_evaluation_file_is_no_deployment() -> None:
    with pytest.raises(NotFound, match=r"The file nothing.yaml does not exist\.") as caught:
        _new("nothing.yaml", "", "")
    assert caught.value.hint == "Check its path: it counts from the folder that you are in."


def test_a_gate_sees_no_scores_of_a_scorer_that_stopped_and_none_of_pairs(tmp_path: Path) -> None:
    """An answer without a score counts as wrong in a gate, so a champion that was not scored lost to any candidate."""
    with Answering(right).serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(5), model={"registered": "capitals@1"})
        evaluating.ask()
        evaluating.process.score(evaluating.id, [])
    folder = find_folder(tmp_path / "answers", evaluating.id)
    state, report = folder.state(), folder.report()
    assert report is not None
    assert [each.predictions.data for each in evaluating.process.gate_evidence(evaluating.id).evidence] == [
        "test.exact"
    ]
    file = read_evaluation(folder.text(), "evaluation.yaml")
    pairs = evidence_of(folder, file, state, report, {"exact"})
    assert pairs.left_out == ["No gate sees the scores of a by exact: marks of pairs are about two models."]
    folder.keep_state(msgspec.structs.replace(state, unfinished=["exact"]))
    found = evaluating.process.gate_evidence(evaluating.id)
    assert found.evidence == pairs.evidence == []
    assert found.left_out == [
        "No gate sees the scores of a by exact: not all answers are scored. "
        f"Go on with: genops evaluate resume {evaluating.id}"
    ]
