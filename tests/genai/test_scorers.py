"""Scorers: what each gives for good, bad and hostile answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.genai.scorers.base import Answered, Score
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.running import running


def scorer_of(kind: str, **given: Any) -> Any:
    """The scorer of an evaluation file's entry."""
    return msgspec.convert({"scorer": kind, **given}, Scorer)


def score(kind: str, text: str = "", row: dict[str, Any] | None = None, **given: Any) -> Score:
    """The score of one answer; keywords that `Answered` has are of the answer, others of the scorer."""
    of_answer = {key: given.pop(key) for key in set(given) & set(Answered.__struct_fields__)}
    with running(scorer_of(kind, **given), Path.cwd()) as scoring:
        return scoring.score([Answered(text=text, row=row or {}, **of_answer)])[0]


@pytest.mark.parametrize(
    ("kind", "given", "text", "expected", "value"),
    [
        ("exact", {}, " Lima\n", "Lima", 1.0),
        ("exact", {}, "lima", "Lima", 0.0),
        ("exact", {"ignore_case": True}, "STRASSE", "Straße", 1.0),
        ("contains", {}, "It is lima.", "Lima", 1.0),
        ("contains", {}, "anything", "", None),
        ("numeric", {}, "1 + 1 is 1,234.50.", 1234.5, 1.0),
        ("numeric", {"absolute": 0.1}, "about 3.2", 3.14, 1.0),
        ("numeric", {}, "none", 3, 0.0),
        ("numeric", {}, "3", "three", None),
        ("numeric", {}, "3", float("nan"), None),
    ],
)
def test_a_rule_tells_right_from_wrong(
    kind: str, given: dict[str, Any], text: str, expected: Any, value: float | None
) -> None:
    assert score(kind, text, {"expected": expected}, **given).value == value


def test_a_pattern_that_never_ends_costs_one_answer_and_the_others_are_scored() -> None:
    with running(scorer_of("regex", pattern="(a+)+$", timeout_s=0.5), Path.cwd()) as scoring:
        found = scoring.score([Answered(text=text) for text in ("aa", "a" * 50 + "b", "", "ab a")])
    assert [each.value for each in found] == [1.0, None, 0.0, 1.0]
    assert found[1].reason == "regex: no score within 0.5 s"


def test_json_keeps_to_its_schema_and_nothing_is_fetched() -> None:
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    answers = [
        '{"city": "Lima"}',
        'Here:\n```json\n{"city": "Lima"}\n```',
        '{"city": 3}',
        "Lima",
        "[" * 100_000,
    ]
    with running(scorer_of("json_schema", schema=schema), Path.cwd()) as scoring:
        found = scoring.score([Answered(text=text) for text in answers])
    assert [each.value for each in found] == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert found[2].reason == "$.city: 3 is not of type 'string'"
    far = score("json_schema", "{}", schema={"$ref": "http://127.0.0.1:9/schema.json"})
    assert far.value is None and "Unresolvable" in far.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scorer": "regex", "pattern": "(a"}, "the pattern is no regular expression"),
        ({"scorer": "json_schema", "schema": {"type": "text"}}, "the schema is no JSON Schema"),
        ({"scorer": "exactly"}, "'exactly'"),
        ({"scorer": "exact", "expect": "x"}, "expect"),
        ({"scorer": "regex", "pattern": "a", "timeout_s": 0}, "timeout_s must be above 0"),
    ],
)
def test_a_scorer_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(given, Scorer)
