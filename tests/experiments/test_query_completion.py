"""What is offered where somebody types: names, operators, keywords and values, and what becomes of the text."""

from __future__ import annotations

import pytest

from genops_lab.experiments.query import complete, parse
from tests.support.run_columns import Row, RowColumns

RUNS = RowColumns(
    [
        Row(
            {"run_name": "resnet", "status": "FINISHED", "experiment": "digits"},
            {"accuracy": 0.9, "val/accuracy": 0.8, "top 5": 1.0},
            {"lr": "0.1", "optimizer": "adam"},
            {"it's": "it's", "long": "x" * 101},
        ),
        Row({"status": "FAILED"}, {}, {"optimizer": "adam"}, {"debug": "1"}),
        Row({"status": "FINISHED"}, {}, {"optimizer": "sgd"}),
    ]
)


def offered(marked: str) -> list[str]:
    """What the text would become, for each completion; | is the cursor."""
    cursor = marked.index("|")
    text = marked.replace("|", "")
    return [text[: one.start] + one.text + text[one.end :] for one in complete(text, cursor, RUNS)]


@pytest.mark.parametrize(
    ("marked", "becomes"),
    [
        ("acc|", ["metrics.accuracy", "metrics.val/accuracy"]),
        ("metrics.|", ["metrics.accuracy", 'metrics."top 5"', "metrics.val/accuracy"]),
        ("metric.ACC|", ["metrics.accuracy", "metrics.val/accuracy"]),
        ("metrics.acc|uracy > 1", ["metrics.accuracy > 1", "metrics.val/accuracy > 1"]),
        ('metrics."to|', ['metrics."top 5"']),
        ('metrics."to|p 5" > 1', ['metrics."top 5" > 1']),
        ("run_n|", ["run_name"]),
        ("(NOT exp|)", ["(NOT experiment)", "(NOT experiment_id)"]),
        ("params.optimizer li|", ["params.optimizer LIKE", "params.optimizer ILIKE"]),
        ("params.lr no|", ["params.lr NOT IN", "params.lr IS NOT NULL"]),
        ("status NOT |", ["status NOT CONTAINS", "status NOT LIKE", "status NOT ILIKE", "status NOT IN"]),
        ("resnet AND metrics.accuracy not b|", ["resnet AND metrics.accuracy not BETWEEN"]),
        ("params.lr >|", []),
        ("params.optimizer IS |", ["params.optimizer IS NULL", "params.optimizer IS NOT NULL"]),
        ("metrics.accuracy IS NA|", ["metrics.accuracy IS NAN", "metrics.accuracy IS NOT NAN"]),
        ("metrics.accuracy > 1 |", ["metrics.accuracy > 1 AND", "metrics.accuracy > 1 OR"]),
        ("metrics.accuracy > 1 o|", ["metrics.accuracy > 1 OR"]),
        ("metrics.accuracy BETWEEN 1 |", ["metrics.accuracy BETWEEN 1 AND"]),
        ("status = |", ["status = 'FINISHED'", "status = 'FAILED'"]),
        ("status = fa|", ["status = 'FAILED'"]),
        ("params.lr = 1 OR status = fa|", ["params.lr = 1 OR status = 'FAILED'"]),
        ("status = 'fa|'", ["status = 'FAILED'"]),
        ("status = 'FINISHED'| AND x", []),
        ("params.optimizer IN ('sgd', a|)", ["params.optimizer IN ('sgd', 'adam')"]),
        ("params.optimizer IN |", ["params.optimizer IN ("]),
        ("tags.\"it's\" = |", ["tags.\"it's\" = 'it''s'"]),
        ("tags.long = |", []),
        ("params.absent = |", []),
        ("start_time IN last 7|", []),
        ("start_time > y|", ["start_time > yesterday", "start_time > today"]),
        ("duration > 1|", ["duration > 1m", "duration > 10m", "duration > 1h", "duration > 1d"]),
        ("metrics.accuracy > |", []),
        ("metrics.accuracy = = |", []),
        ("'not closed| ", []),
    ],
)  # fmt: skip
def test_what_is_offered(marked: str, becomes: list[str]) -> None:
    assert offered(marked) == becomes


def test_an_empty_query_is_offered_names_and_not() -> None:
    found = complete("", 0, RUNS)
    texts = [one.text for one in found]
    assert {"status", "metrics.accuracy", "params.lr", "tags.debug", 'tags."it\'s"', "NOT"} <= set(texts)
    assert {one.kind for one in found} == {"attribute", "metric", "param", "tag", "keyword"}


def test_values_say_how_many_runs_have_them() -> None:
    assert [(one.text, one.detail, one.kind) for one in complete("params.optimizer = ", 19, RUNS)] == [
        ("'adam'", "2 runs", "value"),
        ("'sgd'", "1 run", "value"),
    ]


def test_operators_fit_what_stands_before_them() -> None:
    numbers = {one.text for one in complete("metrics.accuracy ", 17, RUNS)}
    texts = {one.text for one in complete("params.lr ", 10, RUNS)}
    assert {"BETWEEN", ">", "IS NAN"} <= numbers and "LIKE" not in numbers
    assert {"LIKE", "=~", ">", "BETWEEN"} <= texts and "IS NAN" not in texts
    assert "BETWEEN" not in {one.text for one in complete("status ", 7, RUNS)}


def test_names_and_values_that_are_offered_can_be_asked() -> None:
    for name in (one.text for one in complete("", 0, RUNS) if one.kind in ("metric", "param", "tag")):
        for value in complete(f"{name} = ", len(name) + 3, RUNS):
            assert parse(f"{name} = {value.text}").mask(RUNS, now=0).any()
        assert parse(f"{name} IS NOT NULL").mask(RUNS, now=0).any()


def test_many_names_are_bounded_and_the_begun_one_is_found() -> None:
    runs = RowColumns([Row(metrics={f"layer.{at}": 1.0 for at in range(12_000)})])
    assert len(complete("", 0, runs)) == 50
    assert [one.text for one in complete("11999", 5, runs)] == ["metrics.layer.11999"]


def test_a_name_that_no_run_has_is_doubted_with_what_is_near() -> None:
    query = parse("metrics.acuracy > 0.9 AND params.\"lr\" = '1' OR tags.what IS NULL OR resnet")
    first, second = query.doubts(RUNS)
    assert (first.message, first.hint) == (
        "No run has metrics.acuracy.",
        "Did you mean metrics.accuracy or metrics.val/accuracy?",
    )
    assert query.text[first.position : first.position + first.length] == "metrics.acuracy"
    assert (second.message, second.hint) == ("No run has tags.what.", "")
