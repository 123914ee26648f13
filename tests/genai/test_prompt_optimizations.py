"""MLflow's own optimizers, real prompts of a real MLflow, and an endpoint that plays the answerer and the writer."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import Conflict, Failed, InvalidRequest
from genops_lab.core.models import Task
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.prompts.mlflow_optimizer import check_installed
from genops_lab.genai.prompts.models import NewPromptVersion, Turn
from genops_lab.genai.prompts.optimization_models import BegunOptimization, NewOptimization, Optimization
from genops_lab.genai.prompts.optimizations import PromptOptimizations
from genops_lab.genai.prompts.service import PromptsService
from genops_lab.genai.prompts.splitting import split
from genops_lab.genai.prompts.trial_models import OfPromptQuery, TrialModel
from tests.support.application import Lab, opened
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import running_lab
from tests.support.rooms import eventually
from tests.support.warm import program

from .answering import Answering
from .labs import add_data_set, client_of

OLD = "What is item {{q}}?"
BETTER = "What is item {{q}}? Answer with its number alone."
#: What MLflow's MetaPromptOptimizer and GEPA ask the writer.
WRITER, GEPA = "You are an expert prompt engineer", "Your task is to write a new instruction"
TOKENS_OF_CALL = 13


def is_for_writer(text: str) -> bool:
    return text.startswith(WRITER) or GEPA in text


def is_for_judge(text: str) -> bool:
    return "</answer>" in text


class Models:
    """An endpoint that answers with the number of an item where the prompt asks for it alone; every fourth at once.

    ``written``: what the writer answers, in the order of its calls; the last one from then on.
    """

    def __init__(self, name: str, *written: str) -> None:
        self.name, self.written, self.calls = name, list(written), 0
        self.hangs: Callable[[str], bool] = lambda _text: False
        self.is_away = False
        self.stub = Answering(self._reply)

    def _reply(self, _number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if self.is_away:
            return 503, b"{}", 0.0
        if self.hangs(text):
            return 200, None, 0.0
        if is_for_writer(text):
            said = self.written[min(self.calls, len(self.written) - 1)]
            self.calls += 1
            if text.startswith(WRITER) and not said.startswith("no JSON"):
                said = json.dumps({self.name: said})
            return 200, said if text.startswith(WRITER) else f"```\n{said}\n```", 0.0
        if is_for_judge(text):
            right = re.search(r"<expected>\s*(\d+)\s*</expected>\s*<answer>\s*\1\s*</answer>", text)
            return 200, json.dumps({"reason": "so it is", "mark": 5 if right else 1}), 0.0
        found = re.search(r"item x(\d+)", text, re.IGNORECASE)
        assert found is not None, text
        number = int(found[1])
        return 200, str(number) if "alone" in text or number % 4 == 0 else "I do not know.", 0.0

    @property
    def of_writer(self) -> list[str]:
        return [each for each in self.stub.said if is_for_writer(each)]

    @property
    def of_answerer(self) -> list[str]:
        return [each for each in self.stub.said if not is_for_writer(each) and not is_for_judge(each)]

    @property
    def of_judge(self) -> list[str]:
        return [each for each in self.stub.said if is_for_judge(each)]


def items(count: int) -> list[dict[str, str]]:
    return [{"q": f"x{at:03}", "expected": str(at)} for at in range(count)]


Work = Callable[[PromptOptimizations, Lab, NewOptimization], Awaitable[Any]]


def with_prompt(
    home: Home, tmp_path: Path, models: Models, work: Work, *, rows: list[dict[str, str]] | None = None,
    text: str = OLD, price: Price | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Save a prompt, and do some work with the optimizations of a Lab."""
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(each) + "\n" for each in rows or items(20)))

    async def run(url: str) -> Any:
        async with opened(home) as lab:
            turns = [Turn(role="user", content=text)]
            new = NewPromptVersion(kind="text", turns=turns, settings={"max_tokens": 8}, alias="production")
            await lab.application.get(PromptsService).save_prompt(models.name, new)
            endpoint = NewEndpoint(name=models.name, url=url, model="stub", price=price)
            await lab.application.get(EndpointsService).add_endpoint(endpoint)
            model = TrialModel(name=models.name, endpoint=models.name)
            given = {
                "answerer": model,
                "writer": model,
                "data": str(data),
                "scorers": "scorers: [{scorer: exact}]",
            }
            body = NewOptimization(**{**given, **more})
            return await work(lab.application.get(PromptOptimizations), lab, body)

    with models.stub.serving() as url:
        return asyncio.run(run(url))


async def ended(lab: Lab, begun: BegunOptimization) -> Task:
    return await lab.tasks.wait(begun.task.id)


def to_the_end(home: Home, tmp_path: Path, models: Models, **more: Any) -> tuple[Task, Optimization]:
    async def work(
        optimizations: PromptOptimizations, lab: Lab, body: NewOptimization
    ) -> tuple[Task, Optimization]:
        cost = await optimizations.get_optimization_cost(models.name, body)
        assert not models.stub.said
        begun = await optimizations.start_optimization(models.name, body)
        task = await ended(lab, begun)
        assert 0 < len(models.stub.said) <= cost.calls
        return task, await optimizations.get_optimization(begun.optimization.id)

    found: tuple[Task, Optimization] = with_prompt(home, tmp_path, models, work, **more)
    return found


def test_a_better_text_is_a_version_that_held_out_rows_judge(home: Home, tmp_path: Path) -> None:
    models = Models("better", BETTER)
    rows = [*items(40), {"q": "X007!", "expected": "7"}, {"q": "x011.", "expected": "11"}]
    task, found = to_the_end(home, tmp_path, models, rows=rows, held_out=0.5)
    assert task.state == "done", task
    assert (found.stage, found.version, found.new_version, found.tried) == ("done", "1", "2", 1)
    assert (found.training_rows, found.held_out_rows) == (21, 21)

    # The optimizer saw training rows alone: neither the writer nor the trials have a held-out row.
    kept = home.data / "prompts" / "optimizations" / found.id
    sides = json.loads((kept / "rows.json").read_bytes())
    (seen,) = models.of_writer
    assert all(f'"{row["q"]}"' in seen for row in sides["training"].values())
    assert not any(f'"{row["q"]}"' in seen for row in sides["held_out"].values())
    asked = (kept / "calls.jsonl").read_text()
    assert not any(f'/{id}"' in asked for id in sides["held_out"])
    # Near-duplicates are on one side.
    assert any("4 rows are near-duplicates" in each for each in found.notes)
    for one, other in (("8", "41"), ("12", "42")):
        assert (one in sides["training"]) == (other in sides["training"])

    # The result stands on held-out rows, with an interval; what the training rows showed is told apart.
    (compared,) = found.compared
    numbers = [int(row["expected"]) for row in sides["held_out"].values()]
    truth = sum(number % 4 != 0 for number in numbers) / len(numbers)
    assert compared.difference.value == pytest.approx(truth) and compared.difference.n == 21
    assert compared.difference.low is not None and compared.difference.low < truth
    assert (compared.model, compared.against, compared.verdict) == ("version-2", "version-1", "better")
    (training,) = found.training
    assert training.after == 1.0 and training.before < 0.5 and training.rows == 21
    points = f"{100 * truth:.1f}".removesuffix(".0")
    assert re.fullmatch(
        rf"Version 2 is \+{re.escape(points)} points on 21 held-out rows \(95 % interval [\d.]+ to [\d.]+\); "
        r"\+[\d.]+ points on the 21 training rows, which it has seen\.",
        task.message,
    ), task.message

    # MLflow has the version, linked to both; no alias moved.
    client = client_of(home)
    theirs = client.get_prompt_version("better", "2")
    assert theirs.template == BETTER and theirs.model_config == {"max_tokens": 8}
    assert (
        theirs.tags["genops.optimization"] == found.id
        and theirs.tags["genops.evaluation"] == found.evaluation
    )
    assert client.get_prompt_version_by_alias("better", "production").version == 1
    # Both texts were asked for each held-out row once, each text for each training row once.
    assert len(models.of_answerer) == 2 * 21 + 2 * 21


def test_a_text_of_rows_of_mlflow_is_saved_when_a_person_says_so(home: Home, tmp_path: Path) -> None:
    """The rows are those of a data set; the optimizations of the prompt are listed, the newest first."""
    models, client = Models("by-hand", BETTER), client_of(home)
    add_data_set(client, "items", [({"q": f"x{at:03}"}, str(at)) for at in range(20)])

    async def work(optimizations: PromptOptimizations, lab: Lab, body: NewOptimization) -> Any:
        of_mlflow = NewOptimization(**{**_fields(body), "data": "dataset:items", "save": False})
        cost = await optimizations.get_optimization_cost("by-hand", of_mlflow)
        begun = await optimizations.start_optimization("by-hand", of_mlflow)
        id = begun.optimization.id
        with pytest.raises(Conflict, match="is not done"):
            await optimizations.save_optimized(id)
        task = await ended(lab, begun)
        found, changed = await optimizations.get_optimization(id), await optimizations.compare_optimized(id)
        prompts = lab.application.get(PromptsService)
        versions = await prompts.list_prompt_versions("by-hand")
        assert [each.version for each in versions.items] == ["1"]
        saved = await optimizations.save_optimized(id)
        assert await optimizations.save_optimized(id) == saved
        theirs = client.get_prompt_version("by-hand", "2")
        assert theirs.template == BETTER and theirs.tags["genops.optimization"] == id
        assert theirs.tags["genops.evaluation"] == found.evaluation
        first_version = NewOptimization(**{**_fields(body), "version": "1"})
        other = await ended(lab, await optimizations.start_optimization("by-hand", first_version))
        assert other.state == "done", other
        listed = [
            (
                await optimizations.list_optimizations(OfPromptQuery(name="by-hand", limit=1, after=after))
            ).items
            for after in ("", found.id)
        ]
        with pytest.raises(InvalidRequest, match="is not a cursor"):
            await optimizations.list_optimizations(OfPromptQuery(after="nothing"))
        first = await optimizations.list_optimizations(OfPromptQuery(name="by-hand"))
        return cost, task, found, changed, saved, listed, first.items

    cost, task, found, changed, saved, listed, all_of_them = with_prompt(home, tmp_path, models, work)
    assert (cost.training, cost.held_out, cost.digest) == (10, 10, found.digest)
    assert task.message.startswith("The new text is +"), task
    assert (found.data, found.new_version, found.has_text) == ("dataset:items", "", True)
    (compared,) = found.compared
    assert (compared.model, compared.against, compared.difference.n) == ("new-text", "version-1", 10)
    pieces = {piece.change: piece.text for part in changed.parts for piece in part.pieces}
    assert pieces["added"] == " Answer with its number alone." and not changed.same
    assert saved == msgspec.structs.replace(found, new_version="2")
    assert [each.id for each in all_of_them][1:] == [found.id] and all_of_them[0].data.endswith("rows.jsonl")
    assert [len(each) for each in listed] == [1, 0] and listed[0][0] == all_of_them[0]


def test_a_text_that_is_not_better_is_not_saved(home: Home, tmp_path: Path) -> None:
    models = Models("same", "Tell me of item {{q}}, please.")
    task, found = to_the_end(home, tmp_path, models)
    assert task.state == "done" and "None of 1 new texts is better than version 1" in task.message
    assert (found.stage, found.new_version, found.evaluation) == ("done", "", "")
    assert len(models.of_answerer) == 20  # two texts on ten training rows, and no held-out row


def test_each_round_goes_on_from_the_last_usable_text(home: Home, tmp_path: Path) -> None:
    """Texts that lost a variable are told to the writer, and asked of no model."""
    models = Models("rounds", "Item?", "no JSON at all", BETTER)
    task, found = to_the_end(home, tmp_path, models, rounds=3)
    assert task.state == "done" and found.new_version == "2", task
    assert found.tried == 1 and len(models.of_writer) == 3
    assert len([each for each in models.of_answerer if "alone" not in each]) == 10 + 10
    assert not any(each == "Item?" for each in models.of_answerer)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Item?", r"wrote no text that could be tried: .*Missing: \{'q'\}"),
        ("no JSON at all", "wrote no text that could be tried: .*Failed to parse"),
        (OLD + " Think." * 2000, "could be tried: The text has 14,019 characters; it may have 4,000"),
    ],
)  # fmt: skip
def test_a_writer_that_writes_nothing_usable_is_named_with_the_reason(
    home: Home, tmp_path: Path, written: str, said: str
) -> None:
    models = Models(f"unusable-{len(written)}", written)
    task, found = to_the_end(home, tmp_path, models)
    assert task.state == "failed" and re.search(said, task.message), task.message
    assert found.new_version == "" and len(models.of_answerer) == 10


def test_a_chat_stays_a_chat(home: Home, tmp_path: Path) -> None:
    written = [
        {"role": "system", "content": "Answer alone."},
        {"role": "user", "content": "item {{q}}, alone"},
    ]
    models = Models("chat", json.dumps(written))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(each) + "\n" for each in items(20)))

    async def work(optimizations: PromptOptimizations, lab: Lab, body: NewOptimization) -> tuple[Task, Any]:
        turns = [Turn(role="system", content="Answer."), Turn(role="user", content="item {{q}}")]
        prompts = lab.application.get(PromptsService)
        await prompts.save_prompt("chat", NewPromptVersion(kind="chat", turns=turns))
        begun = await optimizations.start_optimization("chat", body)
        return await ended(lab, begun), await prompts.get_prompt_version("chat", "latest")

    task, version = with_prompt(home, tmp_path, models, work)
    assert task.state == "done", task
    assert (version.version, version.kind) == ("3", "chat")
    assert [(each.role, each.content) for each in version.turns] == [
        (each["role"], each["content"]) for each in written
    ]


def test_the_cost_comes_first_and_the_budget_is_not_passed(home: Home, tmp_path: Path) -> None:
    models = Models("money", "Tell me of item {{q}}, please.", BETTER)
    price = Price(input=1.0, output=1.0)  # a call costs 13 millionths

    async def work(optimizations: PromptOptimizations, lab: Lab, body: NewOptimization) -> Any:
        cost = await optimizations.get_optimization_cost("money", body)
        assert not models.stub.said
        with pytest.raises(InvalidRequest, match="The comparison on 10 held-out rows alone may cost"):
            small = NewOptimization(**{**_fields(body), "money": 1e-6})
            await optimizations.start_optimization("money", small)
        # Enough for the comparison and some training rows.
        comparing = sum(each.money for each in cost.parts if "held-out" in each.model)
        tight = NewOptimization(**{**_fields(body), "money": 1.2 * comparing})
        begun = await optimizations.start_optimization("money", tight)
        task = await ended(lab, begun)
        return cost, tight.money, task, await optimizations.get_optimization(begun.optimization.id)

    cost, money, task, _found = with_prompt(home, tmp_path, models, work, price=price, rounds=2)
    assert cost.calls == 3 * 10 + 2 + 2 * 10 and cost.money is not None
    assert {each.model for each in cost.parts} == {
        "money, training rows", "money writes", "money, held-out rows, version 1", "money, held-out rows, new text",
    }  # fmt: skip
    assert task.state == "failed" and "could pass the budget of" in task.message, task.message
    assert len(models.stub.said) * TOKENS_OF_CALL / 1e6 <= money


def test_a_budget_that_ends_the_second_round_keeps_the_text_of_the_first(home: Home, tmp_path: Path) -> None:
    price = Price(input=1.0, output=1.0)
    whole = Models("whole", BETTER, OLD + " Please.")
    _, found = to_the_end(home, tmp_path, whole, rounds=2, price=price)
    calls = (home.data / "prompts" / "optimizations" / found.id / "writer.jsonl").read_text().splitlines()
    reserved = [json.loads(line)["most"] for line in calls if line.startswith('{"begun"')]
    first, _second = [(each.get("input", 0) + each.get("output", 0)) / 1e6 for each in reserved]
    spent = 10 * TOKENS_OF_CALL / 1e6

    async def work(
        optimizations: PromptOptimizations, lab: Lab, body: NewOptimization
    ) -> tuple[Task, Optimization]:
        cost = await optimizations.get_optimization_cost("ended", body)
        comparing = sum(each.money or 0.0 for each in cost.parts if "held-out" in each.model)
        money = comparing + spent + first + 5e-6
        begun = await optimizations.start_optimization(
            "ended", NewOptimization(**{**_fields(body), "money": money})
        )
        return await ended(lab, begun), await optimizations.get_optimization(begun.optimization.id)

    models = Models("ended", BETTER, OLD + " Please.")
    task, found = with_prompt(home, tmp_path, models, work, rounds=2, price=price)
    assert task.state == "done" and (found.new_version, found.tried) == ("2", 1), task
    assert any("could pass the budget of" in each for each in found.notes)
    assert len(models.of_writer) == 1 and found.compared[0].difference.n == 10


def _fields(body: NewOptimization) -> dict[str, Any]:
    return {name: getattr(body, name) for name in body.__struct_fields__}


def test_what_was_cancelled_goes_on_without_a_second_call(home: Home, tmp_path: Path) -> None:
    """Cancelled while rows are tried, while the writer is asked, and during the comparison."""
    models = Models("resumed", BETTER)

    async def cancelled(lab: Lab, begun: BegunOptimization, until: Callable[[], bool]) -> None:
        while not until():
            assert (await lab.tasks.get_task(begun.task.id)).state == "running", begun
            await asyncio.sleep(0.05)
        await lab.tasks.cancel_task(begun.task.id)
        log = await lab.tasks.get_task_log(begun.task.id)
        assert f"genops prompts resume {begun.optimization.id}" in log.lines[-1]

    async def work(
        optimizations: PromptOptimizations, lab: Lab, body: NewOptimization
    ) -> tuple[Task, Optimization]:
        models.hangs = lambda text: len(models.stub.said) > 6
        begun = await optimizations.start_optimization("resumed", body)
        await cancelled(lab, begun, lambda: len(models.stub.said) > 8)
        answered = models.stub.said[:6]
        models.stub.said.clear()

        models.hangs = lambda text: text.startswith(WRITER)
        begun = await optimizations.resume_optimization(begun.optimization.id)
        await cancelled(lab, begun, lambda: bool(models.of_writer))
        assert not set(answered) & set(models.stub.said)
        assert len(models.of_answerer) == 10 - len(answered)
        models.stub.said.clear()

        asked = len(models.stub.said)
        models.hangs = lambda text: (
            len([each for each in models.of_answerer if "alone" not in each]) > asked + 3
        )
        begun = await optimizations.resume_optimization(begun.optimization.id)
        id = begun.optimization.id
        await cancelled(lab, begun, lambda: models.hangs("") and len(models.of_answerer) > 15)
        assert len(models.of_writer) == 1
        compared = await optimizations.get_optimization(id)
        assert compared.stage == "comparing" and compared.new_version == "2"
        evaluation = await lab.application.get(AnswersService).get_answer_evaluation(compared.evaluation)
        assert evaluation.evaluation.missing > 0
        models.stub.said.clear()

        models.hangs = lambda text: False
        task = await ended(lab, await optimizations.resume_optimization(id))
        assert not models.of_writer and len(models.stub.said) <= evaluation.evaluation.missing
        return task, await optimizations.get_optimization(id)

    task, found = with_prompt(home, tmp_path, models, work)
    assert task.state == "done" and found.stage == "done" and found.new_version == "2", task
    assert found.compared[0].difference.n == 10


def test_a_judge_scores_training_rows_and_held_out_rows(home: Home, tmp_path: Path) -> None:
    """Its calls are in the cost, on disk, and its verdict is in the result: nobody labelled answers."""
    models = Models("judged", BETTER)
    scorers = {
        "scorers": [{"scorer": "rubric", "model": "judge", "criterion": "right", "expected": "expected"}],
        "judges": {"judge": {"endpoint": "judged", "settings": {"max_tokens": 50}}},
    }
    task, found = to_the_end(
        home, tmp_path, models, scorers=json.dumps(scorers), price=Price(input=1.0, output=1.0)
    )
    assert task.state == "done" and found.new_version == "2", task
    assert len(models.of_judge) == 2 * 10 + 2 * 10
    assert found.training[0].scorer == "rubric" and found.training[0].after == 1.0
    assert found.compared[0].verdict == "better" and "not calibrated" in " ".join(found.sentences), (
        found.sentences
    )
    calls = 2 * 10 + 1 + 2 * 10  # answers to training rows, one text, and the judge's marks
    assert found.tokens == calls * TOKENS_OF_CALL and found.money == pytest.approx(
        calls * TOKENS_OF_CALL / 1e6
    )


def test_a_model_that_is_away_is_named_until_it_answers(home: Home, tmp_path: Path) -> None:
    models = Models("away", BETTER)
    models.is_away = True

    async def work(optimizations: PromptOptimizations, lab: Lab, body: NewOptimization) -> Task:
        begun = await optimizations.start_optimization(models.name, body)
        while (
            "is asked again until it answers: HTTP 503"
            not in (await lab.tasks.get_task(begun.task.id)).message
        ):
            await asyncio.sleep(0.1)
        models.is_away = False
        return await ended(lab, begun)

    task: Task = with_prompt(home, tmp_path, models, work)
    assert task.state == "done" and "is asked again" not in task.message, task


def test_gepa_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_installed("metaprompt")
    with pytest.raises(Failed, match="needs gepa and litellm") as failed:
        check_installed("gepa")
    assert "pip install 'gepa>=0.0.26'" in failed.value.hint


def test_gepa_optimizes_within_its_rounds(home: Home, tmp_path: Path) -> None:
    models = Models("gepa", BETTER)
    task, found = to_the_end(home, tmp_path, models, optimizer="gepa", rounds=2)
    assert task.state == "done" and found.new_version == "2", task
    assert len(models.of_writer) <= 2


def test_what_cannot_be_optimized_is_named(home: Home, tmp_path: Path) -> None:
    async def work(optimizations: PromptOptimizations, lab: Lab, body: NewOptimization) -> None:
        for change, said in [
            ({"scorers": "scorers: [{scorer: latency}]"}, "'latency' gives no mark of 0 to 1"),
            (
                {
                    "scorers": "scorers: [{scorer: pairwise, model: j}]\njudges: {j: {url: http://127.0.0.1, model: j}}"
                },
                "'pairwise' gives no mark of 0 to 1",
            ),
            ({"money": 1.0}, "needs a price of each model: refused"),
            ({"rows": 4, "held_out": 0.9}, ""),
        ]:
            changed = NewOptimization(**{**_fields(body), **change})
            if said:
                with pytest.raises(InvalidRequest, match=said):
                    await optimizations.start_optimization("refused", changed)
            else:
                cost = await optimizations.get_optimization_cost("refused", changed)
                assert (cost.training, cost.held_out) == (2, 2)

    models = Models("refused", BETTER)
    with_prompt(home, tmp_path, models, work)
    assert not models.stub.said


def test_a_split_is_random_by_its_seed_and_keeps_near_duplicates_together() -> None:
    rows: dict[str, dict[str, Any]] = {str(at): {"q": f"Question number {at} of many"} for at in range(60)}
    rows |= {f"double {at}": {"q": f"question NUMBER {at} of many!"} for at in range(10)}
    found = split(rows, ["q"], 0.3, 1)
    assert len(found.held_out) == 21 and found.together == 20
    assert sorted([*found.training, *found.held_out]) == sorted(rows)
    for at in range(10):
        assert (str(at) in found.held_out) == (f"double {at}" in found.held_out)
    assert split(rows, ["q"], 0.3, 1) == found and split(rows, ["q"], 0.3, 2) != found
    same = {str(at): {"q": "All the same"} for at in range(8)}
    with pytest.raises(InvalidRequest, match="8 rows cannot be split"):
        split(same, ["q"], 0.5, 0)


def test_the_command_asks_first_and_a_killed_lab_goes_on(tmp_path: Path) -> None:
    models = Models("capital", BETTER)
    models.hangs = lambda text: is_for_writer(text)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(each) + "\n" for each in items(20)))
    command = [
        "prompts",
        "optimize",
        "capital",
        "--data",
        str(rows),
        "--endpoint",
        "small",
        "--optimizer-endpoint",
    ]
    command += ["small", "--scorer", "exact", "--max-tokens", "8"]
    with temporary_home() as home, models.stub.serving() as url:

        def genops(*arguments: str) -> tuple[int, str, str]:
            done = subprocess.run(
                [*program("genops_lab.commands.main"), *arguments], capture_output=True, text=True, cwd=home.work,
                env=home.environment(), timeout=120, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout, done.stderr

        with running_lab(home) as lab:
            assert genops("prompts", "add", "capital", "--text", OLD)[0] == 0
            assert genops("endpoints", "add", "small", "--url", url, "--model", "stub")[0] == 0
            code, _, err = genops(*command)
            assert code == 4 and models.stub.said == [], err
            assert "10 held-out rows are too few to show a difference" in err
            assert "small, training rows: 20 calls" in err and "10 training rows, 10 held-out rows." in err
            assert "All: 41 calls with at most" in err and "the price is unknown: small has none." in err
            _, found = lab.request(
                "POST", "genops/v1/prompts/capital/optimizations",
                {
                    "answerer": {"name": "small", "endpoint": "small"}, "data": str(rows),
                    "writer": {"name": "small", "endpoint": "small"}, "scorers": "scorers: [{scorer: exact}]",
                },
            )  # fmt: skip
            eventually(lambda: len(models.of_writer), (1).__eq__)
            lab.stop(signal.SIGKILL)
        assert len(models.of_answerer) == 10
        models.stub.said.clear()
        models.hangs = lambda text: False
        with running_lab(home) as lab:
            path = f"genops/v1/prompt-optimizations/{found['optimization']['id']}"
            done = eventually(lambda: lab.get(path), lambda each: each["stage"] == "done")
            assert (done["new_version"], done["training"][0]["after"]) == ("2", 1.0)
            # No training row was asked again with the old text: ten held-out rows were.
            old = [each for each in models.of_answerer if "alone" not in each]
            assert len(models.of_writer) == 1 and len(old) == 10
            code, out, err = genops(*command, "--version", "1", "--yes")
            assert code == 0 and "Version 2 of capital has this text already." in err, err
            assert "20 rows of data with the digest " in err
            assert re.match(r"Version 2 is \+[\d.]+ points on 10 held-out rows \(95 % interval", out), out
            assert "genops prompts diff capital 1 2" in out and "The optimizer tried 1 texts" in out
            id = re.search(r"The optimization is (\w+)\.", err)
            assert id is not None
            code, _, err = genops("prompts", "resume", id[1])
            assert code == 4 and "is done" in err
            # A text that is not saved at once is shown, and saved by its id.
            code, out, err = genops(*command, "--version", "1", "--yes", "--no-save")
            assert code == 0 and "{+ Answer with its number alone.+}" in out and "The new text is +" in out, (
                err
            )
            code, out, err = genops("prompts", "optimizations", "capital", "--json")
            listed = json.loads(out)
            assert [each["new_version"] for each in listed] == ["", "2", "2"], err
            assert f"optimizations --id {listed[0]['id']} --save" in genops(
                "prompts", "optimizations", "--id", listed[0]["id"]
            )[1]  # fmt: skip
            code, out, err = genops("prompts", "optimizations", "--id", listed[0]["id"], "--save")
            assert code == 0 and "Version 2 of capital has the new text." in out, err
            assert genops("prompts", "optimizations", "--save")[0] == 2
            assert "not saved" not in genops("prompts", "optimizations")[1]
