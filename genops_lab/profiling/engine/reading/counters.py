"""Read samples of counters (``ph: "C"``): power, utilisation, queue lengths. One event may sample several
series."""

from __future__ import annotations

import math
from array import array
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import Counters, CounterSeries
from .locations import place

#: The samples of a part: time, series and value.
Sampled = dict[str, npt.NDArray[Any]]
#: Some traces name a new series with every event; more lanes are not useful.
MOST_SERIES = 1000

_arguments = msgspec.json.Decoder(Any)


class Samples:
    """Collects samples."""

    def __init__(self) -> None:
        self.series: dict[CounterSeries, int] = {}
        self._ts, self._number, self._value = array("q"), array("i"), array("d")

    def add(self, ts: int, process: str, name: str, identity: Any, text: msgspec.Raw) -> None:
        """Add the samples of an event at ``ts``, for each series with a number. Raises msgspec.DecodeError
        for numbers that are too large for any type."""
        arguments = _arguments.decode(text)
        if not isinstance(arguments, dict):
            return
        counter = name if identity is None else f"{name} {place(identity)}"
        for key, given in arguments.items():
            value = _number(given)
            if value is not None:
                series = CounterSeries(process, counter, key)
                self._ts.append(ts)
                self._number.append(self.series.setdefault(series, len(self.series)))
                self._value.append(value)

    def sampled(self) -> Sampled:
        """Return the samples in order; empty without any."""
        if not len(self._ts):
            return {}
        return {
            "ts": np.frombuffer(self._ts, np.int64),
            "series": np.frombuffer(self._number, np.int32),
            "value": np.frombuffer(self._value, np.float64),
        }


class Counted:
    """Samples of many parts, added in the order of the file."""

    def __init__(self) -> None:
        self._series: dict[CounterSeries, int] = {}
        self._ts, self._number, self._value = array("q"), array("i"), array("d")
        self._left_out: set[CounterSeries] = set()

    @property
    def first(self) -> int | None:
        """Return the earliest time; None without any."""
        return int(np.frombuffer(self._ts, np.int64).min()) if len(self._ts) else None

    @property
    def damage(self) -> list[str]:
        """Return a sentence if there are more series than the limit."""
        if not self._left_out:
            return []
        return [f"The first {MOST_SERIES} counter series were read; {len(self._left_out)} more were not."]

    def add(self, series: list[CounterSeries], sampled: Sampled) -> None:
        """Add the samples of a part."""
        if not sampled:
            return
        numbers = np.array([self._numbered(each) for each in series], np.int32)[sampled["series"]]
        kept = numbers >= 0
        self._ts.frombytes(sampled["ts"][kept].astype(np.int64).tobytes())
        self._number.frombytes(numbers[kept].tobytes())
        self._value.frombytes(sampled["value"][kept].tobytes())

    def columns(self, origin_ns: int) -> Counters | None:
        """Return the samples by series, each sorted by time; samples of one time are in file order."""
        if not len(self._ts):
            return None
        ts, number = np.frombuffer(self._ts, np.int64), np.frombuffer(self._number, np.int32)
        order = np.lexsort((ts, number))
        bounds = np.searchsorted(number[order], np.arange(len(self._series) + 1))
        return Counters(
            ts=ts[order] - origin_ns,
            value=np.frombuffer(self._value, np.float64)[order],
            series=list(self._series),
            bounds=bounds.tolist(),
        )

    def _numbered(self, series: CounterSeries) -> int:
        if series not in self._series and len(self._series) >= MOST_SERIES:
            self._left_out.add(series)
            return -1
        return self._series.setdefault(series, len(self._series))


def _number(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return None
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
