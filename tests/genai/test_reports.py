"""What reports say of answers: repeats, clusters, comparisons, stopping early, judges with labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from genops_lab.commands.views import answers as answer_views
from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.genai.endpoints.endpoint import Answer, Endpoint
from genops_lab.genai.evaluations.evaluation_file import EvaluationFileError, read_evaluation
from genops_lab.genai.evaluations.journal import Call, Key
from genops_lab.genai.evaluations.kept_labels import KeptLabels
from genops_lab.genai.evaluations.models import (
    AnswerEvaluation,
    AnswersQuery,
    AnswersReport,
    ExamplesQuery,
    ModelAnswers,
    NewAnswerEvaluation,
    PlannedEvaluation,
    ScoresReport,
)
from genops_lab.genai.evaluations.process import AnswersProcess
from genops_lab.genai.evaluations.report import Question, Scores, compared, report_of
from genops_lab.genai.evaluations.report_labels import labels_of
from genops_lab.genai.evaluations.report_means import Means, Sequences
from genops_lab.genai.evaluations.report_messages import sentences
from genops_lab.genai.evaluations.results_folder import KeptLabel, KeptScore, find_folder
from genops_lab.genai.evaluations.stopping import looks, random_order, unknown_models
from genops_lab.genai.scorers.base import BaseScorer
from genops_lab.genai.scorers.judges import Pairwise, Rubric
from genops_lab.genai.scorers.rules import Exact, Given
from genops_lab.genai.scorers.rules_of_calls import Cost, Latency, Length
from genops_lab.statistics.clusters import cluster_mean
from tests.statistics.simulation import assert_error, trials

from .answering import Answering, Evaluating, questions

Marks = dict[Key, KeptScore]


def marks(model: str, values: Any, **more: Any) -> Marks:
    """Return the scores of a model: values of shape (examples,) or (examples, repeats)."""
    return {
        (model, str(example), repeat): KeptScore(
            model=model, example=str(example), repeat=repeat, value=float(value), **more
        )
        for example, row in enumerate(np.atleast_2d(np.asarray(values, float).T).T)
        for repeat, value in enumerate(row)
    }


def asked(of: Marks) -> dict[Key, Call]:
    return {
        key: Call(model=key[0], example=key[1], repeat=key[2], answer=Answer(text="x" * (hash(key) % 7)))
        for key in of
    }


def reported(scores: Scores, **more: Any) -> ScoresReport:
    more.setdefault("models", sorted({key[0] for of in scores.values() for key in of}))
    more.setdefault("scorers", {name: Exact(name=name) for name in scores})
    calls = asked({key: mark for of in scores.values() for key, mark in of.items()})
    return report_of(calls, scores, Question(**more))


def test_a_pairwise_judge_compares_the_two_models_of_a_pair() -> None:
    """It marks the second model alone, so the difference was "not known" and its wins decided nothing."""
    won = [1.0] * 45 + [0.5] * 5 + [0.0] * 10
    judge = Pairwise(model="j", name="better")
    labels = {("b", str(at), 0): KeptLabel(model="b", example=str(at), repeat=0, value=1.0, raters=1, chance=0.5)
              for at in range(30)}  # fmt: skip
    scores = {"better": marks("b", won)}
    report = reported(scores, scorers={"better": judge}, models=["a", "b"], labels={"better": labels})
    (found,) = report.compared
    assert [each.model for each in report.scored] == ["b"]  # the first model has no mark of its own
    assert found.difference.value == pytest.approx(35 / 60) and found.difference.n == 60
    assert found.verdict == "better" and found.points and (found.difference.low or 0) > 0.3
    assert (len(found.better), len(found.worse), found.new_failures) == (45, 10, None)
    assert report.sentences == [] and sentences(report)[0].startswith(
        "b beats a by 58.3 points in better (95 %"
    )
    assert found.corrected is not None and found.corrected.value is not None
    mean = report.scored[0].corrected
    assert mean is not None and found.corrected.value == pytest.approx(2 * (mean.value or 0) - 1)
    lost = reported(
        {"better": marks("b", [1 - each for each in won])}, scorers={"better": judge}, models=["a", "b"]
    )
    assert lost.compared[0].verdict == "worse"
    # An evaluation that stops when its answer is known looks at it too.
    question = Question(
        models=["a", "b"], scorers={"better": judge}, means=Sequences([str(at) for at in range(60)])
    )
    assert unknown_models(scores, question) == []
    assert unknown_models({"better": marks("b", [1.0, 0.0] * 30)}, question) == ["b"]


def test_three_examples_that_all_pass_and_repeats_tell_their_chances() -> None:
    found = reported({"exact": marks("a", [[1, 1], [1, 1], [1, 1]])}, repeats=2).scored[0]
    assert (found.mean.value, found.mean.high, found.within) == (1.0, 1.0, 0.0)
    assert found.mean.low == pytest.approx(0.025 ** (1 / 3), abs=0.01)  # Clopper and Pearson
    by_cluster = reported(
        {"exact": marks("a", [1, 1, 1])}, means=Means(dict.fromkeys("012", "one document"))
    ).scored[0]
    assert by_cluster.mean.n == 1 and by_cluster.mean.low is not None and by_cluster.mean.low < 0.05
    rng = np.random.default_rng(1)
    chance = rng.beta(2, 2, 4_000)
    drawn = rng.random((4_000, 3)) < chance[:, None]
    many = reported({"exact": marks("a", drawn)}, repeats=3).scored[0]
    assert many.pass_at_k is not None and many.pass_hat_k is not None
    assert many.pass_at_k.value == pytest.approx(1 - np.mean((1 - chance) ** 3), abs=0.02)
    assert many.pass_hat_k.value == pytest.approx(np.mean(chance**3), abs=0.02)
    assert many.between == pytest.approx(np.std(chance), abs=0.02)
    assert many.within == pytest.approx(np.sqrt(np.mean(chance * (1 - chance))), abs=0.02)


def test_the_variance_of_judgements_is_told_from_that_of_answers() -> None:
    rng = np.random.default_rng(2)
    found: Marks = {}
    for example, of_example in enumerate(rng.normal(0, 0.10, 400)):
        for repeat, of_answer in enumerate(rng.normal(0, 0.06, 2)):
            given = (0.5 + of_example + of_answer + rng.normal(0, 0.03, 3)).tolist()
            found["a", str(example), repeat] = KeptScore(
                model="a", example=str(example), repeat=repeat, value=float(np.mean(given)), judgements=given
            )
    spread = reported({"exact": found}, repeats=2).scored[0]
    assert (spread.between, spread.within, spread.judging) == (
        pytest.approx(0.10, abs=0.01), pytest.approx(0.06, abs=0.005), pytest.approx(0.03, abs=0.002),
    )  # fmt: skip


def test_standard_errors_of_clusters_are_those_of_statsmodels() -> None:
    """Its CR1 is our CR2 for clusters of one size, and its HC2 is our CR2 for clusters of one row."""
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(6)
    a = np.round(rng.random(60) * 0.7 + np.repeat(rng.random(12), 5) * 0.3, 3)
    b = np.clip(np.round(a + rng.normal(0.02, 0.2, 60), 3), 0, 1)
    labels = np.arange(60) // 5
    clusters = {str(at): str(label) for at, label in enumerate(labels)}
    scores = {"exact": marks("a", a) | marks("b", b)}
    report = reported(scores, means=Means(clusters))
    for values, found in ((a, report.scored[0].mean), (b - a, report.compared[0].difference)):
        fit = OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
        assert (found.n, found.value) == (12, pytest.approx(fit.params[0]))
        student = cluster_mean(values, labels)
        assert (student.low, student.high) == pytest.approx(tuple(fit.conf_int()[0]))
        assert None not in (found.low, found.high)  # it covers near the ends of the scale, too
        assert (found.low or 0) <= (student.low or 0) and (student.high or 0) <= (found.high or 0)
    single = cluster_mean(a, np.arange(60))
    fit = OLS(a, np.ones(60)).fit(cov_type="HC2", use_t=True)
    assert (single.low, single.high) == pytest.approx(tuple(fit.conf_int()[0]))


def test_a_comparison_names_new_failures_slices_and_is_corrected_for_its_number() -> None:
    rng = np.random.default_rng(3)
    n = 400
    one = (rng.random(n) < 0.5).astype(float)
    better = one.copy()
    better[:60], better[60:70] = 1.0, 0.0
    better[350:] = 0.0
    region = {str(at): "north" if at < 350 else "south" for at in range(n)}
    scores = {
        "exact": marks("a", one) | marks("b", better),
        "latency": marks("a", rng.normal(1.0, 0.1, n)) | marks("b", rng.normal(0.8, 0.1, n)),
    }
    scorers: dict[str, BaseScorer] = {"exact": Exact(), "latency": Latency()}
    report = reported(scores, scorers=scorers, slices={"region": region}, models=["a", "b"])
    exact, latency = report.compared
    failed = [str(at) for at in range(n) if better[at] < one[at]]
    assert exact.new_failures == failed and exact.mended == [str(at) for at in range(60) if not one[at]]
    assert latency.verdict == "better" and not latency.points and latency.new_failures is None
    verdicts = {each.value: each.verdict for each in exact.slices}
    assert verdicts == {"north": "better", "south": "worse"} and exact.tests == 2
    said = sentences(report)
    assert f"{len(failed)} new failures, {len(exact.mended)} mended." in said
    assert any(each.startswith("Where region is south, b is worse in exact: -") for each in said)
    # Of 20 scorers without a difference one would be "better" at 5 %; Holm's correction knows of all.
    chances = {f"s{at}": marks("a", rng.random(60)) | marks("b", rng.random(60)) for at in range(20)}
    assert {each.verdict for each in reported(chances, models=["a", "b"]).compared} == {"within chance"}
    equal = reported({"exact": marks("a", one) | marks("b", one)}, models=["a", "b"], smallest=0.02)
    assert equal.compared[0].verdict == "equal"


@pytest.mark.parametrize("scorer", [Length(), Latency(), Cost()])
def test_the_interval_of_a_length_a_time_or_a_cost_does_not_reach_below_0(scorer: BaseScorer) -> None:
    values = [0.0, 0.0, 0.0, 0.1, 40.0]
    one = {"of": marks("a", values)}
    (found,) = reported(one, scorers={"of": scorer}).scored
    assert found.mean.value == pytest.approx(8.02) and found.mean.low == 0 and (found.mean.high or 0) > 30
    (other,) = reported({"of": marks("a", [-1.0, *values])}, scorers={"of": Given()}).scored
    assert other.mean.low is not None and other.mean.low < -1


def test_several_equal_verdicts_are_corrected_and_one_is_not() -> None:
    """Each "equal" is a claim of its own: one of many scorers must not be equal by chance."""
    one = np.repeat([1.0, 0.0], [150, 150])
    other = one.copy()
    other[:4], other[150:154] = 0.0, 1.0  # eight rows of 300 differ
    scores = {f"s{at}": marks("a", one) | marks("b", other) for at in range(12)}

    def verdicts(count: int, smallest: float = 0.022, **more: Any) -> set[str]:
        few = dict(list(scores.items())[:count])
        report = reported(few, smallest=smallest, models=["a", "b"], **more)
        return {each.verdict for each in report.compared}

    assert verdicts(1) == verdicts(2) == {"equal"} and verdicts(12) == {"within chance"}
    half = {"half": {str(at): "one" if at % 2 else "other" for at in range(300)}}
    parts = reported({"s0": scores["s0"]}, smallest=0.05, models=["a", "b"], slices=half).compared[0].slices
    assert {each.verdict for each in parts} == {"equal"}
    clusters = Means({str(at): str(at // 2) for at in range(300)})
    assert verdicts(1, 0.045, means=clusters) == {"equal"}
    assert verdicts(12, 0.045, means=clusters) == {"within chance"}


@pytest.mark.parametrize("is_finite", [False, True])
def test_stopping_early_claims_a_difference_that_is_not_there_in_5_percent_at_most(is_finite: bool) -> None:
    rng, number, n = np.random.default_rng([4, is_finite]), trials(2_000, 150), 160
    wrong = 0
    for _ in range(number):
        right = rng.random((2, 2, n)) < 0.6  # two scorers, two models
        if is_finite:  # the set itself has no difference
            right[:, 1] = right[:, 0][:, rng.permutation(n)]
        order = [str(at) for at in rng.permutation(n)]
        scorers: dict[str, BaseScorer] = {"x": Exact(), "y": Exact()}
        question = Question(models=["a", "b"], scorers=scorers, means=Sequences(order, is_finite=is_finite))
        for count in (40, 80, n):  # the sequence itself looks after each row
            there = set(order[:count])
            scores = {
                name: {
                    key: mark
                    for key, mark in (marks("a", of[0]) | marks("b", of[1])).items()
                    if key[1] in there
                }
                for name, of in zip(scorers, right, strict=True)
            }
            verdicts = {each.verdict for each in compared(scores, question)}
            if verdicts != {"within chance"}:
                wrong += 1
                break
    assert_error(wrong, number, 0.05)


def test_looks_are_at_ends_of_clusters_in_a_stored_random_order() -> None:
    clusters = {str(at): str(at // 7) for at in range(200)}
    order = random_order(list(clusters), clusters)
    assert sorted(order) == sorted(clusters) and order != list(clusters)
    found = list(looks(order, clusters))
    assert found[-1] == 200 and all(clusters[order[at]] != clusters[order[at - 1]] for at in found[:-1])
    assert found == sorted(set(found)) and found[0] >= 40
    with pytest.raises(EvaluationFileError, match="line 3, column 18: stop_when_known needs two models"):
        read_evaluation(
            "apiVersion: genops/v1\nkind: Evaluation\nstop_when_known: true\nmetadata: {name: x}\ndata: x.csv\n"
            "prompt: q\nscorers: [{scorer: exact}]\nmodels: {a: {url: http://x/v1, model: m}}\n",
            "e.yaml",
        )


def test_an_evaluation_stops_when_the_difference_is_known_and_says_what_it_spared(tmp_path: Path) -> None:
    bad = {f"Question {at}" for at in range(0, 400, 2)}

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if "<answer>" in text:
            return 200, '{"reason": "fine", "mark": 5}', 0.0
        if text == "Question 7" and stub.bodies[number]["model"] == "stub":
            return 500, b"{}", 0.0
        is_bad = stub.bodies[number]["model"] == "stub" and text in bad
        return 200, "no" if is_bad else text.split()[-1], 0.0

    stub = Answering(reply)
    with stub.serving() as url:
        price = {"price": {"input": 1000.0, "output": 1000.0}}
        models = {"a": {"url": url, "model": "stub", **price}, "b": {"url": url, "model": "other", **price}}
        evaluating = Evaluating(
            tmp_path, url, questions(400), models=models, stop_when_known=True, tries=1, about="these rows",
            scorers=[{"scorer": "exact"}, {"scorer": "rubric", "criterion": "It is right.", "model": "j"}],
            judges={"j": {"url": url, "model": "judging"}}, smallest_difference=0.3,
        )  # fmt: skip
        judge = Endpoint(name="j", url=url, model="judging")
        state = evaluating.process.ask(evaluating.id, evaluating.endpoints, [judge])
        asked_of_all = len(stub.said)
        evaluating.process.score(evaluating.id, [judge])
        assert len(stub.said) == asked_of_all  # the looks have asked the judge already
    folder = find_folder(tmp_path / "answers", evaluating.id)
    report, asked_rows = folder.report(), state.models[0].wanted
    assert report is not None and report.stopped is not None and report.stopped.known
    answers = [each for each in stub.said if "<answer>" not in each]
    assert 40 <= asked_rows < 200 and len(answers) == 2 * asked_rows and report.stopped.examples == asked_rows
    assert report.stopped.spared == 2 * (400 - asked_rows)
    assert report.stopped.spared_money == pytest.approx(report.stopped.spared * 13 / 1000)
    assert {each.removeprefix("Question ") for each in answers} == {
        str(int(id) - 1) for id in folder.order()[:asked_rows]
    }
    verdicts = {each.scorer: each.verdict for each in report.compared}
    assert verdicts == {"exact": "better", "rubric": "equal"}
    first, *others = report.sentences
    assert first.startswith("b beats a by ") and first.endswith(f"after {asked_rows} of 400 examples.")
    assert any("answers were not asked for, which would have cost some" in each for each in others)
    again = len(stub.said)
    with stub.serving() as url:  # resuming asks for the failed call alone, and goes no further
        again_there = [msgspec.structs.replace(each, url=url) for each in evaluating.endpoints]
        resumed = evaluating.process.ask(
            evaluating.id, again_there, [msgspec.structs.replace(judge, url=url)]
        )
    assert len(stub.said) - again <= 2
    assert [each.wanted for each in resumed.models] == [asked_rows, asked_rows]


def test_a_resumed_evaluation_stops_where_it_had_stopped(tmp_path: Path) -> None:
    """Its first looks see the rows of then alone, and not the answers of later looks."""
    stub = Answering(lambda number, text, headers: (200, "", 0.0))

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        is_bad = stub.bodies[number]["model"] == "stub" and int(text.split()[-1]) % 12 == 0
        return 200, "no" if is_bad else text.split()[-1], 0.0

    stub.reply = reply
    with stub.serving() as url:
        models = {"a": {"url": url, "model": "stub"}, "b": {"url": url, "model": "other"}}
        evaluating = Evaluating(tmp_path, url, questions(600), models=models, stop_when_known=True)
        first = evaluating.ask()
        asked_rows = first.models[0].wanted
        assert 40 < asked_rows < 600  # 40 rows cannot show 8 points
        before = len(stub.said)
        assert evaluating.ask().models == first.models and len(stub.said) == before
        evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and report.sentences[0].endswith(f"after {asked_rows} of 600 examples.")


def test_a_judge_is_checked_and_corrected_by_labels_and_decides_nothing_before() -> None:
    rng = np.random.default_rng(5)
    n = 600
    truth = (rng.random((2, n)) < np.array([[0.6], [0.75]])).astype(float)
    kind = np.where(rng.random((2, n)) < 0.92, truth, 1.0)  # the judge is too kind
    judge = Rubric(criterion="Right", model="j", scale=["wrong", "right"])
    scores = {"rubric": marks("a", kind[0]) | marks("b", kind[1])}
    of: dict[str, Any] = {"scorers": {"rubric": judge}, "models": ["a", "b"]}
    unlabelled = reported(scores, **of)
    assert not unlabelled.judges[0].calibrated
    assert "is not calibrated: nobody labelled" in sentences(unlabelled)[-1]
    chosen = np.flatnonzero(rng.random(n) < 0.3)
    labels = {
        ("ab"[model], str(at), 0): KeptLabel(
            model="ab"[model], example=str(at), repeat=0, value=truth[model, at], raters=1, chance=0.3
        )
        for at in chosen
        for model in (0, 1)
    }
    found = reported(scores, labels={"rubric": labels}, **of)
    assert found.judges[0].calibrated and "The judge rubric agrees with people 0." in sentences(found)[-1]
    for model, each in enumerate(found.scored):
        assert (
            each.corrected is not None and each.corrected.low is not None and each.corrected.high is not None
        )
        assert each.corrected.low < truth[model].mean() < each.corrected.high
        assert each.mean.value is not None and each.mean.value > truth[model].mean()
    corrected = found.compared[0].corrected
    assert corrected is not None and corrected.low is not None and corrected.high is not None
    assert corrected.low < truth[1].mean() - truth[0].mean() < corrected.high
    by_cluster = {str(at): str(at // 20) for at in range(n)}
    wide = reported(scores, labels={"rubric": labels}, means=Means(by_cluster), **of).scored[0].corrected
    assert wide is not None and wide.n == 30 and wide.value == pytest.approx(truth[0].mean(), abs=0.06)
    by_chance = {
        key: msgspec.structs.replace(each, value=float(rng.random() < 0.5)) for key, each in labels.items()
    }
    kept = [KeptLabels(question="rubric", labels=list(labels.values()))]
    assert labels_of({"rubric": judge, "exact": Exact()}, kept, {}) == {"rubric": labels}
    assert not reported(scores, labels={"rubric": by_chance}, **of).judges[0].calibrated
    assert unknown_models({}, Question(models=["a"], scorers={})) == []


def test_a_plan_says_cost_power_duplicates_and_leaks_before_the_start(tmp_path: Path) -> None:
    rows = [
        {"q": f"Which of the {at} rivers of area {at * 7} flows into sea {at * 13}?", "expected": "x", "split": split}
        for split in ("test", "train")
        for at in range(50)
    ]  # fmt: skip
    rows[7]["q"] = rows[3]["q"].upper() + " "
    (tmp_path / "train.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": f"Please: {rows[9]['q']} Thanks a lot."}]})
        + "\n"
    )
    judge = {"scorer": "rubric", "criterion": "It is right.", "model": "j", "judgements": 2}
    more = {
        "models": {
            "a": {"url": "http://x/v1", "model": "m", "price": {"input": 1.0, "output": 10.0}},
            "b": {"url": "http://x/v1", "model": "n"},
        },
        "judges": {"j": {"url": "http://x/v1", "model": "judging", "settings": {"max_tokens": 20}}},
        "scorers": [{"scorer": "exact"}, judge], "settings": {"max_tokens": 100}, "repeats": 2,
        "only": {"split": "test"}, "training": "train.jsonl",
    }  # fmt: skip
    evaluating = Evaluating(tmp_path, "", rows, **more)
    body = NewAnswerEvaluation(text=evaluating.text, folder=str(tmp_path))
    plan = evaluating.process.plan(body)
    assert (plan.rows, [each.calls for each in plan.models], plan.judges[0].calls) == (50, [100, 100], 400)
    assert plan.models[0].output_tokens == 100 * 100 and plan.models[1].money is None
    assert plan.models[0].money == pytest.approx((plan.models[0].input_tokens + 10 * 100 * 100) / 1e6)
    assert plan.judges[0].input_tokens > 400 * 100  # answers as long as they may be
    shows = {each.differing: each.difference for each in plan.shows}
    assert shows[0.05] is None and shows[0.4] is not None and 0.2 < shows[0.4] < 0.4 and plan.tests == 2
    assert plan.notes[0].startswith("2 rows are nearly the same as others, such as 4, 8.")
    assert plan.notes[1].startswith("1 row is in train.jsonl: 10.")
    assert find_folder(tmp_path / "answers", evaluating.id).state().notes == plan.notes
    stops = evaluating.text.replace(
        '"repeats"', '"stop_when_known": true, "smallest_difference": 0.4, "repeats"'
    )
    early = evaluating.process.plan(NewAnswerEvaluation(text=stops, folder=str(tmp_path)))
    looked = {each.differing: each for each in early.shows}
    assert (looked[0.4].difference or 1.0) > (shows[0.4] or 0.0) and (looked[0.4].rows_if_same or 50) <= 50
    assert all(each.rows is None and each.rows_if_same is None for each in plan.shows)
    titles = [str(block) for block in answer_views.plan(early).blocks]
    assert any("rows asked until then" in each for each in titles) and early.tests == 2
    shown = str(answer_views.plan(plan).blocks)
    assert "asked until" not in shown and "['5 %', 'too few rows'" in shown
    assert "So few rows show no difference of models that differ on 20 % of them or fewer." in shown
    with pytest.raises(InvalidRequest, match="no column 'region'"):
        evaluating.process.plan(
            NewAnswerEvaluation(
                text=evaluating.text.replace('"repeats"', '"slices": ["region"], "repeats"'),
                folder=str(tmp_path),
            )
        )


def planned(folder: Path, rows: list[dict[str, Any]], **more: Any) -> PlannedEvaluation:
    """The plan of one model with a price, which may write 100 tokens in a call."""
    model = {"url": "http://x/v1", "model": "m", "price": {"input": 1.0, "output": 10.0, "currency": "EUR"}}
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "test"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "models": {"a": model}, "scorers": [{"scorer": "exact"}],
        "settings": {"max_tokens": 100}, **more,
    }  # fmt: skip
    if "harness" in file:
        del file["data"], file["prompt"], file["scorers"]
    body = NewAnswerEvaluation(text=json.dumps(file), folder=str(folder))
    return AnswersProcess(str(folder / "answers")).plan(body)


def test_a_plan_bounds_conversations_by_their_turns(tmp_path: Path) -> None:
    rows = [{"q": "A", "next": ["And B?", "And C?"]}, {"q": "D", "next": []}, {"q": "E", "next": ["F"] * 9}]
    talking = {"conversation": {"turns": "next", "most_turns": 4}, "repeats": 2}
    [found] = planned(tmp_path, rows, **talking).models
    assert (found.calls, found.output_tokens) == (2 * (3 + 1 + 4), 16 * 100)
    # The third call has both earlier answers as its input, and the fourth all three.
    assert (
        found.input_tokens is not None
        and 2 * (3 + 6) * 100 < found.input_tokens < 2 * (3 + 6) * 100 + 16 * 400
    )
    assert found.money == pytest.approx((found.input_tokens + 10 * 1600) / 1e6) and found.currency == "EUR"
    [open_] = planned(tmp_path, rows, **talking, settings={}).models
    assert (open_.calls, open_.input_tokens, open_.output_tokens, open_.money) == (16, None, None, None)
    used = planned(
        tmp_path,
        rows,
        tools=[{"name": "t", "column": "next"}],
        conversation={"turns": "next", "most_steps": 5},
    )
    assert (used.models[0].calls, used.models[0].output_tokens) == (5 * (3 + 1 + 10), 7000)
    assert used.models[0].money is None and "at most 5 times for each answer" in used.notes[-1]


def test_a_plan_counts_the_model_that_plays_the_user_and_what_judges_read(tmp_path: Path) -> None:
    customer = {
        "url": "http://x/v1",
        "model": "c",
        "settings": {"max_tokens": 50},
        "price": {"input": 1, "output": 1},
    }
    judge = {"scorer": "rubric", "criterion": "It is right.", "model": "j"}
    more = {
        "judges": {"customer": customer, "j": {**customer, "model": "j"}}, "scorers": [judge],
        "conversation": {"user": {"model": "customer", "prompt": "You want {{q}}."}, "most_turns": 3},
    }  # fmt: skip
    found = planned(tmp_path, [{"q": "A"}, {"q": "B"}], **more)
    assert found.user is not None and found.user.money is not None
    assert (found.models[0].calls, found.user.calls, found.user.output_tokens) == (6, 4, 200)
    # Without a prompt the user begins.
    begins = planned(tmp_path, [{"q": "A"}, {"q": "B"}], **more, prompt="").user
    assert begins is not None and begins.calls == 6
    [read] = found.judges
    assert (read.model, read.calls) == ("j", 2) and read.input_tokens is not None
    assert read.input_tokens > 2 * 4 * (
        3 * 100 + 2 * 50
    )  # three answers and two turns of the user, in characters
    open_ = planned(tmp_path, [{"q": "A"}], **more, settings={})
    assert open_.judges[0].input_tokens is None and open_.user is not None and open_.user.input_tokens is None


def test_a_plan_says_what_is_not_known_of_a_task_of_another_harness(tmp_path: Path) -> None:
    found = planned(tmp_path, [], harness={"inspect": "tasks/x", "limit": 20}, repeats=3)
    assert (found.rows, found.models[0].calls, found.models[0].money) == (20, None, None)
    assert "at most 60 answers, those to 20 rows" in found.notes[1]
    assert "not known" in "".join(str(block) for block in answer_views.plan(found).blocks)
    found = planned(tmp_path, [], harness={"lm_eval": "x"})
    assert found.rows is None and "Its rows are not known either." in found.notes[1]


def test_the_report_for_a_pull_request_has_slices_and_the_currency() -> None:
    n = 60
    region = {str(at): "north" if at < 30 else "south" for at in range(n)}
    scores = {"exact": marks("a", [1.0] * n) | marks("b", [0.0] * 30 + [1.0] * 30)}
    report = reported(scores, slices={"region": region})
    model = ModelAnswers(model="a", wanted=n, answered=n, money=0.0123, currency="EUR")
    evaluation = AnswerEvaluation(
        id="e-1", name="e", created_at=0.0, data="d", digest="d" * 64, rows=n, repeats=1, scorers=["exact"],
        models=[model], stage="done",
    )  # fmt: skip
    text = answer_views.markdown(AnswersReport(evaluation=evaluation, report=report))
    assert "| model | scorer | where | rows | difference | 95 % interval | verdict |" in text
    assert "| b | exact | region north | 30 | -1.000 |" in text and "| 0.0123 EUR |" in text


def test_two_results_of_the_same_rows_are_compared_and_others_refused(tmp_path: Path) -> None:
    stub = Answering(lambda number, text, headers: (200, text.split()[-1], 0.0))
    with stub.serving() as url:
        first = Evaluating(tmp_path, url, questions(30))
        first.ask()
        stub.reply = lambda number, text, headers: (200, "no" if "1" in text else text.split()[-1], 0.0)
        second = Evaluating(tmp_path, url, questions(30))
        second.ask()
        for each in (first, second):
            each.process.score(each.id, [])
        (tmp_path / "rows.jsonl").unlink()
        other = Evaluating(tmp_path, url, questions(29))
    found = second.process.compare(second.id, first.id)
    assert found.compared[0].new_failures == [str(at + 1) for at in range(30) if "1" in str(at)]
    assert found.sentences[0].startswith(f"a is worse than a of {first.id} by 40 points in exact")
    with pytest.raises(Conflict, match="have different rows"):
        second.process.compare(second.id, other.id)
    query = ExamplesQuery(scorer="exact", models="a", against=first.id, against_model="a")
    listed = second.process.examples(second.id, query)
    assert listed.models == ["a", "a"]
    assert [[each.value for each in line.results] for line in listed.examples[:3]] == [[1, 1], [1, 0], [1, 1]]
    with pytest.raises(Conflict, match="have different rows"):
        second.process.examples(second.id, msgspec.structs.replace(query, against=other.id))
    shown = second.process.answers(second.id, AnswersQuery(example="2", against=first.id)).items[0]
    assert {each.evaluation: each.text for each in shown.answers} == {second.id: "no", first.id: "1"}
