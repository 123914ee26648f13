"""The interface of scorers: an answer comes in, a score comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from genops_lab.genai.endpoints.limits import Usage

_WORDS = 500


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with all that a scorer may look at.

    - row: the row of the data that was asked about.
    - messages: the turns that were sent.
    - money: what the call cost, in ``currency``; None where no price is known.
    - against: the answer of the model compared with to the same row and repeat, for pairwise judges.
    """

    text: str
    row: Mapping[str, Any] = {}
    messages: Sequence[Mapping[str, Any]] = ()
    tool_calls: Sequence[Mapping[str, Any]] = ()
    latency_s: float | None = None
    usage: Usage | None = None
    money: float | None = None
    currency: str = "USD"
    finish_reason: str = ""
    against: str | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scorer's verdict on an answer. ``value`` None: not scored, and ``reason`` says why.

    - mark: a judge's mark on its own scale, of which ``value`` is the part between 0 and 1.
    - consistent: whether a pairwise judge chose the same answer in both orders.
    - cost: money that the score itself cost.
    """

    value: float | None
    reason: str = ""
    mark: float | None = None
    consistent: bool | None = None
    cost: float | None = None


class NotScored(Exception):
    """An answer that a scorer cannot judge. It counts as neither right nor wrong."""


class CannotScore(Exception):
    """A scorer that can score nothing here: the message says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class BaseScorer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scorer"):
    """``name``: what the results call the scorer; empty: its kind."""

    name: str = ""

    @property
    def label(self) -> str:
        """Return the name in the results."""
        return self.name or str(self.__struct_config__.tag)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return the lowest and the highest value; None: any number."""
        return 0.0, 1.0

    @property
    def lowest(self) -> float | None:
        """Return the lowest value, also of a scorer without bounds; None: any number."""
        return None if self.bounds is None else self.bounds[0]

    @property
    def asks(self) -> str:
        """Return the name of the model that the scorer asks; empty: none."""
        return ""

    @property
    def better(self) -> Literal["higher", "lower", ""]:
        """Return which values are better; empty: neither."""
        return "higher"


class Rule(BaseScorer, frozen=True, kw_only=True, tag_field="scorer"):
    """A scorer that is a pure function of the answer, and is quick."""

    def score(self, answered: Answered) -> Score:
        """Return the score. Raises NotScored."""
        raise NotImplementedError


class Expecting(BaseScorer, frozen=True, kw_only=True, tag_field="scorer"):
    """``expected``: the column with what is expected."""

    expected: str = "expected"

    def wanted(self, row: Mapping[str, Any]) -> Any:
        """Return what the row expects. Raises NotScored."""
        return column(row, self.expected)


class Program(BaseScorer, frozen=True, kw_only=True, tag_field="scorer"):
    """A scorer that runs in a process of its own, because it may be slow, large or hostile. See ``running``.

    ``timeout_s``: the time for one answer. ``memory_mb``: the address space of the process; 0: no bound.
    """

    timeout_s: float = 30.0
    memory_mb: int = 2048

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= 3600:
            raise ValueError("timeout_s must be above 0 and at most 3600 s")

    def prepare(self, folder: Path) -> None:
        """Load what all answers need. ``folder``: that of the evaluation file. Raises CannotScore."""

    def score(self, answered: Answered) -> Score:
        """Return the score. Raises NotScored."""
        raise NotImplementedError


class AskingScorer(Protocol):
    """A scorer that asks a model: a judge, or embeddings of an endpoint. The fields are those of :class:`Judge`."""

    @property
    def label(self) -> str:
        """Return the name in the results."""

    @property
    def judgements(self) -> int:
        """Return how many times each answer is scored."""

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings of its calls."""

    def calls(self, answered: Answered) -> list[list[dict[str, Any]]]:
        """Return the turns of each call that one score needs. Raises NotScored."""

    def read(self, texts: Sequence[str]) -> Score:
        """Return the score in the answers to ``calls``, in the same order. Raises NotScored."""


class Judge(BaseScorer, frozen=True, kw_only=True, tag_field="scorer"):
    """A scorer that asks a model.

    - model: the name of the model that judges.
    - judgements: how many times the judge marks each answer. More tell its own variance.
    - settings: those of the judge's calls, such as ``temperature`` and ``max_tokens``.
    """

    model: str
    judgements: int = 1
    settings: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not 1 <= self.judgements <= 100:
            raise ValueError("judgements must be 1 to 100")

    @property
    def asks(self) -> str:
        """Return the name of the model that judges."""
        return self.model

    def calls(self, answered: Answered) -> list[list[dict[str, Any]]]:
        """Return the turns of each call that one judgement needs. Raises NotScored."""
        raise NotImplementedError

    def read(self, texts: Sequence[str]) -> Score:
        """Return the score in the judge's answers to ``calls``, in the same order. Raises NotScored."""
        raise NotImplementedError


def named_judge(label: str) -> str:
    """Return what sentences call a judge.

    >>> named_judge("rubric"), named_judge("judge")
    ('The judge rubric', 'The judge')
    """
    return "The judge" if label == "judge" else f"The judge {label}"


def column(row: Mapping[str, Any], name: str) -> Any:
    """Return a row's value. Raises NotScored if it is missing, None or NaN."""
    found = row.get(name)
    if found is None or (isinstance(found, float) and math.isnan(found)):
        raise NotScored(f"the row has no {name!r}")
    return found


def yes(holds: bool, otherwise: str = "") -> Score:
    """Return 1, or 0 with the reason ``otherwise``."""
    return Score(value=1.0) if holds else Score(value=0.0, reason=otherwise[:_WORDS])


def not_scored(reason: str) -> Score:
    """Return a score without a value."""
    return Score(value=None, reason=_whole(reason[:_WORDS]))


def checked(score: Score) -> Score:
    """Return the score; one that is NaN or infinite counts as not scored."""
    if score.value is not None and not math.isfinite(score.value):
        return not_scored(f"the scorer returned {score.value}")
    reason = _whole(score.reason)
    return score if reason == score.reason else msgspec.structs.replace(score, reason=reason)


def _whole(text: str) -> str:
    """Return a text with question marks in place of halves of characters, which no file can keep."""
    return text.encode(errors="replace").decode()


def scored(rule: Rule | Program, answered: Answered) -> Score:
    """Return a rule's score. A rule that raises does not score, and the reason says so.

    >>> from genops_lab.genai.scorers.rules import Exact
    >>> scored(Exact(), Answered(text="Lima", row={"expected": "Lima"})).value
    1.0
    >>> scored(Exact(), Answered(text="Lima")).reason
    "the row has no 'expected'"
    """
    try:
        return checked(rule.score(answered))
    except NotScored as error:
        return not_scored(str(error))
    except Exception as error:
        return not_scored(f"the scorer raised {type(error).__name__}: {error}")


def read_judgement(judge: AskingScorer, texts: Sequence[str]) -> Score:
    """Return the score in a judge's answers. A refusal or a mark outside the scale does not score."""
    try:
        return checked(judge.read(texts))
    except NotScored as error:
        return not_scored(str(error))
