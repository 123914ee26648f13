"""``%%evaluate``, ``genops.evaluate`` and ``genops.prompts.load`` in a kernel behind a real sshd, and what its host may
not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.principals import PRINCIPAL, Principal
from genops_lab.deployments.secrets import Secrets
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.kernel_requests import KernelEvaluations, _question
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.process import AnswersProcess
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.prompts.models import NewPromptVersion, Turn
from genops_lab.genai.prompts.service import PromptsService
from genops_lab.kernel_api.uploads import MAX_BYTES, IncomingFiles
from tests.commands.conftest import RunningLab
from tests.kernels.folders.desks import Desk, a_world
from tests.support.openai_stub import OpenAIStub, answer_to
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

CELL = """prompt: "{{q}}"
models:
  a: {endpoint: house, settings: {temperature: 0}}
  b: {endpoint: house, prompt: "Briefly: {{q}}"}
scorers: [{scorer: exact}]
settings: {max_tokens: 40}
tries: 1
"""


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as found:
        yield found


@pytest.fixture(scope="module")
def world(stub: OpenAIStub) -> Iterator[tuple[RunningLab, Sshd]]:
    with a_world() as found:
        lab = found[0]
        Secrets(lab.home.data / "secrets").set("STUB_KEY", stub.key)
        house = NewEndpoint(
            name="house", url=stub.url, model="stub-1", key_secret="STUB_KEY", limits=Limits(tokens=50_000)
        )
        lab.run(lab.lab.application.get(EndpointsService).add_endpoint(house))
        yield found


@pytest.fixture
def desk(world: tuple[RunningLab, Sshd], request: pytest.FixtureRequest) -> Desk:
    return Desk(*world, request.node.name)


def rows_code(count: int) -> str:
    rows = [{"q": f"Question {at}", "expected": answer_to(f"Question {at}")} for at in range(count)]
    return f"rows = {rows!r}"


def test_rows_of_a_host_are_evaluated_in_the_lab(desk: Desk, stub: OpenAIStub) -> None:
    answers = desk.lab.lab.application.get(AnswersService)
    prompts = desk.lab.lab.application.get(PromptsService)
    new = NewPromptVersion(kind="text", turns=[Turn(role="user", content="Capital of {{country}}?")])
    desk.lab.run(prompts.save_prompt("capital", new))
    with desk.kernel() as kernel:
        kernel.ok(rows_code(6))
        stub.reset(always_fails=["Question 4"])
        with desk.answers("yes") as answering:
            card = kernel.ok(
                f"found = get_ipython().run_cell_magic('evaluate', 'rows --name numbers', {CELL!r})\n"
                "print(found._repr_mimebundle_()['text/html'])"
            )
        assert answering.question is not None and answering.question.kind == "evaluation"
        asked = answering.question.text
        assert "A kernel on gpu1 asks for the evaluation “numbers”: 6 rows." in asked
        assert "- a: 6 calls to the endpoint house. At most 50,000 tokens, its budget." in asked
        assert "Evaluation numbers" in card and "b less a" in card
        assert "genops evaluate resume numbers-" in card and "%genops" not in card
        (kept,) = desk.lab.run(answers.list_answer_evaluations()).items
        assert (kept.data, kept.rows, kept.stage) == ("rows of gpu1", 6, "done")
        assert all(each.failed == 1 and each.message for each in kept.models)
        data = kernel.ok("import json; print(json.dumps(found.data))")
        assert stub.key not in data and "STUB_KEY" not in data and str(stub.port) not in data
        assert json.loads(data)["evaluation"]["models"][0]["message"] == "See the page Evaluations."
        assert not list((desk.lab.home.data / "incoming").glob("rows-*")), "the rows are removed"
        said = kernel.ok(
            "import genops\nprint(genops.prompts.load('capital').format(country='Peru'))\n"
            "try: genops.prompts.save('capital', 'mine')\nexcept genops.GenOpsError as error: print(error)"
        )
        assert said.startswith("Capital of Peru?") and "Kernels on other hosts may not use" in said
        requests = desk.lab.lab.application.get(KernelEvaluations)
        incoming = desk.lab.lab.application.get(IncomingFiles)
        other = Principal("kernel", "other", "gpu1")

        async def ask_as_another_kernel() -> None:
            PRINCIPAL.set(other)
            with pytest.raises(NotFound, match="no such evaluation"):
                await requests.get_kernel_evaluation(next(iter(requests._requests)))
            with pytest.raises(InvalidRequest, match="a file of the kind rows may have"):
                incoming.offer(other, "rows", MAX_BYTES["rows"] + 1)

        desk.lab.run(ask_as_another_kernel())


def test_a_user_who_refuses_is_not_asked_again_at_once(desk: Desk, stub: OpenAIStub) -> None:
    stub.reset()
    with desk.kernel() as kernel:
        kernel.ok(rows_code(2))
        with desk.answers(None):
            reply, _ = kernel.run(f"%%evaluate rows\n{CELL}")
        assert "No user agreed to the evaluation" in reply["evalue"]
        reply, _ = kernel.run(f"%%evaluate rows\n{CELL}")
        assert "did not agree to the last evaluation" in reply["evalue"]
        for line, said in (
            ("%%evaluate", "has no rows of it"),
            ("%%evaluate path", "sends rows, and no path"),
        ):
            kernel.ok("path = '/etc/hostname'")
            reply, _ = kernel.run(f"{line}\n{CELL}")
            assert said in reply["evalue"], reply
    assert stub.status()["calls"] == 0


def test_a_stopped_cell_withdraws_its_question(desk: Desk, stub: OpenAIStub) -> None:
    stub.reset()
    questions = desk.lab.lab.questions
    with desk.kernel() as kernel:
        kernel.ok(rows_code(2))
        cell = kernel.client.execute(f"%%evaluate rows\n{CELL}")
        eventually(lambda: desk.lab.run(questions.list_questions()), bool)
        while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "display_data":
            pass  # the card: the kernel knows its request now
        kernel.manager.interrupt_kernel()
        reply, _ = kernel.finish(cell)
        assert reply["ename"] == "KeyboardInterrupt"
        eventually(lambda: desk.lab.run(questions.list_questions()), lambda found: not found)
    assert stub.status()["calls"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "/etc/passwd"}, "data names a file"),
        ({"data": "traces:"}, "data names a file"),
        ({"training": "/etc/passwd"}, "training names a file"),
        ({"models": {"a": {"url": "http://127.0.0.1/v1", "model": "m"}}}, "names an address or a secret"),
        ({"models": {"a": {"endpoint": "house", "key": "STUB_KEY"}}}, "names an address or a secret"),
        ({"models": {"a": {"endpoint": "house", "model": "dear"}}}, "changes the model, limits or price"),
        ({"models": {"a": {"endpoint": "house", "limits": {"at_once": 99}}}}, "changes the model, limits"),
        ({"models": {"a": {"endpoint": "house", "registered": "digits@3"}}}, "gates would see its scores"),
        ({"settings": {"base_url": "http://evil"}}, "the setting 'base_url'"),
        ({"models": {"a": {"endpoint": "house", "settings": {"api_key": "x"}}}}, "the setting 'api_key'"),
        ({"scorers": [{"scorer": "function", "file": "mine.py", "sandbox": False}]}, "would run code"),
        ({"scorers": [{"scorer": "code"}]}, "would run code"),
        ({"scorers": [{"scorer": "mlflow", "class": "Correctness"}]}, "would run code"),
        ({"scorers": [{"scorer": "mlflow", "registered": "shape"}]}, "would run code"),
        ({"scorers": [{"scorer": "embeddings", "model": "/home"}]}, "load a model"),
        ({"scorers": [{"scorer": "regex", "pattern": "x", "timeout_s": 3600}]}, "may use more than 30 s"),
        ({"scorers": [{"scorer": "regex", "pattern": "x", "memory_mb": 0}]}, "may use more than 30 s"),
        ({"tools": [{"name": "look", "table": "secrets.csv"}]}, "the tool 'look' reads a file"),
        ({"prompt": [{"role": "user", "content": "{{q}}", "attach": ["picture"]}]}, "a row names a file in"),
        (
            {"harness": {"inspect": "gsm8k"}, "data": "", "prompt": "", "scorers": []},
            "a harness would run",
        ),
    ],
)  # fmt: skip
def test_a_hosts_file_reaches_nothing_of_the_lab(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"q": "Question", "expected": "x", "picture": "/etc/passwd"}) + "\n")
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "test"}, "prompt": "{{q}}",
        "models": {"a": {"endpoint": "house"}}, "scorers": [{"scorer": "exact"}], **changes,
    }  # fmt: skip
    given = NewAnswerEvaluation(
        text=json.dumps(file), folder=str(tmp_path), data=str(rows), data_name="rows of gpu1"
    )
    with pytest.raises(NotAllowed) as caught:
        AnswersProcess(str(tmp_path / "answers")).plan_from_kernel(given)
    assert said in caught.value.message and caught.value.hint
    assert isinstance(caught.value, GenOpsError)


def test_the_rest_of_a_hosts_file_is_allowed(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps({"q": "Question", "expected": "x", "picture": "data:image/png;base64,"}) + "\n"
    )
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "test"},
        "prompt": [{"role": "user", "content": "{{q}}", "attach": ["picture"]}], "repeats": 2,
        "models": {"a": {"endpoint": "house"}, "b": {"deployment": "mine"}}, "judges": {"j": {"endpoint": "house"}},
        "settings": {"max_tokens": 5, "temperature": 0},
        "scorers": [
            {"scorer": "exact"}, {"scorer": "regex", "pattern": "x"}, {"scorer": "json_schema", "schema": {}},
            {"scorer": "rubric", "model": "j", "criterion": "polite"}, {"scorer": "embeddings", "endpoint": "vectors"},
        ],
    }  # fmt: skip
    given = NewAnswerEvaluation(text=json.dumps(file), folder=str(tmp_path), data=str(rows), data_name="rows")
    plan, models, judges = AnswersProcess(str(tmp_path / "answers")).plan_from_kernel(given)
    assert [each.calls for each in plan.models] == [2, 2] and set(models) == {"a", "b"}
    assert set(judges) == {"j", "embeddings:vectors"}
    assert {each.model: each.calls for each in plan.judges} == {"j": 4, "embeddings:vectors": 8}


def test_the_question_names_the_model_that_plays_the_user(tmp_path: Path) -> None:
    (rows := tmp_path / "rows.jsonl").write_text('{"q": "Question"}\n')
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "test"}, "prompt": "{{q}}",
        "models": {"a": {"endpoint": "house"}}, "judges": {"j": {"endpoint": "dear", "settings": {"max_tokens": 9}}},
        "settings": {"max_tokens": 5}, "scorers": [{"scorer": "refusal"}],
        "conversation": {"user": {"model": "j", "prompt": "Ask more."}, "most_turns": 3},
    }  # fmt: skip
    given = NewAnswerEvaluation(text=json.dumps(file), folder=str(tmp_path), data=str(rows), data_name="rows")
    plan, _models, _judges = AnswersProcess(str(tmp_path / "answers")).plan_from_kernel(given)
    endpoints = {
        name: (f"the endpoint {of}", Endpoint(name=name, url="http://127.0.0.1:9/v1", model="m"))
        for name, of in (("a", "house"), ("j", "dear"))
    }
    asked = _question("box", plan, endpoints).splitlines()
    assert asked[1].startswith("- a: 3 calls to the endpoint house. At most ")
    assert asked[2].startswith("- j, the user: 2 calls to the endpoint dear. At most ")
