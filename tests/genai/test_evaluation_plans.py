"""The plan that a person agrees to on the page: by the file's path, with its problems, and never another one begins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.core.settings import Settings
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.results_folder import find_folder
from genops_lab.genai.evaluations.service import AnswersService
from tests.support.application import open_lab
from tests.support.homes import Home
from tests.support.openai_stub import OpenAIStub

from .answering import Answering, Evaluating, questions

PATH = "evaluations/capitals.yaml"


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub(key="") as found:
        yield found


def file(models: dict[str, Any], **more: Any) -> str:
    return json.dumps({
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "capitals"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "models": models, "scorers": [{"scorer": "exact"}], "settings": {"max_tokens": 8}, **more,
    })  # fmt: skip


def write(folder: Path, count: int) -> None:
    (folder / "evaluations").mkdir(exist_ok=True)
    lines = [json.dumps({"q": f"Question {at}", "expected": f"{at}"}) + "\n" for at in range(count)]
    (folder / "evaluations" / "rows.jsonl").write_text("".join(lines))


def test_what_begins_is_what_the_plan_said(home: Home, stub: OpenAIStub, tmp_path: Path) -> None:
    async def test() -> None:
        lab = await open_lab(Settings(data_dir=home.data, root_dir=tmp_path))
        try:
            answers, endpoints = lab.application.get(AnswersService), lab.application.get(EndpointsService)
            price = Price(input=1.0, output=2.0, date="2026-11-02", source="given")
            await endpoints.add_endpoint(NewEndpoint(name="house", url=stub.url, model="stub-1", price=price))
            write(tmp_path, 3)
            text = file({"house": {"endpoint": "house", "limits": {"money": 1.0}}})
            body = NewAnswerEvaluation(text=text, path=PATH)
            plan = await answers.plan_answers(body)
            assert (plan.rows, plan.models[0].calls, plan.models[0].price, plan.problems) == (3, 3, price, [])
            assert (plan.models[0].money or 0) > 0
            assert (await answers.plan_answers(body)).seen == plan.seen

            # Rows, prices and the file itself: each is told, and nothing begins.
            agreed = NewAnswerEvaluation(text=text, path=PATH, expect=plan.seen, idempotency_key="clicked")
            write(tmp_path, 4)
            await refused(answers, agreed)
            write(tmp_path, 3)
            await endpoints.delete_endpoint("house")
            dearer = Price(input=9.0, output=9.0)
            await endpoints.add_endpoint(
                NewEndpoint(name="house", url=stub.url, model="stub-1", price=dearer)
            )
            await refused(answers, agreed)
            await endpoints.delete_endpoint("house")
            await endpoints.add_endpoint(NewEndpoint(name="house", url=stub.url, model="stub-1", price=price))
            await refused(
                answers,
                NewAnswerEvaluation(text=text.replace('"exact"', '"contains"'), path=PATH, expect=plan.seen),
            )
            assert not (home.data / "answers").exists() or not list((home.data / "answers").iterdir())
            begun = await answers.begin_answers(agreed)
            assert begun.evaluation.data == str(tmp_path / "evaluations" / "rows.jsonl")
            # The answer was lost, so the page sends it again, perhaps after the file changed.
            write(tmp_path, 5)
            again = await answers.begin_answers(agreed)
            assert again.evaluation.id == begun.evaluation.id
            for task in (begun.task, again.task):
                await lab.tasks.wait(task.id)
            assert stub.status()["calls"] == 3
            assert (await answers.get_answer_evaluation(begun.evaluation.id)).evaluation.models[
                0
            ].answered == 3
        finally:
            await lab.stop()

    asyncio.run(test())


async def refused(answers: AnswersService, body: NewAnswerEvaluation) -> None:
    with pytest.raises(Conflict, match=r"capitals\.yaml, its rows or its prices changed") as found:
        await answers.begin_answers(body)
    assert found.value.code == "changed_since"


def test_the_plan_says_which_endpoints_cannot_be_asked(home: Home, stub: OpenAIStub, tmp_path: Path) -> None:
    async def test() -> None:
        lab = await open_lab(Settings(data_dir=home.data, root_dir=tmp_path))
        try:
            answers = lab.application.get(AnswersService)
            write(tmp_path, 3)
            models = {
                "gone": {"endpoint": "nowhere"},
                "away": {"endpoint": "nowhere"},
                "locked": {"url": stub.url, "model": "stub-1", "key": "ABSENT"},
                "fine": {"url": stub.url, "model": "stub-1"},
            }
            plan = await answers.plan_answers(NewAnswerEvaluation(text=file(models), path=PATH))
            assert len(plan.models) == 4
            nowhere, absent = plan.problems  # that of two models is said once
            assert "nowhere" in nowhere and "ABSENT" in absent
            for outside in ("../capitals.yaml", "/etc/capitals.yaml"):
                with pytest.raises(InvalidRequest, match="not below the folder of JupyterLab"):
                    await answers.plan_answers(NewAnswerEvaluation(text=file(models), path=outside))
            with pytest.raises(InvalidRequest, match="Nothing says which folder"):
                await answers.plan_answers(NewAnswerEvaluation(text=file(models)))
        finally:
            await lab.stop()

    asyncio.run(test())


def test_the_cost_so_far_is_known_while_models_are_asked(tmp_path: Path) -> None:
    seen: list[tuple[int, float | None]] = []

    def reply(number: int, _text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        now = find_folder(tmp_path / "answers", evaluating.id).state_now().models[0]
        seen.append((now.answered, now.money))
        return 200, "yes", 0.0

    stub = Answering(reply)
    with stub.serving() as url:
        evaluating = Evaluating(
            tmp_path, url, questions(4), settings={"max_tokens": 8},
            model={"limits": {"at_once": 1}, "price": {"input": 1e6, "output": 1e6}},
        )  # fmt: skip
        before = find_folder(tmp_path / "answers", evaluating.id).state_now().models[0]
        asked = evaluating.ask().models[0]
    assert before.money is None  # nothing says the price before the first call
    answered, money = zip(*seen, strict=True)
    assert answered == (0, 1, 2, 3)
    # Calls in flight count at their most, so the last look is at least what was spent.
    known = [each for each in money if each is not None]
    assert known == sorted(known) and len(known) == 4 and known[0] > 0 and known[-1] >= (asked.money or 0)
