"""Find the runs that match a condition; each distinct text is checked once, numbers all at once."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import nodes, patterns
from .columns import Columns
from .names import Name
from .times import Clock

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

#: Users rarely type a whole id; a shorter text is not an id.
_SHORTEST_ID: Final = 6

#: MLflow's databases store infinite metrics as the largest numbers: both count as infinite in a query with
#: ``inf``.
LARGEST: Final = float(np.finfo(np.float64).max)
_ENDS: Final = (-LARGEST, LARGEST)

_COMPARED: Final[dict[nodes.Operator, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Evaluation:
    """One evaluation of the columns at one time. Masks have the shape (rows,)."""

    def __init__(self, columns: Columns, clock: Clock) -> None:
        self._columns = columns
        self._clock = clock
        self._conditions: dict[type, Callable[[Any], Bools]] = {
            nodes.Comparison: self._comparison,
            nodes.Pair: self._pair,
            nodes.Between: self._between,
            nodes.OneOf: self._one_of,
            nodes.Like: self._like,
            nodes.Matches: self._matches,
            nodes.Present: self._present,
            nodes.NotANumber: self._not_a_number,
            nodes.Word: self._word,
        }

    def mask(self, node: nodes.Node) -> Bools:
        """Return the runs that match the node, in a new array."""
        if isinstance(node, nodes.Inverse):
            return np.logical_not(self.mask(node.item))
        if isinstance(node, nodes.Every | nodes.Either):
            join = np.logical_and if isinstance(node, nodes.Every) else np.logical_or
            joined = np.full(self._columns.rows, isinstance(node, nodes.Every))
            for item in node.items:
                join(joined, self.mask(item), out=joined)
            return joined
        return self._conditions[type(node)](node)

    def _comparison(self, node: nodes.Comparison) -> Bools:
        how, value = node.operator, node.value
        if node.name.is_number:
            values, present = self._numbers(node.name)
            return self._compared(values, how, value) & present
        if isinstance(value, nodes.Text):
            text = value.value
            return self._words(node.name, lambda words: patterns.equal(words, [text]) ^ (how == "!="))
        return self._words_as_numbers(node.name, lambda values: self._compared(values, how, value))

    def _pair(self, node: nodes.Pair) -> Bools:
        left = self._columns.numbers(node.name.kind, node.name.key)
        right = self._columns.numbers(node.other.kind, node.other.key)
        if left is None or right is None:
            return self._none()
        compared: Bools = _COMPARED[node.operator](left.values, right.values)
        return compared & left.present & right.present

    def _between(self, node: nodes.Between) -> Bools:
        def inside(values: Floats) -> Bools:
            within = self._compared(values, ">=", node.low) & self._compared(values, "<=", node.high)
            return within ^ node.negated

        if node.name.is_number:
            values, present = self._numbers(node.name)
            return inside(values) & present
        return self._words_as_numbers(node.name, inside)

    def _one_of(self, node: nodes.OneOf) -> Bools:
        numbers = np.array([value.value for value in node.values if isinstance(value, nodes.Number)])
        texts = [value.value for value in node.values if isinstance(value, nodes.Text)]
        if node.name.is_number:
            values, present = self._numbers(node.name)
            found = _one_of_numbers(values, numbers)
            for value in node.values:
                if not isinstance(value, nodes.Number):
                    found |= self._compared(values, "=", value)
            return (found ^ node.negated) & present

        def chosen(words: pa.StringArray) -> Bools:
            found = patterns.equal(words, texts)
            if numbers.size:
                found = found | _one_of_numbers(patterns.numbers(words), numbers)
            return found ^ node.negated

        return self._words(node.name, chosen)

    def _like(self, node: nodes.Like) -> Bools:
        return self._words(
            node.name,
            lambda words: patterns.like(words, node.pattern, ignore_case=node.ignore_case) ^ node.negated,
        )

    def _matches(self, node: nodes.Matches) -> Bools:
        return self._words(node.name, lambda words: patterns.matching(words, node.pattern) ^ node.negated)

    def _present(self, node: nodes.Present) -> Bools:
        if node.name.is_number:
            return np.array(self._numbers(node.name)[1])
        texts = self._columns.texts(node.name.kind, node.name.key)
        return self._none() if texts is None else texts.codes >= 0

    def _not_a_number(self, node: nodes.NotANumber) -> Bools:
        values, present = self._numbers(node.name)
        return (np.isnan(values) ^ node.negated) & present

    def _word(self, node: nodes.Word) -> Bools:
        found = self._none()
        for part in node.parts:
            found |= self._words(part, lambda words: patterns.containing(words, node.text))
        if len(node.text) >= _SHORTEST_ID:
            for each in node.ids:
                found |= self._words(each, lambda words: patterns.beginning(words, node.text.lower()))
        return found

    def _numbers(self, name: Name) -> tuple[Floats, Bools]:
        """Return times and durations in whole milliseconds, as MLflow keeps them, so that equality is
        MLflow's.
        """
        found = self._columns.numbers(name.kind, name.key)
        if found is None:
            return np.full(self._columns.rows, np.nan), self._none()
        return (np.rint(found.values * 1000) if name.is_seconds else found.values), found.present

    def _words(self, name: Name, chosen: Callable[[pa.StringArray], Bools]) -> Bools:
        """Return the runs whose text is one of the words that ``chosen`` marks; runs without a text do not
        match.
        """
        texts = self._columns.texts(name.kind, name.key)
        if texts is None:
            return self._none()
        # The code -1 takes the last one, which stands for no text.
        marked = np.append(chosen(texts.words), False)
        return np.asarray(np.take(marked, texts.codes, mode="wrap"))

    def _words_as_numbers(self, name: Name, chosen: Callable[[Floats], Bools]) -> Bools:
        """Like ``_words``, with the words read as numbers; other words never match."""

        def marked(words: pa.StringArray) -> Bools:
            values = patterns.numbers(words)
            return chosen(values) & ~np.isnan(values)

        return self._words(name, marked)

    def _none(self) -> Bools:
        return np.zeros(self._columns.rows, dtype=np.bool_)

    def _compared(self, values: Floats, how: nodes.Operator, value: nodes.Value) -> Bools:
        """Compare with a number, or with a time that may be a span: any time of a day is equal to the day."""
        assert not isinstance(value, nodes.Text), "the builder gives numbers to numbers"
        if isinstance(value, nodes.Number):
            low = high = value.value
            if np.isinf(low):
                values, low = np.clip(values, *_ENDS), float(np.clip(low, *_ENDS))
                high = low
        else:
            low, high = (round(end * 1000, 2) for end in value.span(self._clock))
        compared: Bools
        if low == high or how in ("<", ">", ">="):
            compared = _COMPARED[how](values, low)
        elif how == "<=":
            compared = values < high
        else:
            compared = ((values >= low) & (values < high)) ^ (how == "!=")
        return compared


def _one_of_numbers(values: Floats, numbers: Floats) -> Bools:
    infinite = np.isinf(numbers).any()
    return (
        np.isin(np.clip(values, *_ENDS), np.clip(numbers, *_ENDS)) if infinite else np.isin(values, numbers)
    )
