"""What is no query is refused with its place, and nothing that is typed breaks the reader."""

from __future__ import annotations

import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.experiments.query import Name, NotInColumns, QueryError, complete, parse
from tests.support.exhaustive import examples
from tests.support.golden import Sentences
from tests.support.run_columns import Row, RowColumns

RUNS = RowColumns(
    [
        Row(
            {
                "run_id": "0" * 32,
                "run_name": "resnet",
                "status": "FINISHED",
                "start_time": 1e9,
                "duration": 5.0,
            },
            {"accuracy": 0.9, "loss": float("nan")},
            {"lr": "0.1", "optimizer": "adam"},
            {"note": "a\nb"},
        ),
        Row(),
    ]
)


def refused(text: str) -> QueryError:
    with pytest.raises(QueryError) as found:
        parse(text)
    return found.value


# What is wrong stands between « and »; » alone is the end of the text. Its sentences are in tests/golden.
WRONG = [
    "metrics.a >»",
    "metrics.a > 1 AND»",
    "metrics.a»",
    "params.x BETWEEN 1»",
    "NOT»",
    "params.x IN»",
    "«(»metrics.a > 1",
    "metrics.a > 1 AND «(»a OR (b)",
    "params.x IN «(»1, 2",
    "metrics.a > 1«)»",
    "(a) OR «)»",
    "(a OR «)»",
    "params.x = «'»abc",
    '«"»abc',
    "«`»abc",
    "metrics.a «~» 1",
    "metrics.a «!» 1",
    "metrics.a «lik» 'x'",
    "metrics.a «betwen» 1",
    "metrics.a > 1 «ADN» metrics.b > 2",
    "metrics.a > 1 «&&» resnet",
    "resnet «|» vit",
    "metrics.a > 1 «resnet»",
    "resnet «metrics.a» > 1",
    "(a OR c) («b»)",
    "a AND «OR» b",
    "«and»",
    "params.x IN (1 «2»)",
    "params.x IN («)»",
    "metrics.a IS «nul»",
    "metrics.a > «(»1)",
    "metrics.a BETWEEN 1 «OR» 2",
    "start_time IN «LAST» 7 moons",
    "status«:»failed",
    "«accuracy» > 0.9",
    "«statsu» = 'FAILED'",
    "«attributes.nothing» = 1",
    "«metrics.» > 1",
    "«1» < metrics.a",
    "«'x'» = status",
    "metrics.loss = «nan»",
    "metrics.a > 0«,»9",
    "metrics.a > «'1'»",
    "metrics.a = «adam»",
    "metrics.a IN (1, «'b'»)",
    "metrics.a «LIKE» '1%'",
    "start_time «=~» '1'",
    "params.lr > «'0.1'»",
    "status < «'F'»",
    "params.x BETWEEN «a» AND 2",
    "params.a = «metrics.b»",
    "metrics.a IN («metrics.b»)",
    "metrics.a > «params.b»",
    "params.a = «`b`»",
    "params.x =~ 'a(«b»'",
    "params.x =~ 'a«)»'",
    "params.x =~ '[(]«)»'",
    "params.x !~ '«*»a'",
    "params.x =~ 'é«\\1»'",
    "params.x =~ 'a«(?=»b)'",
    "start_time > «tomorow»",
    "start_time > «'2026-13-01'»",
    "start_time > «2026-02-30 12:00»",
    "end_time < «'0001-01-01'»",
    "start_time <= «LAST 7 DAYS»",
    "start_time BETWEEN «LAST WEEK» AND now",
    "start_time IN «7 days ago»",
    "duration > «2x»",
    "duration IN «LAST 7 DAYS»",
    "duration IS «NAN»",
    "«datasets.name» = 'x'",
    "日本 AND «語» = 1",
]


@pytest.mark.parametrize("marked", WRONG)
def test_an_error_points_to_the_characters(marked: str) -> None:
    begin = marked.index("«") if "«" in marked else None
    text = marked.replace("«", "").replace("»", "")
    error = refused(text)
    if begin is None:
        assert (error.position, error.length) == (len(text), 1)
    else:
        assert text[error.position : error.position + error.length] == marked[begin + 1 : marked.index("»")]
        assert error.position == begin


def test_an_error_says_what_is_wrong_and_what_to_do(sentences: Sentences) -> None:
    said = []
    for marked in WRONG:
        error = refused(marked.replace("«", "").replace("»", ""))
        said += [marked, f"    {error.message}", *([f"    {error.hint}"] if error.hint else [])]
    sentences.check("errors of queries", said)


def test_an_error_crosses_the_wire_with_its_place() -> None:
    error = refused("metrics.a lik 1")
    assert isinstance(error, InvalidRequest)
    assert error.info().details == {"position": 10, "length": 3}
    assert GenOpsError.from_info(error.status, error.info()).code == "query"
    assert NotInColumns.code != QueryError.code


def test_a_terminal_shows_the_place() -> None:
    assert refused("metrics.a lik 1").render().splitlines() == [
        "metrics.a lik 1",
        "          ^^^",
        "lik is not a comparison.",
        "Did you mean LIKE or ILIKE?",
    ]


def test_the_caret_stands_right_behind_wide_and_strange_characters() -> None:
    assert refused("日本 AND 語 = 1").render().splitlines()[:2] == ["日本 AND 語 = 1", "         ^^"]
    assert refused("metrics.a\n\t> x").render().splitlines()[:2] == ["metrics.a  > x", "             ^"]


def test_a_terminal_shows_a_piece_of_a_long_query() -> None:
    shown, carets, *_ = refused("resnet OR " * 100 + "metrics.a lik 1" + " OR vit" * 15).render().splitlines()
    assert len(shown) < 80
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "lik"
    assert shown[0] == shown[-1] == "…"


@pytest.mark.parametrize("text", ["(" * 10_000, "NOT (" * 9_000, "(" * 10_000 + "a" + ")" * 10_000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "More than 50 parentheses" in refused(text).message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50 + "resnet" + ")" * 50,
        "NOT " * 10_000 + "resnet",
        "(a OR " * 50 + "resnet" + ")" * 50,
        "(NOT (a AND (b OR " * 16 + "resnet" + ")))" * 16,
        f"run_id IN ({', '.join(['0' * 32 + 'x'] * 1000)}) OR resnet",
    ],
)
def test_what_is_long_or_deep_within_bounds_is_answered(text: str) -> None:
    mask = parse(text).mask(RUNS, now=1e9)
    assert mask.shape == (2,)


def test_too_long_and_too_many() -> None:
    assert "at most 50,000 are possible" in refused("a" * 50_001).message
    assert "more than 200 conditions" in refused(" OR ".join(["a"] * 201)).message
    parse(" OR ".join(["a"] * 200))
    parse("a" * 50_000)


def test_a_pattern_that_is_too_large_is_refused_when_it_is_read() -> None:
    assert "too large" in refused("params.lr =~ '\\pL{900}'").message
    assert "more than 5,000 characters" in refused(f"params.lr LIKE '{'_' * 5001}'").message
    assert not parse(f"params.lr ILIKE '{'_é' * 2500}'").mask(RUNS, now=0).any()


_PIECES = st.sampled_from(
    [
        *(
            "metrics.accuracy",
            "metrics.",
            "params.lr",
            'params."a b"',
            "tags.`x`",
            "`params`.x",
            "datasets.x",
            "status",
        ),
        *(
            "duration",
            "start_time",
            "run_name",
            "resnet",
            "'text'",
            '"text"',
            "'",
            '"',
            "`",
            "1",
            "-1",
            "1e3",
            "inf",
            "NaN",
        ),
        *(
            "2h",
            "1h30m",
            "-7d",
            "today",
            "LAST",
            "7",
            "DAYS",
            "LAST WEEK",
            "2026-11-01",
            "12:30",
            "'2026-11-01'",
        ),
        *("(", ")", ",", "=", "==", "!=", "<>", "<", "<=", ">", ">=", "=~", "!~", "!", "~"),
        *(
            "AND",
            "OR",
            "NOT",
            "IN",
            "BETWEEN",
            "LIKE",
            "ILIKE",
            "IS",
            "NULL",
            "and",
            "or",
            "not",
            "in",
            "like",
            "is",
            "null",
        ),
        *("é", "日本", "\\", "%", "_", ";", "--", ":", ".", "\x00", "\u2028", "\ud800", "🙂"),
    ]
)


@given(
    st.one_of(
        st.text(), st.lists(_PIECES, max_size=12).map(" ".join), st.lists(_PIECES, max_size=6).map("".join)
    )
)
@settings(max_examples=examples(600), deadline=None)
@example("params.x =~ '\ud800'")
@example("'\ud800'")
@example("params.x LIKE '%\ud800'")
@example("params.x = '\ud800'")
@example("params.x IN ('\ud800', 'a')")
@example("params.x LIKE '\x00%'")
@example("params.x =~ '\x00'")
@example("start_time > 9999-12-31")
@example("start_time > '1970-01-01'")
@example("start_time > -999999999999years")
@example("start_time IN LAST 999999999999 YEARS")
@example("start_time > 2026-01-01T00:00:00+99:99")
@example("duration > 999999999999.999999999y")
@example("metrics.accuracy > 1e999")
def test_any_text_is_a_query_or_an_error_in_its_bounds(text: str) -> None:
    try:
        query = parse(text)
    except QueryError as error:
        assert 0 <= error.position <= len(text)
        assert error.position + error.length <= max(len(text), error.position + 1)
        assert error.message.endswith((".", "…")) or error.message.endswith(text)
        assert error.render()
    else:
        assert query.mask(RUNS, now=1.79e9, timezone=ZoneInfo("Europe/Berlin")).shape == (2,)
        assert all(isinstance(name, Name) for name in query.names)
    for cursor in {0, len(text) // 2, len(text)}:
        for completion in complete(text, cursor, RUNS):
            assert 0 <= completion.start <= cursor <= completion.end <= len(text)


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("lark", "numpy", "pyarrow")
    program = f"import sys, genops_lab.experiments.query; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
