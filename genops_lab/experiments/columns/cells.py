"""Store the values of one name over the runs as arrays that never change; a change makes a new column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from genops_lab.core.arrow import integers, places

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]


class Cells:
    """Numbers at rows.

    Sparse if fewer than half of the rows up to the last one have a value: ``rows``, ascending, beside
    ``values``. Else dense: ``values`` by row, and which are ``present`` (None: all). Rows beyond the last one
    have no value, so later snapshots share an unchanged column.
    """

    __slots__ = ("count", "present", "rows", "values")

    def __init__(self, rows: Rows | None, values: Array, present: Mask | None, count: int) -> None:
        self.rows = rows
        self.values = values
        self.present = present
        self.count = count

    @staticmethod
    def of(rows: Rows, values: Array) -> Cells:
        """Make cells with ``values`` at ``rows`` (ascending, each once, at least one)."""
        count, span = len(rows), int(rows[-1]) + 1
        if count * 2 < span:
            return Cells(rows, values, None, count)
        if count == span:
            return Cells(None, values, None, count)
        dense = np.zeros(span, values.dtype)
        present = np.zeros(span, np.bool_)
        dense[rows], present[rows] = values, True
        return Cells(None, dense, present, count)

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return sum(part.nbytes for part in (self.rows, self.values, self.present) if part is not None)

    def pairs(self) -> tuple[Rows, Array]:
        """Return the rows with a value, ascending, and their values."""
        if self.rows is not None:
            return self.rows, self.values
        if self.present is None:
            return np.arange(len(self.values), dtype=np.int32), self.values
        rows = np.flatnonzero(self.present).astype(np.int32)
        return rows, self.values[rows]

    def spread(self, total: int, fill: Any) -> tuple[Array, Mask]:
        """Return values of all ``total`` rows (``fill`` for a missing one) and which are present; new arrays."""
        values = np.full(total, fill, self.values.dtype)
        present = np.zeros(total, np.bool_)
        if self.rows is not None:
            inside = self.rows[: np.searchsorted(self.rows, total)]
            values[inside], present[inside] = self.values[: len(inside)], True
        else:
            span = min(total, len(self.values))
            present[:span] = True if self.present is None else self.present[:span]
            np.copyto(values[:span], self.values[:span], where=present[:span])
        return values, present

    def at(self, rows: npt.NDArray[Any]) -> tuple[Array, Mask]:
        """Return values at ``rows`` (any order) and which are present; the others' values mean nothing."""
        if self.rows is not None:
            place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            return self.values[place], self.rows[place] == rows
        inside = rows < len(self.values)
        place = np.where(inside, rows, 0)
        return self.values[place], inside if self.present is None else inside & self.present[place]

    def put(self, rows: Rows, values: Array) -> Cells:
        """Return these cells with ``values`` at ``rows`` (ascending, each once); self if that changes
        nothing.
        """
        old, there = self.at(rows)
        if there.all() and np.array_equal(old, values, equal_nan=values.dtype.kind == "f"):
            return self
        kind = np.promote_types(self.values.dtype, values.dtype)
        if self.rows is None:
            span = max(len(self.values), int(rows[-1]) + 1)
            dense = np.zeros(span, kind)
            dense[: len(self.values)] = self.values
            dense[rows] = values
            if self.present is None and len(self.values) + np.count_nonzero(rows >= len(self.values)) == span:
                return Cells(None, dense, None, span)
            present = np.zeros(span, np.bool_)
            present[: len(self.values)] = True if self.present is None else self.present
            present[rows] = True
            count = int(np.count_nonzero(present))
            if count * 2 >= span:
                return Cells(None, dense, None if count == span else present, count)
            kept = np.flatnonzero(present).astype(np.int32)
            return Cells(kept, dense[kept], None, count)
        ours = self.values.astype(kind)
        ours[np.searchsorted(self.rows, rows[there])] = values[there]
        place = np.searchsorted(self.rows, rows[~there])
        return Cells.of(np.insert(self.rows, place, rows[~there]), np.insert(ours, place, values[~there]))

    def without(self, rows: npt.NDArray[Any]) -> Cells | None:
        """Return these cells without the values at ``rows``; self if there were none, None if none are left."""
        if not self.at(rows)[1].any():
            return self
        ours, values = self.pairs()
        kept = ~np.isin(ours, rows)
        return Cells.of(ours[kept], values[kept]) if kept.any() else None

    def moved(self, places: Rows) -> Cells | None:
        """Return these cells with row ``r`` at ``places[r]`` (in the same order), dropped at -1; None if none
        are left.
        """
        rows, values = self.pairs()
        new = places[rows]
        kept = new >= 0
        return Cells.of(new[kept], values[kept]) if kept.any() else None


class NumberColumn:
    """Float64 values; a present one may be NaN or infinite."""

    __slots__ = ("cells",)

    def __init__(self, cells: Cells) -> None:
        self.cells = cells

    @staticmethod
    def of(rows: Rows, values: npt.NDArray[np.float64]) -> NumberColumn:
        """Make a column with ``values`` at ``rows`` (ascending, each once, at least one)."""
        return NumberColumn(Cells.of(rows, values))

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.cells.nbytes

    def put(self, rows: Rows, values: npt.NDArray[np.float64]) -> NumberColumn:
        """See :meth:`Cells.put`."""
        return self._like(self.cells.put(rows, values))

    def _like(self, cells: Cells) -> NumberColumn:
        return self if cells is self.cells else NumberColumn(cells)

    def without(self, rows: npt.NDArray[Any]) -> NumberColumn | None:
        """See :meth:`Cells.without`."""
        cells = self.cells.without(rows)
        return None if cells is None else self._like(cells)

    def moved(self, places: Rows) -> NumberColumn | None:
        """See :meth:`Cells.moved`."""
        cells = self.cells.moved(places)
        return None if cells is None else NumberColumn(cells)

    def keys(self, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], Mask]:
        """Return the sort keys of ``rows``, and which rows have one."""
        return self.cells.at(rows)


class TextColumn:
    """Each distinct text once in ``words``; the cells hold each row's place in it."""

    __slots__ = ("_keys", "cells", "words")

    def __init__(self, cells: Cells, words: pa.StringArray) -> None:
        self.cells = cells
        self.words = words
        self._keys: npt.NDArray[np.float64] | None = None

    @staticmethod
    def of(rows: Rows, texts: pa.StringArray) -> TextColumn:
        """Make a column with ``texts`` (no nulls) at ``rows`` (ascending, each once, at least one)."""
        encoded = texts.dictionary_encode()
        words = encoded.dictionary
        return TextColumn(Cells.of(rows, narrow(integers(encoded.indices), len(words))), words)

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.cells.nbytes + int(self.words.nbytes)

    def put(self, rows: Rows, texts: pa.StringArray) -> TextColumn:
        """See :meth:`Cells.put`."""
        codes = pc.index_in(texts, value_set=self.words)
        words = self.words
        if codes.null_count:
            new = texts.filter(codes.is_null()).unique()
            words = pa.concat_arrays([words, new])
            codes = pc.index_in(texts, value_set=words)
        cells = self.cells.put(rows, narrow(integers(codes), len(words)))
        if cells is self.cells:
            return self
        made = TextColumn(cells, words)
        return made._compact() if len(words) > 2 * cells.count + 16 else made

    def _compact(self) -> TextColumn:
        """Drop words that no row has any more."""
        rows, codes = self.cells.pairs()
        return TextColumn.of(rows, self.words.take(places(codes)))

    def without(self, rows: npt.NDArray[Any]) -> TextColumn | None:
        """See :meth:`Cells.without`."""
        cells = self.cells.without(rows)
        if cells is None or cells is self.cells:
            return None if cells is None else self
        return TextColumn(cells, self.words)

    def moved(self, places: Rows) -> TextColumn | None:
        """See :meth:`Cells.moved`."""
        cells = self.cells.moved(places)
        return None if cells is None else TextColumn(cells, self.words)._compact()

    def texts(self, rows: npt.NDArray[Any]) -> list[str | None]:
        """Return the texts at ``rows``, None for a missing one."""
        codes, there = self.cells.at(rows)
        found: list[str | None] = self.words.take(places(np.where(there, codes, 0))).to_pylist()
        for at in np.flatnonzero(~there).tolist():
            found[at] = None
        return found

    def codes(self, total: int) -> npt.NDArray[np.int32]:
        """Return each of ``total`` rows' place in ``words``, -1 for a missing text."""
        codes, there = self.cells.spread(total, 0)
        wide = codes.astype(np.int32)
        wide[~there] = -1
        return wide

    def keys(self, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], Mask]:
        """Return the sort keys of ``rows``, and which rows have one: numbers if all texts are, else
        alphabetical ranks.
        """
        codes, there = self.cells.at(rows)
        return self._word_keys()[codes], there

    def _word_keys(self) -> npt.NDArray[np.float64]:
        if self._keys is None:
            used = np.unique(self.cells.pairs()[1])  # an overwritten text must not turn numbers into texts
            keys = np.zeros(len(self.words), np.float64)
            keys[used] = word_ranks(self.words.take(places(used)))
            self._keys = keys
        return self._keys


Column = NumberColumn | TextColumn


def word_ranks(words: pa.StringArray) -> npt.NDArray[np.float64]:
    """Return the sort keys of ``words``: the numbers if all are numbers, else their alphabetical ranks."""
    ranks = _as_numbers(words)
    if ranks is None:
        ranks = np.empty(len(words), np.float64)
        ranks[integers(pc.array_sort_indices(words))] = np.arange(len(words))
    return ranks


def _as_numbers(words: pa.StringArray) -> npt.NDArray[np.float64] | None:
    try:
        return np.array([float(word) for word in words.to_pylist()], np.float64)
    except ValueError:
        return None


def narrow(codes: Array, words: int) -> Array:
    """Return codes in as few bytes as ``words`` of them need."""
    return codes.astype(np.uint8 if words <= 0x100 else np.uint16 if words <= 0x10000 else np.int32)


def order_by(keys: npt.NDArray[np.float64], there: Mask, descending: bool) -> npt.NDArray[np.intp]:
    """Return a stable order by ``keys``: numbers, then NaN, then missing values, in both directions."""
    is_number = there & ~np.isnan(keys)
    numbers = keys if is_number.all() else keys[is_number]
    order = _stable_order(-numbers if descending else numbers)
    if numbers is keys:
        return order
    return np.concatenate(
        [np.flatnonzero(is_number)[order], np.flatnonzero(there & ~is_number), np.flatnonzero(~there)]
    )


def _stable_order(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return a stable order; different numbers allow a faster sort: 5 ms for 100,000, not 12."""
    order = np.argsort(numbers)
    ordered = numbers[order]
    if (ordered[1:] == ordered[:-1]).any():
        return np.argsort(numbers, kind="stable")
    return order
