"""Score by rules what surrounds the text: length, time, cost, refusals, shape and calls of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Literal

import msgspec

from .base import Answered, Expecting, NotScored, Rule, Score, column, yes
from .rules import fenced

_WORD, _ITEM = re.compile(r"\S+"), re.compile(r"\s*(?:[-*•]|\d+[.)])\s+\S")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
#: How models refuse, in English, in the first sentences.
_REFUSAL = re.compile(
    r"\b(?:I(?:'m| am)(?: really| very| so)? sorry,? but|I (?:can(?:no|')t|am (?:not able|unable)|won't|must decline)"
    r"|I'm (?:not able|unable) to|(?:as an|I'm an) AI\b|(?:cannot|can't|unable to) (?:assist|help|comply|provide)"
    r"|against my (?:guidelines|programming))",
    re.IGNORECASE,
)
_BEGINNING = 300


class _Bounded(Rule, frozen=True, kw_only=True, tag_field="scorer"):
    """``at_most`` and ``at_least``: 1 within them, else 0. Without both the score is the number itself."""

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least must not be above at_most")

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return 0 and 1 where there is a bound."""
        return None if self.at_least is None and self.at_most is None else (0.0, 1.0)

    @property
    def lowest(self) -> float:
        """Return 0: there is no shorter answer, and none that takes less time or money."""
        return 0.0

    @property
    def better(self) -> Literal["higher", "lower", ""]:
        """Return which values are better: 1, or a lower time or cost; no length is."""
        return "higher" if self.bounds else "" if isinstance(self, Length) else "lower"

    def within(self, found: float, unit: str) -> Score:
        """Return the score of a number."""
        if self.bounds is None:
            return Score(value=found)
        if self.at_most is not None and found > self.at_most:
            return yes(False, f"{found:g} {unit}, over {self.at_most:g}")
        return yes(
            self.at_least is None or found >= self.at_least, f"{found:g} {unit}, under {self.at_least}"
        )


class Length(_Bounded, frozen=True, kw_only=True, tag="length", tag_field="scorer"):
    """The length of the answer, in words, characters, lines or output tokens."""

    unit: Literal["words", "characters", "lines", "tokens"] = "words"

    def score(self, answered: Answered) -> Score:
        """Return the length, or 1 or 0."""
        text = answered.text
        if self.unit == "tokens":
            if answered.usage is None or not answered.usage.output:
                raise NotScored("the endpoint counted no tokens")
            return self.within(answered.usage.output, "tokens")
        found = {"words": len(_WORD.findall(text)), "characters": len(text), "lines": len(text.splitlines())}
        return self.within(found[self.unit], self.unit)


class Latency(_Bounded, frozen=True, kw_only=True, tag="latency", tag_field="scorer"):
    """The time until the whole answer was there, in seconds."""

    def score(self, answered: Answered) -> Score:
        """Return seconds, or 1 or 0."""
        if answered.latency_s is None:
            raise NotScored("the time of the call is unknown")
        return self.within(answered.latency_s, "s")


class Cost(_Bounded, frozen=True, kw_only=True, tag="cost", tag_field="scorer"):
    """The money that the answer cost, in the currency of the price."""

    def score(self, answered: Answered) -> Score:
        """Return money, or 1 or 0. An unknown price does not score."""
        if answered.money is None:
            raise NotScored("no price is known")
        return self.within(answered.money, answered.currency)


class Refusal(Rule, frozen=True, kw_only=True, tag="refusal", tag_field="scorer"):
    """The answer is no refusal. ``should``: the column that says whether it should be one.

    It knows English words at the beginning of an answer, and answers that a content filter cut.
    """

    should: str = ""

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        wanted = _truth(column(answered.row, self.should)) if self.should else False
        found = answered.finish_reason == "content_filter" or bool(
            _REFUSAL.search(answered.text[:_BEGINNING].replace("’", "'"))
        )
        return yes(found == wanted, "the model refused" if found else "the model did not refuse")


class Format(Rule, frozen=True, kw_only=True, tag="format", tag_field="scorer"):
    """The answer has a shape: JSON, one number, one line, a list, an ISO date, or one of ``choices``."""

    shape: Literal["json", "number", "line", "list", "date", "choice"]
    choices: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        if (self.shape == "choice") != bool(self.choices):
            raise ValueError("choices belong to shape: choice, which needs them")

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        text = answered.text.strip()
        lines = [line for line in text.splitlines() if line.strip()]
        holds = {
            "json": lambda: _is(json.loads, fenced(text, "json")),
            "number": lambda: _NUMBER.fullmatch(text) is not None,
            "line": lambda: len(lines) == 1,
            "list": lambda: bool(lines) and all(_ITEM.match(line) for line in lines),
            "date": lambda: _is(date.fromisoformat, text),
            "choice": lambda: text.rstrip(".").casefold() in {each.casefold() for each in self.choices},
        }[self.shape]()
        return yes(holds, f"the answer is no {self.shape}")


class ToolCalls(Expecting, Rule, frozen=True, kw_only=True, tag="tool_calls", tag_field="scorer"):
    """The answer calls the expected tools: a list of ``{name, arguments}`` in the column ``expected``.

    - order: whether the calls come in the expected order.
    - arguments: ``same``; ``at_least`` allows more than the expected ones; ``any`` looks at names only.
    - more: whether further calls are allowed.
    - partial: the score is the share of calls that match, in place of 1 or 0.
    """

    order: bool = True
    arguments: Literal["same", "at_least", "any"] = "same"
    more: bool = False
    partial: bool = False

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0, or a share."""
        wanted = self.wanted(answered.row)
        wanted = json.loads(wanted) if isinstance(wanted, str) else wanted
        if not isinstance(wanted, list):
            raise NotScored(f"{self.expected!r} is no list of calls")
        expected = [_call(each) for each in wanted]
        given = [_call(each) for each in answered.tool_calls]
        matched = self._in_order(expected, given) if self.order else self._any_order(expected, given)
        whole = len(expected) if self.more else max(len(expected), len(given))
        holds = matched == whole
        names = ", ".join(name for name, _ in given) or "no tool"
        reason = "" if holds else f"{matched} of {whole} calls match; the answer calls {names}"
        return Score(value=matched / whole if self.partial and whole else float(holds), reason=reason)

    def _in_order(self, expected: Sequence[_Call], given: Sequence[_Call]) -> int:
        """Return the longest common subsequence."""
        row = [0] * (len(given) + 1)
        for one in expected:
            before = row
            row = [0]
            for at, other in enumerate(given):
                row.append(before[at] + 1 if self._same(one, other) else max(row[-1], before[at + 1]))
        return row[-1]

    def _any_order(self, expected: Sequence[_Call], given: Sequence[_Call]) -> int:
        """Return how many expected calls can have a call of their own."""
        owner: dict[int, int] = {}

        def find(one: int, tried: set[int]) -> bool:
            for at, other in enumerate(given):
                if at not in tried and self._same(expected[one], other):
                    tried.add(at)
                    if at not in owner or find(owner[at], tried):
                        owner[at] = one
                        return True
            return False

        return sum(find(one, set()) for one in range(len(expected)))

    def _same(self, expected: _Call, given: _Call) -> bool:
        if expected[0] != given[0]:
            return False
        if self.arguments == "any":
            return True
        one, other = expected[1], given[1]
        if not isinstance(one, dict) or not isinstance(other, dict):
            return False
        if self.arguments == "at_least":
            return all(key in other and other[key] == value for key, value in one.items())
        return one == other


_Call = tuple[str, Any]


def _call(given: Mapping[str, Any]) -> _Call:
    """Return the name and the arguments of a call, of OpenAI's shape or plain. Arguments that are no JSON are text."""
    inner = given.get("function", given)
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = json.loads(arguments or "{}")
    return str(inner.get("name", "")), arguments


def _truth(value: Any) -> bool:
    """Return what a row's value says; a CSV file has texts."""
    return value.strip().casefold() in ("true", "yes", "1") if isinstance(value, str) else bool(value)


def _is(read: Any, text: str) -> bool:
    try:
        read(text)
    except (ValueError, RecursionError):
        return False
    return True
