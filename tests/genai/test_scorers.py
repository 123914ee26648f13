"""Scorers: what each gives for good, bad and hostile answers."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.genai.scorers import running as running_scorers
from genops_lab.genai.scorers.base import Answered, CannotScore, Score
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.running import running
from genops_lab.genai.scorers.sandbox.sandbox import chosen
from tests.support.warm import program


def scorer_of(kind: str, **given: Any) -> Any:
    """The scorer of an evaluation file's entry."""
    return msgspec.convert({"scorer": kind, **given}, Scorer)


@pytest.fixture
def sandboxed() -> None:
    """Skip where no way of the sandbox works, such as on macOS."""
    try:
        chosen()
    except CannotScore as error:
        pytest.skip(error.message)


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
        ("numeric", {}, "I counted 1, 2 and 3: 1,2,3", 3, 1.0),
        ("numeric", {}, "It was 1,234, I think.", 1234, 1.0),
        ("numeric", {}, "in the years 2020-2021", 2021, 1.0),
        ("numeric", {}, "It is −5.", -5, 1.0),
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


_CALLS = [
    {"type": "function", "function": {"name": "find", "arguments": '{"city": "Lima", "days": 3}'}},
    {"type": "function", "function": {"name": "book", "arguments": "{}"}},
]
_FIND, _BOOK = {"name": "find", "arguments": {"city": "Lima", "days": 3}}, {"name": "book"}


@pytest.mark.parametrize(
    ("given", "expected", "value"),
    [
        ({}, [_FIND, _BOOK], 1.0),
        ({}, [_BOOK, _FIND], 0.0),
        ({"order": False}, [_BOOK, _FIND], 1.0),
        ({"partial": True}, [_BOOK, _FIND], 0.5),
        ({}, [_FIND], 0.0),
        ({"more": True}, [_FIND], 1.0),
        ({"more": True, "arguments": "at_least"}, [{"name": "find", "arguments": {"city": "Lima"}}], 1.0),
        ({"more": True}, [{"name": "find", "arguments": {"city": "Lima"}}], 0.0),
        ({"more": True, "arguments": "any"}, [{"name": "find"}], 1.0),
        ({}, '[{"name": "find", "arguments": {"city": "Lima", "days": 3}}, {"name": "book"}]', 1.0),
        ({}, [], 0.0),
        ({}, "find", None),
        ({}, 5, None),
        # Greedy matching would give the first call to the first expected one, and nothing to the second.
        ({"order": False, "arguments": "at_least", "more": True}, [{"name": "find"}, _FIND], 0.0),
    ],
)
def test_calls_of_tools_match_by_name_arguments_and_order(
    given: dict[str, Any], expected: Any, value: float | None
) -> None:
    assert score("tool_calls", row={"expected": expected}, tool_calls=_CALLS, **given).value == value


def test_retrieval_agrees_with_scikit_learn_and_by_hand() -> None:
    import numpy as np
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        gains = rng.integers(0, 4, 10)
        if not gains.any():
            continue
        order = rng.permutation(10)
        places = np.empty(10)
        places[order] = np.arange(10)
        row = {
            "retrieved": [int(each) for each in order],
            "relevant": {str(at): int(gain) for at, gain in enumerate(gains)},
        }
        assert score("retrieval", row=row, k=5).value == pytest.approx(ndcg_score([gains], [-places], k=5))
    row = {"retrieved": "x, a, b, a", "relevant": '["a", "c"]'}
    found = {
        name: score("retrieval", row=row, measure=name, k=3).value
        for name in ("hit", "recall", "precision", "mrr")
    }
    assert found == {"hit": 1.0, "recall": 0.5, "precision": pytest.approx(1 / 3), "mrr": 0.5}
    assert score("retrieval", '[{"id": "c"}]', row, answer=True, measure="mrr").value == 1.0
    assert (
        score("retrieval", row={"retrieved": ["a"], "relevant": []}).reason
        == "the row has no relevant document"
    )
    assert scorer_of("retrieval", k=3).label == "ndcg@3"


@pytest.mark.parametrize(
    ("kind", "given", "text", "value"),
    [
        ("length", {"at_most": 3}, "one two three", 1.0),
        ("length", {"at_least": 4}, "one two three", 0.0),
        ("length", {"unit": "characters"}, "abc", 3.0),
        ("length", {"unit": "tokens"}, "abc", None),
        ("latency", {}, "", None),
        ("latency", {"latency_s": 2.0, "at_most": 1}, "", 0.0),
        ("cost", {"at_most": 1}, "", None),
        ("cost", {"money": 0.5}, "", 0.5),
        ("refusal", {}, "I'm sorry, but I can't help with that.", 0.0),
        ("refusal", {}, "The capital is Lima. I cannot recommend it more.", 0.0),
        ("refusal", {}, "I’m sorry, but I can’t help with that.", 0.0),
        ("refusal", {}, "The capital of Peru is Lima.", 1.0),
        ("refusal", {}, "x" * 400 + " I cannot help", 1.0),
        ("refusal", {"row": {"bad": "true"}, "should": "bad"}, "I am unable to do this.", 1.0),
        ("refusal", {"finish_reason": "content_filter"}, "", 0.0),
        ("format", {"shape": "json"}, '```json\n{"a": 1}\n```', 1.0),
        ("format", {"shape": "number"}, " 1,200.5 ", 1.0),
        ("format", {"shape": "list"}, "- a\n- b\n\n3. c", 1.0),
        ("format", {"shape": "date"}, "2026-13-01", 0.0),
        ("format", {"shape": "line"}, "a\nb", 0.0),
        ("format", {"shape": "choice", "choices": ["Yes", "No"]}, "yes.", 1.0),
    ],
)  # fmt: skip
def test_rules_about_length_time_cost_refusal_and_shape(
    kind: str, given: dict[str, Any], text: str, value: float | None
) -> None:
    assert score(kind, text, **given).value == value


_FUNCTIONS = """
import os, sys, time
def right(text, row): return text == row["expected"]
def with_reason(text): return 0.25, "a quarter"
def hostile(text):
    if text == "raises": raise KeyError("a column")
    if text == "prints": [os.write(1, b"x" * 65536) for _ in range(16384)]
    if text == "forks":
        if os.fork() == 0: return 0
        return 1
    if text == "sleeps": time.sleep(60)
    if text == "exits": os._exit(3)
    if text == "nan": return float("nan")
    if text == "text": return "good"
    if text == "none": return None
    if text == "memory": return len(bytearray(8 << 30))
    if text == "replies": os.write(3, b"{}\\n"); return 1
    print("heard", text)
    return True
def reads(row): return len(open(row["path"]).read())
"""


@pytest.mark.usefixtures("sandboxed")
def test_a_function_scores_and_one_that_goes_wrong_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_FUNCTIONS)
    texts = [
        "fine",
        "raises",
        "prints",
        "forks",
        "sleeps",
        "exits",
        "nan",
        "text",
        "none",
        "memory",
        "replies",
        "fine",
    ]
    mine = scorer_of("function", file="mine.py", function="hostile", timeout_s=4, name="my scorer")
    with running(mine, tmp_path) as scoring:
        found = scoring.score([Answered(text=text) for text in texts])
    values = {text: each.value for text, each in zip(texts, found, strict=True)}
    assert values == dict.fromkeys(texts) | {"fine": 1.0, "forks": 1.0}
    reasons = {text: each.reason for text, each in zip(texts, found, strict=True)}
    assert reasons["raises"] == "the scorer raised KeyError: 'a column'"
    assert reasons["prints"] == "my scorer: it printed over 8 MB"
    assert reasons["sleeps"] == "my scorer: no score within 4 s"
    assert reasons["exits"] == "my scorer: its process ended with 3"
    assert reasons["nan"] == "the scorer returned nan" and "MemoryError" in reasons["memory"]
    assert reasons["text"] == "the scorer returned 'good', which is no number"
    with running(scorer_of("function", file="mine.py", function="with_reason"), tmp_path) as scoring:
        assert scoring.score([Answered(text="")]) == [Score(value=0.25, reason="a quarter")]
    key = tmp_path / "key"
    key.write_text("secret")
    for sandbox, value in ((True, None), (False, 6.0)):
        reads = scorer_of("function", file="mine.py", function="reads", sandbox=sandbox)
        with running(reads, tmp_path) as scoring:
            assert scoring.score([Answered(text="", row={"path": str(key)})])[0].value == value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scorer": "function", "file": "none.py"}, "cannot read none.py"),
        ({"scorer": "function", "file": "../out.py"}, "is outside the folder"),
        ({"scorer": "function", "file": "bad.py"}, "bad.py raised SyntaxError"),
        ({"scorer": "function", "file": "empty.py"}, "has no function 'score'"),
        ({"scorer": "mlflow", "class": "Goodness"}, "MLflow has no scorer 'Goodness'"),
        ({"scorer": "mlflow", "class": "RegexMatch"}, "refuses its arguments"),
    ],
)
@pytest.mark.usefixtures("sandboxed")
def test_a_scorer_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    if given["scorer"] == "mlflow":  # the test of the libraries' numbers starts such a process cold
        monkeypatch.setattr(running_scorers, "_CHILD", list(program("genops_lab.genai.scorers.child")))
    (tmp_path / "bad.py").write_text("def (")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(CannotScore, match=said), running(msgspec.convert(given, Scorer), tmp_path):
        pass


@pytest.mark.usefixtures("sandboxed")
def test_code_of_an_answer_passes_its_tests_or_says_why_not() -> None:
    tests = "assert double(2) == 4"
    answers = {
        "```python\ndef double(x):\n    return 2 * x\n```": (1.0, ""),
        "def double(x): return x": (0.0, "AssertionError"),
        "def double(x): return 2 *": (0.0, "SyntaxError: invalid syntax"),
        "raise SystemExit(0)": (0.0, "it ended before its tests did"),
        "while True: pass": (0.0, "it ran for over 2 s"),
        "open('/etc/shadow').read()": (0.0, "Permission denied|No such file"),
    }
    with running(scorer_of("code", timeout_s=2), Path.cwd()) as scoring:
        found = scoring.score([Answered(text=text, row={"tests": tests}) for text in answers])
    for (value, reason), each in zip(answers.values(), found, strict=True):
        assert each.value == value and re.search(reason, each.reason)
    given = {"program": "{{answer}}", "stdin": "given", "stdout": "wanted"}
    row = {"given": "3", "wanted": "6\n"}
    assert score("code", "print(2 * int(input()))", row, **given).value == 1.0
    assert score("code", "print(2)", row, **given).value == 0.0
    assert score("code", "print(2)", {}, **given).reason == "the row has no 'given'"


def test_scorers_of_libraries_give_their_libraries_numbers() -> None:
    row = {"expected": ["The cat sat on the mat.", "A cat was there."]}
    found = score("mlflow", "It is 42", {}, **{"class": "RegexMatch", "arguments": {"pattern": r"\d+"}})
    assert found.value == 1.0 and found.reason.startswith("Output matches")
    sacrebleu = pytest.importorskip("sacrebleu", reason="pip install 'genops-lab[text-scores]'")
    wanted = sacrebleu.sentence_chrf("The cat sat on a mat.", row["expected"]).score / 100
    assert score("sacrebleu", "The cat sat on a mat.", row).value == pytest.approx(wanted)
    assert score("sacrebleu", "The cat sat on the mat.", row, measure="ter").value == 1.0
    # By hand: 5 of 6 words in one order.
    assert score("rouge", "The cat sat on a mat.", row).value == pytest.approx(5 / 6)
    if find_spec("sentence_transformers") is None:
        with pytest.raises(CannotScore) as missing:
            score("embeddings", "x", row)
        assert missing.value.hint == "pip install 'genops-lab[embeddings]'"
