"""Scorers that others run: embeddings of an endpoint, and scorers that are registered in MLflow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.genai.endpoints.limits import Limits, Price
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.evaluation_file import Model
from genops_lab.genai.evaluations.models import AnswersReport, NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.service import AnswersService
from tests.support.application import opened
from tests.support.homes import Home
from tests.support.openai_stub import OpenAIStub

#: The answers of the model to the rows, and what is expected.
SAID = {"one": "the parcel arrives today", "two": "nobody knows", "three": "", "four": "lost"}
ROWS = [
    {"q": "one", "expected": "the parcel arrives today"},
    {"q": "two", "expected": ["zebra", "nobody knows it"]},
    {"q": "three", "expected": "something"},
    {"q": "four", "expected": "no direction"},
]


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub(key="", answers=SAID) as found:
        yield found


class Scoring:
    """A Lab with the endpoint ``vectors``, and an evaluation of four rows."""

    def __init__(self, lab: Any, folder: Path, url: str) -> None:
        self.lab, self.folder, self.url = lab, folder, url
        self.experiment = "scored"
        self.answers = lab.application.get(AnswersService)
        self.endpoints = lab.application.get(EndpointsService)
        (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ROWS))

    async def add(self, name: str, **more: Any) -> None:
        """Add an endpoint of the stub."""
        await self.endpoints.add_endpoint(NewEndpoint(name=name, url=self.url, model="stub-1", **more))

    def file(self, *scorers: dict[str, Any], **more: Any) -> NewAnswerEvaluation:
        """Return an evaluation of the rows."""
        file = {
            "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "test"}, "data": "rows.jsonl",
            "prompt": "{{q}}", "models": {"a": {"url": self.url, "model": "stub-1"}}, "scorers": list(scorers),
            "id": "q", "tries": 1, "experiment": self.experiment, **more,
        }  # fmt: skip
        return NewAnswerEvaluation(text=json.dumps(file), folder=str(self.folder))

    async def begin(self, *scorers: dict[str, Any], **more: Any) -> str:
        """Evaluate to the end; return the id."""
        begun = await self.answers.begin_answers(self.file(*scorers, **more))
        await self.lab.tasks.wait(begun.task.id)
        return begun.evaluation.id

    async def score(self, id: str, scorer: dict[str, Any]) -> AnswersReport:
        """Score again, to the end."""
        begun = await self.answers.score_answers(id, NewScores(text=json.dumps({"scorers": [scorer]})))
        await self.lab.tasks.wait(begun.task.id)
        return await self.answers.get_answer_evaluation(id)

    async def scores(self, id: str, scorer: str) -> dict[str, tuple[float | None, str]]:
        """Return value and reason of a scorer by example."""
        found = await self.answers.list_answers(id)
        return {
            row.example: (score.value, score.reason)
            for row in found.items
            for score in row.answers[0].scores
            if score.scorer == scorer
        }


@asynccontextmanager
async def scoring(home: Home, folder: Path, stub: OpenAIStub) -> AsyncIterator[Scoring]:
    async with opened(home) as lab:
        yield Scoring(lab, folder, stub.url)


def test_an_embeddings_endpoint_scores_answers(home: Home, stub: OpenAIStub, tmp_path: Path) -> None:
    async def evaluate() -> None:
        async with scoring(home, tmp_path, stub) as made:
            await made.add("vectors", task="embeddings", price=Price(input=1.0, output=0.0))
            await made.add("chat")
            with pytest.raises(InvalidRequest, match="is for chat completions, and embeddings are needed"):
                await made.begin({"scorer": "embeddings", "endpoint": "chat"})
            stub.reset(zero_embeddings=["no direction"])
            id = await made.begin({"scorer": "embeddings", "endpoint": "vectors"})
            found = await made.scores(id, "embeddings")
            assert found["one"][0] == pytest.approx(1.0)
            assert 0.3 < (found["two"][0] or 0) < 1.0, "the nearest reference counts"
            assert found["three"] == (None, "the answer is empty")
            assert found["four"] == (None, "an embedding is zero")
            asked = [each["input"] for each in stub.requests() if "input" in each]
            assert sorted(asked) == sorted({*asked}), "the same text is asked once"
            report = await made.answers.get_answer_evaluation(id)
            assert any("tokens of vectors, " in each for each in report.evaluation.notes)

            # Nothing is paid twice; what failed is asked again.
            calls = stub.status()["calls"]
            begun = await made.answers.resume_answers(id)
            await made.lab.tasks.wait(begun.task.id)
            assert stub.status()["calls"] == calls

            # Faults of the endpoint, and its budget.
            stub.set(bad_embeddings=True)
            await made.score(id, {"scorer": "embeddings", "endpoint": "vectors", "name": "bad"})
            assert "the endpoint did not answer" in (await made.scores(id, "bad"))["one"][1]
            stub.set(bad_embeddings=False)
            await made.add("small", task="embeddings", limits=Limits(tokens=40, at_once=1))
            report = await made.score(id, {"scorer": "embeddings", "endpoint": "small", "name": "small"})
            assert any("The budget of 40 tokens" in each for each in report.evaluation.notes)

    asyncio.run(evaluate())


def test_the_scorer_cost_goes_by_the_dated_price_of_an_endpoint(
    home: Home, stub: OpenAIStub, tmp_path: Path
) -> None:
    cost = {"scorer": "cost"}

    async def evaluate() -> None:
        async with scoring(home, tmp_path, stub) as made:
            stub.reset()
            await made.add("house", price=Price(input=1e6, output=2e6, date="2026-11-02", source="given"))
            await made.add("free", limits=Limits(at_once=1))
            models = {
                "listed": {"endpoint": "house"}, "unknown": {"endpoint": "free"},
                "own": {"endpoint": "house", "price": {"input": 0, "output": 1e6, "date": "2026-01-01"}},
            }  # fmt: skip
            settings = {"max_tokens": 10}
            plan = await made.answers.plan_answers(made.file(cost, models=models, settings=settings))
            planned = {each.model: each.money for each in plan.models}
            assert planned["unknown"] is None and (planned["listed"] or 0) > (planned["own"] or 0) > 0
            id = await made.begin(cost, models=models, settings=settings)
            report = await made.answers.get_answer_evaluation(id)
            found = {
                each.model: {score.scorer: score for score in each.scores}["cost"]
                for row in (await made.answers.list_answers(id)).items
                for each in row.answers
                if row.example == "one"
            }
            # "one" is a token, and "the parcel arrives today" are four.
            assert (found["listed"].value, found["own"].value) == (1 + 4 * 2, 4)
            assert (found["unknown"].value, found["unknown"].reason) == (None, "no price is known")
            kept = {each.model: each.price for each in report.evaluation.models}
            assert kept["unknown"] is None and kept["listed"] and kept["listed"].date == "2026-11-02"
            notes = report.evaluation.notes
            assert "cost counts listed by its prices of 2026-11-02." in notes
            assert "cost counts own by its prices of 2026-01-01." in notes
            assert "cost has no score for unknown: its price is not known." in notes
            # A price that the endpoint gets later is not that of these answers.
            await made.endpoints.delete_endpoint("house")
            await made.add("house", price=Price(input=5e6, output=5e6))
            await made.score(id, {"scorer": "cost", "name": "again"})
            assert (await made.scores(id, "again"))["one"][0] == 9

    asyncio.run(evaluate())


def test_two_models_and_a_judge_of_one_endpoint_share_its_limits(
    home: Home, stub: OpenAIStub, tmp_path: Path
) -> None:
    async def folders() -> None:
        async with scoring(home, tmp_path, stub) as made:
            await made.add("shared")
            await made.add("apart")
            given = {
                "a": {"endpoint": "shared"}, "b": {"endpoint": "shared", "model": "other"}, "c": {"endpoint": "apart"},
                "d": {"url": stub.url, "model": "m"}, "e": {"url": f"{stub.url}/", "model": "m"},
                "f": {"url": stub.url, "model": "n"},
            }  # fmt: skip
            found = {
                label: (await made.answers.endpoint_of(label, msgspec.convert(each, Model))).limits_folder
                for label, each in given.items()
            }
            assert all(found.values()) and found["a"] == found["b"] and found["d"] == found["e"]
            assert len({*found.values()}) == 4

    asyncio.run(folders())


def test_a_budget_of_money_needs_a_price(home: Home, stub: OpenAIStub, tmp_path: Path) -> None:
    async def add() -> None:
        async with scoring(home, tmp_path, stub) as made:
            with pytest.raises(InvalidRequest, match="the price of 'stub-1' is not known"):
                await made.add("priceless", limits=Limits(money=1.0))

    asyncio.run(add())


def test_limits_of_a_file_leave_the_budget_of_its_endpoint(
    home: Home, stub: OpenAIStub, tmp_path: Path
) -> None:
    async def find() -> None:
        async with scoring(home, tmp_path, stub) as made:
            await made.add("bounded", limits=Limits(tokens=5_000, requests_per_minute=60.0))
            with pytest.raises(InvalidRequest, match="has a budget, and the model 'a' has no max_tokens"):
                await made.answers.endpoint_of("a", Model(endpoint="bounded", limits=Limits(at_once=2)))
            model = Model(
                endpoint="bounded", limits=Limits(at_once=2, tokens=100), settings={"max_tokens": 5}
            )
            found = await made.answers.endpoint_of("a", model)
            assert found.limits == Limits(at_once=2, tokens=100, requests_per_minute=60.0)

    asyncio.run(find())


def test_a_file_lifts_no_limit_and_no_budget_of_its_endpoint(
    home: Home, stub: OpenAIStub, tmp_path: Path
) -> None:
    async def find() -> None:
        async with scoring(home, tmp_path, stub) as made:
            strict = Limits(at_once=2, requests_per_minute=60.0, tokens=500, money=0.01)
            await made.add("strict", limits=strict, price=Price(input=1.0, output=2.0))
            lax = Limits(
                at_once=16, requests_per_minute=600.0, tokens_per_minute=9e3, tokens=90_000, money=5.0
            )
            model = Model(
                endpoint="strict",
                limits=lax,
                settings={"max_tokens": 5},
                price=Price(input=1e-6, output=1e-6),
            )
            found = await made.answers.endpoint_of("a", model)
            assert found.limits == msgspec.structs.replace(strict, tokens_per_minute=9e3)
            assert found.price is not None and (found.price.input, found.price.output) == (1.0, 2.0)

    asyncio.run(find())


def test_a_registered_scorer_of_mlflow_is_run_as_it_was(home: Home, stub: OpenAIStub, tmp_path: Path) -> None:
    async def evaluate() -> None:
        async with scoring(home, tmp_path, stub) as made:
            stub.reset()
            made.experiment = "shapes"
            await made.lab.mlflow.ensure()
            register = await asyncio.to_thread(registry, made.lab.mlflow.uri)
            with pytest.raises(NotFound, match="No scorer 'shape' is registered in the experiment 'shapes'"):
                await made.begin({"scorer": "mlflow", "registered": "shape"})
            register("shape", "parcel")
            id = await made.begin({"scorer": "mlflow", "registered": "shape"})
            first = await made.scores(id, "shape")
            assert {name: value for name, (value, _) in first.items()} == {
                "one": 1.0, "two": 0.0, "three": 0.0, "four": 0.0
            }  # fmt: skip
            # Another version later changes no score of this evaluation; a new scorer takes the newest.
            register("shape", "nobody")
            begun = await made.answers.resume_answers(id)
            await made.lab.tasks.wait(begun.task.id)
            assert await made.scores(id, "shape") == first
            await made.score(id, {"scorer": "mlflow", "registered": "shape", "name": "new"})
            assert (await made.scores(id, "new"))["two"][0] == 1.0
            with pytest.raises(InvalidRequest, match="is a Python function, and its code is not run"):
                await made.score(id, {"scorer": "mlflow", "registered": "code"})
            with pytest.raises(NotFound, match="no experiment 'other'"):
                await made.score(id, {"scorer": "mlflow", "registered": "shape", "experiment": "other"})

    asyncio.run(evaluate())


def registry(uri: str) -> Any:
    """Return what registers a version of a RegexMatch, as MLflow's own ``register`` stores it; ``code`` is there."""
    import mlflow.tracking._tracking_service.utils as mlflow_utils
    from mlflow.genai.scorers import RegexMatch, scorer

    store = mlflow_utils._get_store(uri)  # type: ignore[no-untyped-call]
    experiment = store.create_experiment("shapes")

    @scorer
    def mine(outputs: str) -> bool:
        return bool(outputs)

    store.register_scorer(experiment, "code", json.dumps(mine.model_dump()))

    def register(name: str, pattern: str) -> None:
        store.register_scorer(experiment, name, json.dumps(RegexMatch(pattern=pattern).model_dump()))

    return register
