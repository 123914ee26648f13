"""Queries of any kind, each with how pandas is asked the same."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from genops_lab.experiments.query import Kind
from tests.support.random_runs import KEYS, NOW, NUMBER_WORDS, NUMBERS, OTHER_WORDS, ZONE
from tests.support.run_columns import Row

if TYPE_CHECKING:
    import pandas as pd

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("=", "=="), operator.eq),
    **dict.fromkeys(("!=", "<>"), operator.ne),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Frame:
    """The runs as pandas holds them."""

    def __init__(self, table: list[Row]) -> None:
        self.table = table

    def column(self, kind: Kind, key: str) -> pd.Series:
        """The values of the runs that have one, by the run's place; durations to the millisecond."""
        import pandas as pd

        values = {at: row.part(kind)[key] for at, row in enumerate(self.table) if key in row.part(kind)}
        number = kind == "metric" or key in ("start_time", "end_time", "duration")
        found = pd.Series(values, dtype=float if number else object)
        return found.round(3) if key == "duration" else found

    def times(self, key: str) -> pd.Series:
        """Times with their zone."""
        import pandas as pd

        milliseconds = (self.column("attribute", key) * 1000).round()
        return pd.to_datetime(milliseconds, unit="ms", utc=True).dt.tz_convert(ZONE)

    def as_numbers(self, kind: Kind, key: str) -> pd.Series:
        """Texts that are numbers, those alone."""
        import pandas as pd

        texts = self.column(kind, key)
        return pd.to_numeric(texts[~texts.str.contains("_")], errors="coerce").dropna()

    def whole(self, found: pd.Series) -> pd.Series:
        """An answer about some runs as one about all: those that it does not speak of are not found."""
        return found.astype(bool).reindex(range(len(self.table)), fill_value=False)


@dataclass(frozen=True)
class Asked:
    """A query, and how pandas is asked the same."""

    text: str
    of: Callable[[Frame], Any]

    def __repr__(self) -> str:
        return repr(self.text)


_cased = st.sampled_from([str.upper, str.lower, str.title])
_blank = st.sampled_from([" ", "  ", "\n", "\t "])
_numbers = st.sampled_from([*NUMBERS, 0.25, 3.0, 1e300])
_patterns = st.text("aAdm_%é\n.日", max_size=4)
_expressions = st.sampled_from(
    ["adam", "^a", "m$", "(?i)^ADAM$", "a.*m", "[0-9]", "^$", "\\d+\\.", "日|é", "(?s)x.y"]
)
_words = st.sampled_from([*NUMBER_WORDS, *OTHER_WORDS])


@st.composite
def _named(draw: st.DrawFn, kind: Kind) -> tuple[str, str]:
    """A name as it is written, and its key."""
    key = draw(st.sampled_from(KEYS[kind]))
    prefixes = {
        "metric": ["metrics", "metric"],
        "param": ["params", "parameter", "`param`"],
        "tag": ["tags", "Tag"],
    }
    written = ['"' + key.replace('"', '""') + '"', f"`{key}`"]
    if not re.search(r'[ "]', key):
        written.append(key)
    return f"{draw(st.sampled_from(prefixes[kind]))}.{draw(st.sampled_from(written))}", key


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _negation(negated: bool, answer: pd.Series) -> pd.Series:
    return ~answer.astype(bool) if negated else answer


@st.composite
def _of_numbers(draw: st.DrawFn) -> Asked:
    """Metrics, and texts read as numbers."""
    kind: Kind = draw(st.sampled_from(["metric", "param", "tag"]))
    written, key = draw(_named(kind))

    def column(frame: Frame) -> pd.Series:
        return frame.column(kind, key) if kind == "metric" else frame.as_numbers(kind, key)

    how, negated = (
        draw(st.sampled_from(["compare", "between", "in", "nan", "null", "pair"])),
        draw(st.booleans()),
    )
    word = "NOT " if negated else ""
    if how == "nan" and kind == "metric":
        return Asked(
            f"{written} IS {word}NAN", lambda frame: frame.whole(_negation(negated, column(frame).isna()))
        )
    if how == "null":
        return Asked(
            f"{written} is {word}null",
            lambda frame: _negation(not negated, frame.whole(frame.column(kind, key).map(lambda _: True))),
        )
    if how == "pair" and kind == "metric":
        symbol, (other, other_key) = draw(st.sampled_from(list(COMPARE))), draw(_named("metric"))

        def pair(frame: Frame) -> pd.Series:
            left, right = column(frame), frame.column("metric", other_key)
            both = left.index.intersection(right.index)
            return frame.whole(COMPARE[symbol](left[both], right[both]))

        return Asked(f"{written} {symbol} {other}", pair)
    if how == "between":
        low, high = draw(_numbers), draw(_numbers)
        return Asked(
            f"{written} {word}BETWEEN {low} AND {high}",
            lambda frame: frame.whole(_negation(negated, column(frame).between(low, high))),
        )
    if how == "in" and kind == "metric":
        values = draw(st.lists(_numbers, min_size=1, max_size=3))
        return Asked(
            f"{written} {word}in ({', '.join(map(str, values))})",
            lambda frame: frame.whole(_negation(negated, column(frame).isin(values))),
        )
    symbol, value = draw(st.sampled_from(list(COMPARE))), draw(_numbers)
    return Asked(
        f"{written}{symbol}{value}", lambda frame: frame.whole(COMPARE[symbol](column(frame), value))
    )


@st.composite
def _of_texts(draw: st.DrawFn) -> Asked:
    """Parameters and tags as texts."""
    kind: Kind = draw(st.sampled_from(["param", "tag"]))
    written, key = draw(_named(kind))
    how, negated = draw(st.sampled_from(["equal", "in", "like", "ilike", "matches"])), draw(st.booleans())
    word = draw(_cased)("not ") if negated else ""

    def of(test: Callable[[pd.Series], pd.Series]) -> Callable[[Frame], pd.Series]:
        return lambda frame: frame.whole(_negation(negated, test(frame.column(kind, key))))

    if how == "equal":
        value = draw(_words)
        return Asked(
            f"{written} {'!=' if negated else '='} {_quoted(value)}", of(lambda texts: texts == value)
        )
    if how == "in":
        values = draw(st.lists(_words, min_size=1, max_size=3))
        return Asked(
            f"{written} {word}IN ({', '.join(map(_quoted, values))})", of(lambda texts: texts.isin(values))
        )
    if how == "matches":
        expression = draw(_expressions)
        return Asked(
            f"{written} {'!~' if negated else '=~'} {_quoted(expression)}",
            of(lambda texts: texts.astype(str).str.contains(expression.replace("$", r"\Z"), regex=True)),
        )
    pattern = draw(_patterns)
    expression = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    flags = re.DOTALL | (re.IGNORECASE if how == "ilike" else 0)
    return Asked(
        f"{written} {word}{how} {_quoted(pattern)}",
        of(lambda texts: texts.astype(str).str.fullmatch(expression, flags=flags)),
    )


@st.composite
def _of_attributes(draw: st.DrawFn) -> Asked:
    """The status, words of the name, durations."""
    how = draw(st.sampled_from(["status", "word", "id", "duration", "between"]))
    if how == "status":
        values = draw(st.lists(st.sampled_from(["running", "FAILED", "finished"]), min_size=1, max_size=2))
        upper = [value.upper() for value in values]
        return Asked(
            f"status in ({', '.join(values)})",
            lambda frame: frame.whole(frame.column("attribute", "status").isin(upper)),
        )
    if how in ("word", "id"):
        word = draw(st.sampled_from(["resnet", "'50'", "RES", "vit", "été", '"net 1"', "%", "."]))
        plain = word.strip("'\"").casefold()
        return Asked(
            word,
            lambda frame: frame.whole(
                frame.column("attribute", "run_name")
                .astype(str)
                .str.casefold()
                .str.contains(plain, regex=False)
            ),
        )
    lengths = {
        "90": 90,
        "0.5": 0.5,
        "500ms": 0.5,
        "90s": 90,
        "1h": 3600,
        "1h30m": 5400,
        "'1 h 30 min'": 5400,
        "2d": 172800,
    }
    low, high = draw(st.sampled_from(list(lengths))), draw(st.sampled_from(list(lengths)))
    if how == "between":
        return Asked(
            f"duration between {low} and {high}",
            lambda frame: frame.whole(
                frame.column("attribute", "duration").between(lengths[low], lengths[high])
            ),
        )
    symbol = draw(st.sampled_from(list(COMPARE)))
    return Asked(
        f"duration {symbol} {low}",
        lambda frame: frame.whole(COMPARE[symbol](frame.column("attribute", "duration"), lengths[low])),
    )


def _day(text: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    import pandas as pd

    day = pd.Timestamp(text, tz=ZONE)
    return day, day + pd.DateOffset(days=1)


def _at(at: pd.Timestamp, unit: str = "0s") -> tuple[pd.Timestamp, pd.Timestamp]:
    import pandas as pd

    return at, at + pd.Timedelta(unit)


@cache
def _spans() -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
    """What is written, and the span that is meant: its begin, and its end, which is not in it."""
    import pandas as pd

    now = pd.Timestamp(NOW)
    return {
        "today": _day("2026-11-26"),
        "Yesterday": _day("2026-11-25"),
        "now": _at(now),
        "-7d": _at(now - pd.Timedelta("7D")),
        "'7 days ago'": _at(now - pd.Timedelta("7D")),
        "7 days ago": _at(now - pd.Timedelta("7D")),
        "'2026-10-25'": _day("2026-10-25"),
        "2026-10-25": _day("2026-10-25"),
        "2026-3-29": _day("2026-03-29"),
        "2026-11-19 15:30": _at(pd.Timestamp("2026-11-19 15:30", tz=ZONE), "1min"),
        "'2026-11-19T15:30:00'": _at(pd.Timestamp("2026-11-19 15:30", tz=ZONE), "1s"),
        "2026-11-19T14:30:00.000Z": _at(pd.Timestamp("2026-11-19 15:30", tz=ZONE)),
        "'2026-11-19 14:30+00:00'": _at(pd.Timestamp("2026-11-19 15:30", tz=ZONE), "1min"),
        str(round(NOW.timestamp() * 1000)): _at(now),
    }


@st.composite
def _of_times(draw: st.DrawFn) -> Asked:
    """Times, with times that have a length and such that have none."""
    import pandas as pd

    key, written = draw(
        st.sampled_from(
            [("start_time", "start_time"), ("end_time", "attr.end_time"), ("start_time", "created")]
        )
    )
    text, other = draw(st.sampled_from(list(_spans()))), draw(st.sampled_from(list(_spans())))
    begin, end = _spans()[text]
    how, negated = draw(st.sampled_from(["compare", "between", "last", "in"])), draw(st.booleans())
    word = "NOT " if negated else ""

    def of(test: Callable[[pd.Series], pd.Series]) -> Callable[[Frame], pd.Series]:
        return lambda frame: frame.whole(_negation(negated, test(frame.times(key))))

    def within(times: pd.Series, begin: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
        return (times >= begin) & ((times < end) | (times == begin) if begin == end else times < end)

    if how == "last":
        period, length = draw(
            st.sampled_from([("7 days", "7D"), ("week", "7D"), ("24h", "1D"), ("1.5 hours", "90min")])
        )
        return Asked(
            f"{written} {word}{draw(_cased)('in last')} {period}",
            of(lambda times: times >= pd.Timestamp(NOW) - pd.Timedelta(length)),
        )
    if how == "in":
        return Asked(
            f"{written} {word}IN ({text}, {other})",
            of(lambda times: within(times, begin, end) | within(times, *_spans()[other])),
        )
    if how == "between":
        _, last = _spans()[other]
        open_end = _spans()[other][0] != last
        return Asked(
            f"{written} {word}BETWEEN {text} AND {other}",
            of(lambda times: (times >= begin) & (times < last if open_end else times <= last)),
        )
    negated = False
    tests: dict[str, Callable[[pd.Series], pd.Series]] = {
        "=": lambda times: within(times, begin, end),
        "!=": lambda times: ~within(times, begin, end),
        "<": lambda times: times < begin,
        "<=": lambda times: times <= end if begin == end else times < end,
        ">": lambda times: times > begin,
        ">=": lambda times: times >= begin,
    }
    symbol = draw(st.sampled_from(list(tests)))
    return Asked(f"{written} {symbol} {text}", of(tests[symbol]))


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[Asked]) -> Asked:
    """AND, OR, NOT and parentheses; a part that is joined itself is put in parentheses."""
    how = draw(st.sampled_from(["and", "or", "not", "("]))
    items = draw(st.lists(parts, min_size=2, max_size=3)) if how in ("and", "or") else [draw(parts)]
    texts = [f"({item.text})" for item in items]
    if how == "(":
        return Asked(texts[0], items[0].of)
    blank, word = draw(_blank), draw(_cased)(how)
    if how == "not":
        return Asked(f"{word}{blank}{texts[0]}", lambda frame: ~items[0].of(frame))

    def joined(frame: Frame) -> pd.Series:
        found = items[0].of(frame)
        for item in items[1:]:
            found = found & item.of(frame) if how == "and" else found | item.of(frame)
        return found

    return Asked(f"{blank}{word}{blank}".join(texts), joined)


leaves = st.one_of(_of_numbers(), _of_texts(), _of_attributes(), _of_times())
queries = st.recursive(leaves, _joined, max_leaves=6)
