"""Read the search space of a sweep from texts such as ``lr=loguniform(1e-4, 1e-1)`` and ``layers=1,2,3``."""

from __future__ import annotations

import ast
import itertools
import keyword
import math
import random
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from genops_lab.core.errors import InvalidRequest

Value = int | float | str | bool | None
Kind = Literal["choice", "uniform", "loguniform", "int", "logint"]

MAX_NAMES = 50
MAX_CHOICES = 10_000
_HINT = "Write values as lr=0.1,0.2, or a range: uniform(LOW, HIGH, STEP), int(LOW, HIGH, STEP), loguniform or logint."


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one variable: ``values`` of a choice, or the range from ``low`` to ``high``, both included.

    ``step`` is the distance of the values from ``low`` on; 0 means no step.
    """

    name: str
    kind: Kind
    values: list[Value] = []
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.kind in ("int", "logint")


def read_space(texts: Sequence[str]) -> list[Dimension]:
    """Read dimensions from ``NAME=VALUES`` texts. Raises InvalidRequest."""
    space = [_dimension(text) for text in texts]
    names = [dimension.name for dimension in space]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise InvalidRequest(f"{twice} is given twice.", hint="Give each name once, with all its values.")
    if len(space) > MAX_NAMES:
        raise InvalidRequest(f"The sweep has {len(space)} names.", hint=f"Use at most {MAX_NAMES}.")
    return space


def grid_size(space: Sequence[Dimension]) -> int:
    """Return the number of trials of a grid. Raises InvalidRequest for a range without a step."""
    return math.prod(len(_listed(dimension)) for dimension in space)


def grid_point(space: Sequence[Dimension], number: int) -> dict[str, Value]:
    """Return the parameters of the grid's trial ``number``, from 0 on; the last name varies first."""
    found: dict[str, Value] = {}
    for dimension in reversed(space):
        values = _listed(dimension)
        number, position = divmod(number, len(values))
        found[dimension.name] = values[position]
    return {dimension.name: found[dimension.name] for dimension in space}


def random_point(space: Sequence[Dimension], seed: int, number: int) -> dict[str, Value]:
    """Return trial ``number`` of a random search, which depends only on the seed and the number."""
    source = random.Random(f"{seed}:{number}")  # noqa: S311 - a search, no secret
    return {dimension.name: _drawn(dimension, source) for dimension in space}


def _dimension(text: str) -> Dimension:
    name, equals, what = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidRequest(f"{text[:80]!r} is not of the form NAME=VALUES.", hint=_HINT)
    if not what:
        raise InvalidRequest(f"{name} has no values.", hint=_HINT)
    kind, parenthesis, rest = what.partition("(")
    if parenthesis and rest.endswith(")") and kind.strip().isidentifier():
        return _range(name, kind.strip(), rest[:-1])
    values = [_literal(part.strip()) for part in _parts(what)]
    if len({repr(value) for value in values}) < len(values):
        raise InvalidRequest(f"{name} has a value twice.", hint="Give each value once.")
    if len(values) > MAX_CHOICES:
        raise InvalidRequest(f"{name} has {len(values)} values.", hint=f"Give at most {MAX_CHOICES}.")
    return Dimension(name=name, kind="choice", values=values)


def _range(name: str, kind: str, inside: str) -> Dimension:
    def wrong(why: str) -> InvalidRequest:
        return InvalidRequest(f"{name}={kind}({inside}): {why}", hint=_HINT)

    if kind not in ("uniform", "loguniform", "int", "logint"):
        raise wrong(f"unknown range {kind!r}.")
    try:
        numbers = [float(part) for part in inside.split(",")]
    except ValueError:
        raise wrong("LOW, HIGH and STEP must be numbers.") from None
    if len(numbers) not in ((2, 3) if kind in ("uniform", "int") else (2,)):
        raise wrong(
            f"{kind} takes LOW and HIGH{' and optionally STEP' if kind in ('uniform', 'int') else ''}."
        )
    low, high = numbers[:2]
    step = numbers[2] if len(numbers) == 3 else (1.0 if kind == "int" else 0.0)
    if not all(math.isfinite(number) for number in numbers) or not low < high:
        raise wrong("LOW must be below HIGH, and both must be finite.")
    if kind.startswith("log") and low <= 0:
        raise wrong("LOW must be above 0.")
    if kind in ("int", "logint") and any(number != int(number) for number in numbers):
        raise wrong("LOW, HIGH and STEP must be whole numbers.")
    if len(numbers) == 3 and not 0 < step <= high - low:
        raise wrong("STEP must be above 0 and at most HIGH - LOW.")
    found: Kind = kind  # type: ignore[assignment] # checked above
    return Dimension(name=name, kind=found, low=low, high=high, step=step)


def _parts(text: str) -> Iterator[str]:
    """Split at commas outside quotes."""
    part, quote = "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == ",":
            yield part
            part = ""
            continue
        part += character
    yield part


def _literal(text: str) -> Value:
    if not text:
        raise InvalidRequest("A value is missing between two commas.", hint=_HINT)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text


def _listed(dimension: Dimension) -> list[Value]:
    if dimension.kind == "choice":
        return dimension.values
    if not dimension.step:
        raise InvalidRequest(
            f"A grid needs a finite number of values, and the range of {dimension.name} has no step.",
            hint="Give values or a step, or use --method random or tpe.",
        )
    count = int((dimension.high - dimension.low) / dimension.step + 1e-9) + 1
    if count > MAX_CHOICES:
        raise InvalidRequest(
            f"{dimension.name} has {count} values.",
            hint=f"Use a larger step, for at most {MAX_CHOICES} values.",
        )
    return list(itertools.islice(_steps(dimension), count))


def _steps(dimension: Dimension) -> Iterator[Value]:
    for index in itertools.count():
        value = dimension.low + index * dimension.step
        # 0.1 + 2 * 0.1 is 0.30000000000000004
        yield int(value) if dimension.is_whole else float(f"{value:.12g}")


def _drawn(dimension: Dimension, source: random.Random) -> Value:
    if dimension.kind == "choice":
        return source.choice(dimension.values)
    if dimension.step:
        return source.choice(_listed(dimension))
    if dimension.kind == "uniform":
        return source.uniform(dimension.low, dimension.high)
    if dimension.kind == "loguniform":
        drawn = math.exp(source.uniform(math.log(dimension.low), math.log(dimension.high)))
        return min(max(drawn, dimension.low), dimension.high)
    drawn = math.exp(source.uniform(math.log(dimension.low - 0.5), math.log(dimension.high + 0.5)))
    return min(max(round(drawn), int(dimension.low)), int(dimension.high))
