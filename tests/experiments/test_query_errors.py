"""What is no query is refused with its place, and nothing that is typed breaks the reader."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.experiments.query import Name, NotInColumns, QueryError, complete, parse
from tests.support.exhaustive import examples
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


# What is wrong stands between « and »; » alone is the end of the text.
@pytest.mark.parametrize(
    ("marked", "message", "hint"),
    [
        ("metrics.a >»", "ends where a value is expected", "in quotes"),
        ("metrics.a > 1 AND»", "ends where a condition is expected", "metrics.accuracy > 0.9"),
        ("metrics.a»", "A comparison is expected after metrics.a", "BETWEEN"),
        ("params.x BETWEEN 1»", "ends where AND and the upper end is expected", "BETWEEN 1 AND 2"),
        ("NOT»", "ends where a condition is expected", ""),
        ("params.x IN»", "ends where a list in parentheses is expected", "LAST 7 DAYS"),
        ("«(»metrics.a > 1", "never closed", "Add a )"),
        ("metrics.a > 1 AND «(»a OR (b)", "never closed", "Add a )"),
        ("params.x IN «(»1, 2", "never closed", "Add a )"),
        ("metrics.a > 1«)»", "No parenthesis is open", "Remove"),
        ("(a) OR «)»", "No parenthesis is open", ""),
        ("(a OR «)»", ") stands where a condition is expected", ""),
        ("params.x = «'»abc", "This text is not closed", "Add a '"),
        ('«"»abc', "This text is not closed", 'Add a "'),
        ("«`»abc", "This name is not closed", "Add a `"),
        ("metrics.a «~» 1", "~ means nothing here", "=~ or !~"),
        ("metrics.a «!» 1", "! means nothing here", "NOT"),
        ("metrics.a «lik» 'x'", "lik is no comparison", "LIKE"),
        ("metrics.a «betwen» 1", "betwen is no comparison", "BETWEEN"),
        ("metrics.a > 1 «ADN» metrics.b > 2", "AND or OR is missing before ADN", "AND"),
        ("metrics.a > 1 «&&» resnet", "AND or OR is missing before &&", "AND"),
        ("resnet «|» vit", "| means nothing here", "OR"),
        ("metrics.a > 1 «resnet»", "AND or OR is missing before resnet", ""),
        ("resnet «metrics.a» > 1", "AND or OR is missing before metrics.a", ""),
        ("(a OR c) («b»)", "AND or OR is missing before b", ""),
        ("a AND «OR» b", "OR stands where a condition is expected", ""),
        ("«and»", "and stands where a condition is expected", ""),
        ("params.x IN (1 «2»)", "2 stands where a comma or ) is expected", ""),
        ("params.x IN («)»", ") stands where a value is expected", ""),
        ("metrics.a IS «nul»", "nul stands where NULL or NAN is expected", "NULL"),
        ("metrics.a > «(»1)", "( stands where a value is expected", ""),
        ("metrics.a BETWEEN 1 «OR» 2", "OR stands where AND and the upper end is expected", ""),
        (
            "start_time IN «LAST» 7 moons",
            "LAST stands where a list in parentheses is expected",
            "IN LAST 7 DAYS",
        ),
        ("status«:»failed", "A colon is no comparison", "status = failed"),
        ("«accuracy» > 0.9", "There is no attribute accuracy", "metrics.accuracy"),
        ("«statsu» = 'FAILED'", "There is no attribute statsu", "Did you mean status?"),
        (
            "attributes.«»nothing = 1".replace("attributes.«»nothing", "«attributes.nothing»"),
            "no attribute nothing",
            "",
        ),
        ("«metrics.» > 1", "A name is missing after metrics.", ""),
        ("«1» < metrics.a", "A name is expected on the left, and 1 is a value", ""),
        ("«'x'» = status", "A name is expected on the left, and 'x' is a value", ""),
        ("metrics.loss = «nan»", "metrics.loss is a number, and nan is none", "Write metrics.loss IS NAN."),
        ("metrics.a > 0«,»9", ", stands where AND", "Did you mean 0.9?"),
        ("metrics.a > «'1'»", "metrics.a is a number, and '1' is none", "Write 1 without quotes"),
        ("metrics.a = «adam»", "metrics.a is a number, and adam is none", ""),
        ("metrics.a IN (1, «'b'»)", "metrics.a is a number, and 'b' is none", ""),
        ("metrics.a «LIKE» '1%'", "metrics.a is a number, not a text", ""),
        ("start_time «=~» '1'", "start_time is a number, not a text", ""),
        ("params.lr > «'0.1'»", "can be equal to it, not above or below", "Write 0.1 without quotes"),
        ("status < «'F'»", "can be equal to it, not above or below", "LIKE"),
        ("params.x BETWEEN «a» AND 2", "can be equal to it, not above or below", ""),
        ("params.a = «metrics.b»", "compared with a value here, not with a column", "'metrics.b'"),
        ("metrics.a IN («metrics.b»)", "compared with a value here, not with a column", "Two columns"),
        ("metrics.a > «params.b»", "params.b is a text, and metrics.a is a number", ""),
        ("params.a = «`b`»", "`b` is a name, and a value is expected", "'single quotes'"),
        ("params.x =~ 'a(«b»'", "regular expression is not valid: missing )", ""),
        ("params.x =~ 'a«)»'", "regular expression is not valid: unexpected )", ""),
        ("params.x =~ '[(]«)»'", "regular expression is not valid: unexpected )", ""),
        ("params.x !~ '«*»a'", "no argument for repetition operator", ""),
        ("params.x =~ 'é«\\1»'", "invalid escape sequence", ""),
        ("params.x =~ 'a«(?=»b)'", "invalid perl operator", "no look-ahead"),
        ("start_time > «tomorow»", "start_time is a time, and tomorow is none", "today"),
        ("start_time > «'2026-13-01'»", "There is no such time", ""),
        ("start_time > «2026-02-30 12:00»", "There is no such time", ""),
        ("end_time < «'0001-01-01'»", "There is no such time", ""),
        ("start_time <= «LAST 7 DAYS»", "A period has no end", "7 days ago"),
        ("start_time BETWEEN «LAST WEEK» AND now", "A period is no end of a range", ""),
        ("start_time IN «7 days ago»", "7 days ago is no period", "IN LAST 7 DAYS"),
        ("duration > «2x»", "2x is no duration", "1h30m"),
        ("duration IN «LAST 7 DAYS»", "LAST 7 DAYS is no duration", ""),
        ("duration IS «NAN»", "Only metrics can be NaN", "IS NULL"),
        ("«datasets.name» = 'x'", "does not hold data sets", "MLflow"),
        ("日本 AND «語» = 1", "There is no attribute 語", ""),
    ],
)
def test_an_error_points_to_the_characters(marked: str, message: str, hint: str) -> None:
    begin = marked.index("«") if "«" in marked else None
    text = marked.replace("«", "").replace("»", "")
    error = refused(text)
    assert message in error.message
    assert hint in error.hint
    if begin is None:
        assert (error.position, error.length) == (len(text), 1)
    else:
        assert text[error.position : error.position + error.length] == marked[begin + 1 : marked.index("»")]
        assert error.position == begin


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
        "lik is no comparison.",
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
    assert "50,000 are the most" in refused("a" * 50_001).message
    assert "More than 200 conditions" in refused(" OR ".join(["a"] * 201)).message
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
        assert query.mask(RUNS, now=1.79e9, timezone="Europe/Berlin").shape == (2,)
        assert all(isinstance(name, Name) for name in query.names)
    for cursor in {0, len(text) // 2, len(text)}:
        for completion in complete(text, cursor, RUNS):
            assert 0 <= completion.start <= cursor <= completion.end <= len(text)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone 'Mars/Base'"):
        parse("start_time > today").mask(RUNS, now=0, timezone="Mars/Base")


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("lark", "numpy", "pyarrow")
    program = f"import sys, genops_lab.experiments.query; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
