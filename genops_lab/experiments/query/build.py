"""Build conditions from the syntax tree: find the column, and check that the value fits it."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from lark.lexer import Token
from lark.tree import Tree

from . import nodes
from .errors import NotInColumns, QueryError, did_you_mean
from .grammar import OPERATOR_WORDS, OPERATORS_HINT, read
from .names import ELSEWHERE, PLAIN, PREFIXES, Name
from .subjects import LIST, RUNS, Subject
from .times import Last, duration, moment

MAX_CONDITIONS: Final = 200
MAX_PATTERN: Final = 5_000

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE)
_NEXT = re.compile(rf"\s*({PLAIN}+|\S)?")
_DURATION: Final = Name("attribute", "duration")
_SPELLED: Final = {"&": "AND", "&&": "AND", "+": "AND", "|": "OR", "||": "OR"}


class Builder:
    """Reads one text. ``found``: the names in it and their (position, length), in order."""

    def __init__(self, text: str, subject: Subject = RUNS) -> None:
        self.text = text
        self._subject = subject
        self.found: list[tuple[Name, int, int]] = []
        self._conditions = 0

    def build(self) -> nodes.Node:
        """Return the query's condition. Raises QueryError."""
        tree = read(self.text)
        return self._node(tree.children[0]) if tree.children else nodes.Every(())

    # AND, OR and NOT. The recursion is as deep as parentheses are, which is limited.

    def _node(self, tree: Any) -> nodes.Node:
        if tree.data == "any":
            return nodes.Either(
                tuple(self._node(child) for child in tree.children if isinstance(child, Tree))
            )
        if tree.data == "every":
            return nodes.Every(tuple(self._joined(tree.children)))
        if tree.data == "inverse":
            *negations, inner = tree.children
            node = self._node(inner)
            return nodes.Inverse(node) if len(negations) % 2 else node
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise self._error(
                tree.meta.start_pos,
                1,
                f"The query has more than {MAX_CONDITIONS} conditions.",
                "Use IN for many values.",
            )
        node = getattr(self, f"_{tree.data}")(*tree.children)
        return cast(nodes.Node, node)

    def _joined(self, children: list[Any]) -> list[nodes.Node]:
        built: list[nodes.Node] = []
        before: Any = None
        for child in children:
            if isinstance(child, Tree):
                # Two words, or as in MLflow two comparisons, may follow one another; anything else is an
                # error.
                if isinstance(before, Tree) and not self._may_follow(before, child):
                    raise self._nothing_joins(child.meta.start_pos)
                built.append(self._node(child))
            before = child
        return built

    def _nothing_joins(self, position: int) -> QueryError:
        found = _NEXT.match(self.text, position)
        word = (found and found[1]) or ""
        meant = _SPELLED.get(word)
        hint = f"Did you mean {meant}?" if meant else did_you_mean(word, ["AND", "OR"])
        return self._error(
            position, len(word), f"AND or OR is missing before {word}.", hint or "Write AND or OR here."
        )

    # Conditions, named like the grammar's rules.

    def _free(self, term: Token) -> nodes.Node:
        if term.type in ("DOUBLE", "SINGLE"):
            return self._word(_unquoted(term))
        if term.type == "WORD":
            if term in _SPELLED:
                raise self._at(term, f"{term} has no meaning here.", f"Did you mean {_SPELLED[term]}?")
            self._refuse_colon(term)
            if not self._is_name(term):
                return self._word(str(term))
        name = self._name(term)
        if name.kind == "attribute" and name.key in self._subject.flags:
            return nodes.Present(name)
        end = term.end_pos or 0
        found = _NEXT.match(self.text, end)
        word = (found and found[1]) or ""
        position = found.start(1) if found and word else len(self.text.rstrip())
        raise self._error(
            position,
            len(word),
            f"A comparison is expected after {name}." if not word else f"{word} is not a comparison.",
            did_you_mean(word, OPERATOR_WORDS) or OPERATORS_HINT,
        )

    def _word(self, text: str) -> nodes.Word:
        parts, ids = (
            tuple(Name("attribute", key) for key in keys) for keys in (self._subject.parts, self._subject.ids)
        )
        self.found += [(name, 0, 0) for name in (*parts, *ids)]
        return nodes.Word(text, parts, ids)

    def _comparison(self, left: Token, compare: Token, right: Token) -> nodes.Node:
        operator = {"==": "=", "<>": "!="}.get(compare, str(compare))
        name = self._name(left)
        if self._is_column(right) and name.is_number:
            return nodes.Pair(name, cast(nodes.Operator, operator), self._number_column(name, right))
        value = self._value(name, right)
        if isinstance(value, nodes.Text) and operator not in ("=", "!="):
            raise self._no_order(name, right)
        if isinstance(value, Last) and operator == "<=":
            raise self._at(
                right,
                "A period has no end, so <= cannot be used.",
                "Write start_time < LAST 7 DAYS, or <= '7 days ago'.",
            )
        if self._is_list(name) and isinstance(value, nodes.Text):
            return self._member(name, [value], operator == "!=")
        return nodes.Comparison(name, cast(nodes.Operator, operator), value)

    def _between(self, left: Token, between: Token, low: Token, _and: Token, high: Token) -> nodes.Node:
        name = self._name(left)
        ends = [self._value(name, low), self._value(name, high)]
        for end, token in zip(ends, (low, high), strict=True):
            if isinstance(end, nodes.Text):
                raise self._no_order(name, token)
            if isinstance(end, Last):
                raise self._at(
                    token, "A period cannot be the end of a range.", "Write IN LAST 7 DAYS, or '7 days ago'."
                )
        return nodes.Between(name, ends[0], ends[1], between.type == "NOT_BETWEEN")

    def _one_of(self, left: Token, of: Token, *right: Token) -> nodes.Node:
        name = self._name(left)
        values = tuple(self._value(name, token) for token in right)
        if self._is_list(name):
            texts = [value for value in values if isinstance(value, nodes.Text)]
            return self._member(name, texts, of.type == "NOT_IN")
        return nodes.OneOf(name, values, of.type == "NOT_IN")

    def _recent(self, left: Token, of: Token, period: Token) -> nodes.Node:
        name = self._name(left)
        value = self._value(name, period)
        if not isinstance(value, Last):
            raise self._at(period, f"{period} is not a period.", "For example IN LAST 7 DAYS.")
        return nodes.OneOf(name, (value,), of.type == "NOT_IN")

    def _matching(self, left: Token, how: Token, right: Token) -> nodes.Node:
        name = self._name(left)
        if name.is_number:
            raise self._at(
                how, f"{name} is a number, not a text.", "= != < <= > >= IN and BETWEEN compare numbers."
            )
        if right.type not in ("SINGLE", "DOUBLE", "WORD"):
            raise self._at(right, f"A pattern is expected, not {right}.", "Put it in quotes.")
        pattern = _unquoted(right)
        if how.type in ("CONTAINS", "NOT_CONTAINS"):
            negated = how.type == "NOT_CONTAINS"
            if self._is_list(name):
                return self._member(name, [nodes.Text(pattern)], negated)
            return nodes.Matches(name, f"(?i){re.escape(pattern)}", negated)
        if len(pattern) > MAX_PATTERN:
            raise self._at(
                right, f"The pattern has more than {MAX_PATTERN:,} characters.", "Use a shorter pattern."
            )
        if how.type == "MATCH":
            from .patterns import regex_fault  # loads pyarrow

            if fault := regex_fault(pattern):
                begin = (right.start_pos or 0) + (right.type != "WORD")
                raise self._error(
                    begin + fault.position,
                    fault.length,
                    f"The regular expression is not valid: {fault.message}.",
                    fault.hint,
                )
            return nodes.Matches(name, pattern, how == "!~")
        words = how.lower().split()
        return nodes.Like(name, pattern, words[-1] == "ilike", how.type == "NOT_LIKE")

    def _is_list(self, name: Name) -> bool:
        return name.kind == "attribute" and name.key in self._subject.lists

    def _member(self, name: Name, values: list[nodes.Text], negated: bool) -> nodes.Node:
        """Compare with each value of a list, not with the whole text."""
        any_of = "|".join(re.escape(each.value) for each in values)
        return nodes.Matches(name, f"(?:^|{LIST})(?:{any_of})(?:$|{LIST})", negated)

    def _presence(self, left: Token, _is: Token, *words: Token) -> nodes.Node:
        name, what, negated = self._name(left), words[-1], len(words) == 2
        if what.type == "NULL":
            return nodes.Present(name) if negated else nodes.Inverse(nodes.Present(name))
        if name.kind != "metric":
            raise self._at(
                what,
                f"Only metrics can be NaN, and {name} is not a metric.",
                "IS NULL finds the runs that lack it.",
            )
        return nodes.NotANumber(name, negated)

    # Names and values.

    def _name(self, term: Token) -> Name:
        name = self._resolved(term)
        self.found.append((name, term.start_pos or 0, len(term)))
        return name

    def _resolved(self, term: Token) -> Name:
        if term.type in ("DOUBLE", "BACKTICK"):
            prefix, key = "", _unquoted(term)
        elif term.type == "SINGLE" or _NUMBER.fullmatch(term):
            raise self._at(
                term,
                f"A name is expected on the left, but {term} is a value.",
                "For example params.lr = 0.1.",
            )
        else:
            prefix, key = _parted(term)
        if prefix in ELSEWHERE:
            raise NotInColumns(
                f"The run table has no data sets, so it cannot search for {term}.",
                text=self.text,
                position=term.start_pos or 0,
                length=len(term),
                hint="Use MLflow's own search.",
            )
        kind = PREFIXES.get(prefix, "attribute")
        if kind != "attribute":
            if not key:
                raise self._at(term, f"A name is missing after {term}", "For example metrics.accuracy.")
            return Name(kind, key)
        if (key := self._subject.attribute(written := key) or "") == "":
            raise self._at(
                term,
                f"There is no attribute {written}.",
                did_you_mean(written, self._subject.attributes)
                or ("" if prefix else f"Did you mean metrics.{written}, params.{written} or tags.{written}?"),
            )
        return Name("attribute", key)

    def _value(self, name: Name, token: Token) -> nodes.Value:
        quoted = token.type in ("SINGLE", "DOUBLE")
        if token.type == "BACKTICK":
            raise self._at(
                token, f"{token} is a name, but a value is expected.", "Put a text in 'single quotes'."
            )
        if self._is_column(token) and (name.is_number or token.type == "QUALIFIED" or "." in token):
            raise self._at(
                token, f"{name} is compared with a value here, not with a column.", _in_quotes(name, token)
            )
        text = _unquoted(token)
        if not quoted and _NUMBER.fullmatch(text) and (name.is_number or name.kind in ("param", "tag")):
            milliseconds = name == _DURATION
            return nodes.Number(float(text) * (1000 if milliseconds else 1))
        if name.is_number and not name.is_seconds:
            unquoted = f"Write {text} without quotes." if _NUMBER.fullmatch(text) else ""
            not_a_number = (
                f"Write {name} IS NAN." if name.kind == "metric" and text.casefold() == "nan" else ""
            )
            raise self._at(token, f"{name} is a number, but {token} is not.", unquoted or not_a_number)
        if name.is_time:
            return self._time(name, token, text)
        if name == _DURATION:
            seconds = duration(text)
            if seconds is None:
                raise self._at(
                    token, f"{token} is not a duration.", "For example 90 (seconds), 45s, 10m, 1h30m, 2d."
                )
            return nodes.Number(seconds * 1000)
        if name == Name("attribute", "status") and not quoted:
            return nodes.Text(text.upper())
        return nodes.Text(text)

    def _time(self, name: Name, token: Token, text: str) -> nodes.Value:
        hint = "For example today, -7d, LAST 7 DAYS, '2026-11-01', '2026-11-01 12:30', or milliseconds since 1970."
        try:
            found = moment(text)
        except (ValueError, OverflowError):
            raise self._at(token, f"The time {token} does not exist.", hint) from None
        if found is None:
            raise self._at(token, f"{name} is a time, but {token} is not.", hint)
        return found

    def _number_column(self, name: Name, token: Token) -> Name:
        other = self._name(token)
        if not other.is_number:
            raise self._at(
                token,
                f"{other} is a text, but {name} is a number.",
                "Two columns of numbers can be compared.",
            )
        return other

    def _no_order(self, name: Name, token: Token) -> QueryError:
        text = _unquoted(token)
        number = _NUMBER.fullmatch(text) and name.kind in ("param", "tag")
        return self._at(
            token,
            f"{token} is a text: {name} can be equal to it, not above or below.",
            f"Write {text} without quotes to compare numbers."
            if number
            else "= != IN LIKE and =~ compare texts.",
        )

    # Words.

    def _may_follow(self, before: Tree[Token], after: Tree[Token]) -> bool:
        joins = ("any", "every", "inverse")
        if before.data == "free" or after.data == "free":
            return before.data == after.data or (
                before.data == "free" and self._is_name(str(before.children[0]))
            )
        return before.data not in joins and after.data not in joins

    def _is_column(self, token: Token) -> bool:
        """Return whether a value's place has the name of a column."""
        return token.type == "QUALIFIED" or (token.type == "WORD" and self._is_name(token))

    def _is_name(self, word: str) -> bool:
        """Return whether a word without a comparison after it was meant as a name."""
        prefix, _key = _parted(word)
        return (
            prefix in PREFIXES
            or prefix in ELSEWHERE
            or (not prefix and self._subject.attribute(word) is not None)
        )

    # Errors.

    def _refuse_colon(self, term: Token) -> None:
        left, colon, right = term.partition(":")
        if colon and self._is_name(left):
            raise self._error(
                (term.start_pos or 0) + len(left),
                1,
                "A colon is not a comparison.",
                f"Write {left} = {right or '...'}",
            )

    def _at(self, token: Token, message: str, hint: str) -> QueryError:
        return self._error(token.start_pos or 0, len(token), message, hint)

    def _error(self, position: int, length: int, message: str, hint: str) -> QueryError:
        return QueryError(message, text=self.text, position=position, length=length, hint=hint)


def column_meant(term: Token, subject: Subject) -> Name | None:
    """Return the column that a term names, or None."""
    try:
        return Builder(str(term), subject)._resolved(term)
    except QueryError:
        return None


def _in_quotes(name: Name, token: Token) -> str:
    return (
        "Two columns of numbers can be compared by = != < <= > >=."
        if name.is_number
        else f"For a text, write '{token}'."
    )


def _parted(written: str) -> tuple[str, str]:
    """Return the prefix before the first dot, in lower case, and the name behind it; else no prefix and the
    whole.
    """
    prefix, dot, key = written.partition(".")
    prefix = prefix.strip("`").casefold()
    if dot and (prefix in PREFIXES or prefix in ELSEWHERE):
        return prefix, _unquoted_text(key)
    return "", written


def _unquoted(token: Token) -> str:
    return _unquoted_text(str(token)) if token.type in ("SINGLE", "DOUBLE", "BACKTICK") else str(token)


def _unquoted_text(text: str) -> str:
    quote = text[:1]
    if quote and quote in "'\"`" and len(text) > 1 and text.endswith(quote):
        return text[1:-1].replace(quote * 2, quote)
    return text
