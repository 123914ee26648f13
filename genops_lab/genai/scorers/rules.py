"""Score an answer by a rule about its text: each gives 1 for right, 0 for wrong, or a part between."""

from __future__ import annotations

import math
import re

from .base import Answered, Expecting, NotScored, Rule, Score, yes

#: A minus between words or numbers is no sign, as in 2020-2021; commas part thousands, as in 1,234, and lists.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-+−])?(?:\d{1,3}(?:,\d{3})+(?!,?\d)(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
)
_FENCE = re.compile(r"```(\w*)[^\S\n]*\n(.*?)```", re.DOTALL)


class Given(Rule, frozen=True, kw_only=True, tag="given", tag_field="scorer"):
    """The score that another harness gave with the answer. ``least`` and ``most``: its bounds, where it has any."""

    least: float | None = None
    most: float | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return the bounds of the harness."""
        return None if self.least is None or self.most is None else (self.least, self.most)

    def score(self, answered: Answered) -> Score:
        """Raise NotScored: scores that were given are kept already."""
        raise NotScored("the harness gave no score")


class Exact(Expecting, Rule, frozen=True, kw_only=True, tag="exact", tag_field="scorer"):
    """The answer is the expected text, without spaces around it; ``ignore_case`` takes capitals as small letters."""

    ignore_case: bool = False

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        wanted, given = str(self.wanted(answered.row)).strip(), answered.text.strip()
        return yes(wanted.casefold() == given.casefold() if self.ignore_case else wanted == given)


class Contains(Expecting, Rule, frozen=True, kw_only=True, tag="contains", tag_field="scorer"):
    """The answer contains the expected text, whatever the capitals unless ``ignore_case`` is false."""

    ignore_case: bool = True

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        wanted, text = str(self.wanted(answered.row)).strip(), answered.text
        if not wanted:
            raise NotScored(f"{self.expected!r} is empty")
        return yes(wanted.casefold() in text.casefold() if self.ignore_case else wanted in text)


class Numeric(Expecting, Rule, frozen=True, kw_only=True, tag="numeric", tag_field="scorer"):
    """The last number in the answer is the expected one, within a relative and an absolute tolerance."""

    relative: float = 1e-6
    absolute: float = 0.0

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        try:
            wanted = float(str(self.wanted(answered.row)).replace(",", ""))
        except ValueError as error:
            raise NotScored(f"{self.expected!r} is no number") from error
        numbers = _NUMBER.findall(answered.text)
        if not numbers:
            return yes(False, "the answer has no number")
        given = float(numbers[-1].replace(",", "").replace("−", "-").rstrip("."))
        close = math.isclose(given, wanted, rel_tol=self.relative, abs_tol=self.absolute)
        return yes(close, f"{given:g}, not {wanted:g}")


def fenced(text: str, language: str = "") -> str:
    """Return what the last code fence has, one of ``language`` first, or the whole text without one.

    >>> fenced("Here:\\n```python\\nx = 1\\n```")
    'x = 1'
    """
    found = _FENCE.findall(text)
    for kind, content in reversed(found):
        if not language or kind.casefold() == language:
            return str(content).rstrip()
    return str(found[-1][1]).rstrip() if found else text
