"""MLflow's own optimizer, a real MLflow with people's labels, and an endpoint that answers, judges and writes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.commands.views import alignments as views
from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.models import NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.labels.alignment_models import JudgeAlignment, NewAlignment
from genops_lab.genai.labels.alignments import JudgeAlignments
from genops_lab.genai.labels.models import NewLabel, NewLabelQueue
from genops_lab.genai.labels.service import LabelsService
from genops_lab.genai.scorers.judges import Aligned, Rubric, identity
from tests.support.application import opened
from tests.support.homes import Home
from tests.support.lab_server import running_lab
from tests.support.rooms import eventually
from tests.support.warm import program

from .judged_units import (
    BETTER,
    HALF,
    OLD,
    PRICE,
    REFUSES,
    RIGHT,
    ROWS,
    TOKENS_OF_CALL,
    WRONG,
    Models,
    evaluation_file,
    is_right,
)  # fmt: skip


class Labelled:
    """An evaluation of a judge whose answers people labelled, in a home of its own."""

    def __init__(self, home: Home, models: Models) -> None:
        self.home, self.models, self.evaluation, self.queue = home, models, "", ""

    async def begin(self, url: str, folder: Path) -> None:
        file = evaluation_file(url, folder, ROWS)
        async with opened(self.home) as lab:
            answers, labels = lab.application.get(AnswersService), lab.application.get(LabelsService)
            endpoint = NewEndpoint(name="writer", url=url, model="stub", price=PRICE)
            await lab.application.get(EndpointsService).add_endpoint(endpoint)
            begun = await answers.begin_answers(
                NewAnswerEvaluation(text=json.dumps(file), folder=str(folder))
            )
            self.evaluation = begun.evaluation.id
            done = await lab.tasks.wait(begun.task.id)
            assert done.state == "done", done
            with pytest.raises(
                InvalidRequest, match=r"0 answers chosen at random have a label .* 40 are needed"
            ):
                await lab.application.get(JudgeAlignments).get_alignment_cost(self.body())
            made = await labels.begin_labels(
                NewLabelQueue(evaluation=self.evaluation, rows=ROWS, judge="measure")
            )
            self.queue = made.id
            items = (await labels.list_label_items(made.id)).items
            for at, item in enumerate(items):
                if at == 39:
                    with pytest.raises(InvalidRequest, match="39 answers chosen at random have a label"):
                        await lab.application.get(JudgeAlignments).get_alignment_cost(self.body())
                content = await labels.get_label_content(made.id, item.trace_id)
                number = int(content.turns[0].text.split()[-1])
                said = RIGHT if is_right(number) else WRONG
                await labels.set_label(made.id, item.trace_id, NewLabel(label=said))

    def body(self, **more: Any) -> NewAlignment:
        return NewAlignment(**{"evaluation": self.evaluation, "writer": "writer", "rounds": 1, **more})

    def align(self, **more: Any) -> tuple[Task, JudgeAlignment]:
        """Align to the end, and check what was said before the first call."""

        async def work() -> tuple[Task, JudgeAlignment]:
            async with opened(self.home) as lab:
                alignments = lab.application.get(JudgeAlignments)
                cost = await alignments.get_alignment_cost(self.body(**more))
                assert not self.models.stub.said
                begun = await alignments.start_alignment(self.body(**more))
                task = await lab.tasks.wait(begun.task.id)
                assert len(self.models.stub.said) <= cost.calls
                found = await alignments.get_alignment(begun.alignment.id)
                assert found.tokens <= cost.tokens and (found.money or 0) <= (cost.money or 0)
                return task, found

        return asyncio.run(work())


@pytest.fixture(scope="module")
def everything(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelled]:
    models = Models()
    with models.stub.serving() as url:
        found = Labelled(home, models)
        asyncio.run(found.begin(url, tmp_path_factory.mktemp("rows")))
        yield found


@pytest.fixture
def labelled(everything: Labelled) -> Labelled:
    everything.models.forget()
    return everything


def asked_about(texts: list[str]) -> set[int]:
    return {int(number) for text in texts for number in re.findall(r"Question (\d+)", text)}


def test_held_out_labels_show_that_the_new_criterion_is_better(labelled: Labelled, tmp_path: Path) -> None:
    models = labelled.models
    task, found = labelled.align()
    assert task.state == "done", task
    assert (found.training_answers, found.held_out_answers, found.tried) == (HALF, HALF, 1)
    assert (found.stage, found.verdict, found.new_criterion, found.kept_as) == (
        "done", "better", BETTER, "measure-aligned"
    )  # fmt: skip
    # The writer saw the labels of one half; the judge marked both halves once, and the old marks were kept.
    (prompt,) = models.of_writer
    seen = asked_about([prompt])
    assert len(seen) == HALF and "mark of people" in prompt and OLD in prompt
    assert len(models.of_judge) == ROWS and asked_about(models.of_judge) == set(range(ROWS))
    held_out = set(range(ROWS)) - seen
    assert found.training is not None and found.training.after == 1.0
    # Both criteria on the other half, paired: people refuse right numbers without a unit.
    mended = sum(number % 2 == 1 for number in held_out)
    assert found.difference is not None and found.difference.n == HALF
    assert found.difference.value == pytest.approx(mended / HALF)
    assert found.difference.low is not None and 0 < found.difference.low < mended / HALF
    assert found.before is not None and found.after is not None
    assert found.after.kappa.value == 1.0 and found.after.rate == 1.0
    assert found.before.rate == pytest.approx(1 - mended / HALF)
    common = max(sum(map(is_right, held_out)), sum(not is_right(each) for each in held_out)) / HALF
    assert found.after.base_rate == pytest.approx(common)
    points = re.escape(f"+{100 * mended / HALF:.1f}".removesuffix(".0"))
    assert re.match(
        rf"The new criterion changes the agreement of measure with people by {points} points on 30 held-out rows "
        r"\(95 % interval [\d.]+ to [\d.]+\); \d+ % before and 100 % after on the 30 labels that the writer saw\. "
        r"Agreement beyond chance: .* before, 1\.00 \(0\.\d\d to 1\.00\) after\. Equal marks: ",
        task.message,
    ), task.message
    calls = 1 + ROWS
    assert found.tokens == calls * TOKENS_OF_CALL and found.money == pytest.approx(
        calls * TOKENS_OF_CALL / 1e6
    )

    registered(labelled)
    asyncio.run(scored(labelled, found, held_out))


def registered(labelled: Labelled) -> None:
    """MLflow has the judge, and loads it."""
    from mlflow import MlflowClient
    from mlflow.genai.scorers import Scorer

    client = MlflowClient(tracking_uri=f"sqlite:///{labelled.home.data / 'mlflow' / 'mlflow.db'}")
    store = client._tracking_client.store
    known = [each for ex in client.search_experiments() for each in store.list_scorers(ex.experiment_id)]
    (theirs,) = [each for each in known if each.scorer_name == "measure-aligned"]
    judge: Any = Scorer.model_validate_json(theirs._serialized_scorer)
    assert BETTER in judge.instructions and judge.model == "openai:/judge"
    assert {each.name for each in judge.get_input_fields()} == {"inputs", "outputs", "expectations"}


async def scored(labelled: Labelled, found: JudgeAlignment, held_out: set[int]) -> None:
    """An evaluation uses the judge, which is calibrated by labels that its writer did not see, and by no others."""
    async with opened(labelled.home) as lab:
        answers, labels = lab.application.get(AnswersService), lab.application.get(LabelsService)
        begun = await answers.score_answers(labelled.evaluation, NewScores(text=found.rubric))
        done = await lab.tasks.wait(begun.task.id)
        assert done.state == "done", done
        report = (await answers.get_answer_evaluation(labelled.evaluation)).report
        assert report is not None
        judges = {each.scorer: each for each in report.judges}
        old, new = judges["measure"], judges["measure-aligned"]
        assert old.agreement is not None and (old.calibrated, old.agreement.n) == (False, ROWS)
        assert new.agreement is not None and (new.calibrated, new.agreement.n) == (True, len(held_out))
        # The mean label of all, from the labels of the other half: the true share is in its interval.
        (mean,) = [each for each in report.scored if each.scorer == "measure-aligned"]
        truth = sum(map(is_right, range(ROWS))) / ROWS
        assert (
            mean.corrected is not None and mean.corrected.low is not None and mean.corrected.high is not None
        )
        assert mean.corrected.low <= truth <= mean.corrected.high
        shown = await labels.get_label_report(labelled.queue)
        assert {each.scorer: each.kappa.n for each in shown.judges} == {
            "measure": ROWS,
            "measure-aligned": HALF,
        }
        assert any("was aligned by labels of 30 of these answers" in each for each in shown.notes)
        # A second alignment begins with the aligned judge: what it saw once measures nothing later.
        with pytest.raises(InvalidRequest, match="30 answers chosen at random have a label"):
            await lab.application.get(JudgeAlignments).get_alignment_cost(
                labelled.body(judge="measure-aligned")
            )
        with pytest.raises(InvalidRequest, match="has 2 rubrics"):
            await lab.application.get(JudgeAlignments).get_alignment_cost(labelled.body())


def test_a_criterion_that_is_not_better_is_not_kept(labelled: Labelled) -> None:
    labelled.models.forget("The answer has the number that is right.", " ")
    task, found = labelled.align(judge="measure", rounds=2, seed=1)
    assert (
        task.state == "done" and "None of 1 new criteria agrees better with the 30 labels" in task.message
    ), task
    assert (found.kept_as, found.new_criterion, found.before) == ("", "", None)
    assert len(labelled.models.of_writer) == 2 and len(labelled.models.of_judge) == HALF

    async def keep() -> None:
        async with opened(labelled.home) as lab:
            alignments = lab.application.get(JudgeAlignments)
            with pytest.raises(Conflict, match="has no new criterion to keep"):
                await alignments.keep_alignment(found.id)
            with pytest.raises(Conflict, match="is done"):
                await alignments.resume_alignment(found.id)

    asyncio.run(keep())


def test_a_refusal_counts_as_a_disagreement_and_a_person_may_keep_the_judge(labelled: Labelled) -> None:
    """The new criterion mends units and refuses every third answer: held-out labels cannot tell which is better."""
    labelled.models.forget(REFUSES)
    task, found = labelled.align(judge="measure", seed=2, held_out=0.8)
    assert task.state == "done" and found.stage == "done", task
    assert found.after is not None and found.difference is not None and found.before is not None
    refused = found.after.not_marked
    assert refused > 8 and found.after.rate == 1.0 and found.difference.n == 48
    apart = (48 - refused) / 48 - (found.before.rate or 0)
    assert found.difference.value == pytest.approx(apart)
    assert found.verdict == "within chance" and found.kept_as == "", found
    assert "do not show that it is better, so nothing is kept." in task.message
    assert f"Keep it all the same: genops labels keep {found.id}" in str(views.alignment(found, ""))

    async def keep() -> JudgeAlignment:
        async with opened(labelled.home) as lab:
            return await lab.application.get(JudgeAlignments).keep_alignment(found.id)

    kept = asyncio.run(keep())
    assert kept.kept_as.startswith("measure-aligned") and "Refuse to judge" in kept.rubric
    assert not any("nothing is kept" in each for each in kept.sentences)


def test_the_budget_is_not_passed(labelled: Labelled) -> None:
    async def work() -> tuple[Task, float]:
        async with opened(labelled.home) as lab:
            alignments = lab.application.get(JudgeAlignments)
            body = labelled.body(judge="measure", seed=3)
            cost = await alignments.get_alignment_cost(body)
            (comparing,) = [each.money for each in cost.parts if "held-out" in each.model]
            assert comparing is not None and cost.money is not None and cost.money > comparing
            with pytest.raises(InvalidRequest, match="The comparison on 30 held-out labels alone may cost"):
                await alignments.start_alignment(msgspec.structs.replace(body, money=comparing / 2))
            money = comparing + 1e-6  # nothing is left for the writer
            begun = await alignments.start_alignment(msgspec.structs.replace(body, money=money))
            return await lab.tasks.wait(begun.task.id), money

    task, money = asyncio.run(work())
    assert task.state == "failed" and "could pass the budget of" in task.message, task
    assert len(labelled.models.stub.said) * TOKENS_OF_CALL / 1e6 <= money


def test_what_cannot_be_aligned_is_named(labelled: Labelled) -> None:
    async def work() -> None:
        async with opened(labelled.home) as lab:
            alignments = lab.application.get(JudgeAlignments)
            refused: list[tuple[dict[str, Any], str]] = [
                ({"judge": "contains"}, "'contains' is no rubric"),
                ({"judge": "nobody"}, "has no scorer 'nobody'"),
                ({"judge": "measure", "writer": "nobody"}, "nobody"),
                ({"judge": "measure", "held_out": 0.9}, "are needed: 20 that the writer does not see"),
                ({"evaluation": "nothing-0"}, "no evaluation of answers"),
            ]
            for change, said in refused:
                with pytest.raises((InvalidRequest, NotFound), match=said):
                    await alignments.start_alignment(labelled.body(**change))
            with pytest.raises(NotFound, match="There is no alignment"):
                await alignments.get_alignment("0123456789ab")

    asyncio.run(work())
    assert not labelled.models.stub.said


def test_the_command_asks_first_and_a_killed_lab_goes_on(labelled: Labelled, tmp_path: Path) -> None:
    home, models = labelled.home, labelled.models
    models.hangs = lambda text: "<answer>" in text and len(models.of_judge) > 10

    def genops(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*program("genops_lab.commands.main"), *arguments], capture_output=True, text=True, cwd=home.work,
            env=home.environment(), timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    command = f"labels align {labelled.evaluation} --judge measure --writer writer --rounds 1".split()
    with running_lab(home) as lab:
        code, _, err = genops(*command)
        assert code == 4 and models.stub.said == [], err
        assert (
            "j judges, training labels: 30 calls, at most" in err and "writer writes: 1 call, at most" in err
        )
        assert "The writer sees 30 answers with labels of measure; 30 answers are held out." in err
        body = {
            "evaluation": labelled.evaluation,
            "judge": "measure",
            "writer": "writer",
            "rounds": 1,
            "seed": 5,
            "keep": "asked",
        }
        _, found = lab.request("POST", "genops/v1/judge-alignments", body)
        eventually(lambda: len(models.of_judge), lambda count: count > 11)
        lab.stop(signal.SIGKILL)
    answered = models.of_judge[:10]
    models.forget()
    with running_lab(home) as lab:
        path = f"genops/v1/judge-alignments/{found['alignment']['id']}"
        done = eventually(lambda: lab.get(path), lambda each: each["stage"] == "done")
        # A person asks for the judge: nothing is kept before.
        assert (done["verdict"], done["kept_as"], done["rubric"]) == ("better", "", "")
        assert "The held-out labels show that it is better. It is not kept yet." in done["sentences"]
        assert "".join(each["text"] for each in done["changed"] if each["change"] != "removed") == BETTER
        listed = lab.get(f"genops/v1/judge-alignments?evaluation={labelled.evaluation}")["items"]
        assert listed[0] == done and {each["evaluation"] for each in listed} == {labelled.evaluation}
        assert lab.get("genops/v1/judge-alignments?evaluation=nothing-0")["items"] == []
        assert not models.of_writer
        # Nothing that was answered before is asked again.
        assert not set(answered) & set(models.of_judge) and len(models.of_judge) == ROWS - 10
        file = tmp_path / "judge.yaml"
        code, out, err = genops("labels", "keep", done["id"], "--file", str(file))
        assert code == 0 and "genops evaluate score" in out and BETTER in out, err
        kept = lab.get(path)["kept_as"]
        assert kept.startswith("measure-aligned")
        assert f"name: {kept}" in file.read_text() and "aligned:" in file.read_text()
        code, _, err = genops("labels", "keep", done["id"], "--file", str(file))
        assert code != 0 and "File exists" in err
        code, out, err = genops(*command, "--seed", "6", "--yes")
        assert code == 0 and re.search(r"after +1\.00 ", out) and "1 criterion was tried" in out, err


def test_a_judge_that_is_not_aligned_stays_the_same_judge() -> None:
    """Labels of before alignments were there hold: the identity of a rubric did not change."""
    judge = Rubric(name="helpful", model="j", criterion="It helps.", scale=[WRONG, RIGHT])
    assert identity(judge) == "cb6b0e949239d102c81b9921"
    aligned = msgspec.structs.replace(judge, aligned=Aligned(labels="helpful", rows=["0123456789ab"]))
    assert identity(aligned) != identity(judge)
