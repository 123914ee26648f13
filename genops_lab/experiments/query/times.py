"""Read times and durations as users write them: ``today``, ``-7d``, ``7 days ago``, ``last 7 days``,
``1h30m``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final, Protocol

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

#: Seconds. A month has 30 days here and a year 365: counting back from now needs no calendar.
_UNITS: Final[dict[str, float]] = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), HOUR),
    **dict.fromkeys(("d", "day", "days"), DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * DAY),
    **dict.fromkeys(("month", "months"), 30 * DAY),
    **dict.fromkeys(("y", "year", "years"), 365 * DAY),
}
_UNIT = "(?:" + "|".join(sorted(_UNITS, key=len, reverse=True)) + ")"
_AMOUNT = rf"\d{{1,12}}(?:\.\d{{0,9}})?\s*{_UNIT}"
_PERIOD = rf"last\s+(?:\d{{1,12}}(?:\.\d{{0,9}})?\s*)?{_UNIT}"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}"
_TIME = r"\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:\s*(?:Z|[+-]\d\d:?\d\d))?"
_DATED = rf"{_DATE}(?:(?:\s+|T){_TIME})?"

#: Times of several words, as the grammar reads them without quotes.
SPACED: Final = rf"(?:{_PERIOD}|{_AMOUNT}\s+ago|{_DATE}\s+{_TIME})(?!\w)"

_DURATION_RE = re.compile(rf"(?:{_AMOUNT}\s*)+", re.IGNORECASE)
_PART_RE = re.compile(rf"(\d+(?:\.\d*)?)\s*({_UNIT})(?![a-z])", re.IGNORECASE)
_PERIOD_RE = re.compile(rf"last\s+(\d+(?:\.\d*)?)?\s*({_UNIT})", re.IGNORECASE)
_DATED_RE = re.compile(_DATED, re.IGNORECASE)
_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}


@dataclass(frozen=True)
class Clock:
    """``now``: seconds since 1970. ``zone``: where a day begins; None is this machine's."""

    now: float
    zone: tzinfo | None = None

    def today(self) -> date:
        """The present day in the zone."""
        return datetime.fromtimestamp(self.now, self.zone).date()

    def begin(self, day: date) -> float:
        """Return when a day begins in the zone, in seconds since 1970."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()


class Moment(Protocol):
    """A time that depends on the present time."""

    def span(self, clock: Clock) -> tuple[float, float]:
        """Return begin (included) and end (excluded), in seconds since 1970; both equal for an instant."""


@dataclass(frozen=True)
class Ago:
    """``now``, ``-7d``, ``7 days ago``."""

    seconds: float

    def span(self, clock: Clock) -> tuple[float, float]:
        """Return the instant."""
        return clock.now - self.seconds, clock.now - self.seconds


@dataclass(frozen=True)
class Last:
    """``last 7 days``, without an end, because clocks of hosts differ."""

    seconds: float

    def span(self, clock: Clock) -> tuple[float, float]:
        """Return the span from then on."""
        return clock.now - self.seconds, float("inf")


@dataclass(frozen=True)
class Day:
    """``today`` and its neighbours."""

    offset: int

    def span(self, clock: Clock) -> tuple[float, float]:
        """Return midnight to midnight, 23 or 25 hours on some days."""
        day = clock.today() + timedelta(days=self.offset)
        return clock.begin(day), clock.begin(day + timedelta(days=1))


@dataclass(frozen=True)
class Stamp:
    """A date, or a date and a time to the minute or finer; without a zone it is the clock's."""

    written: datetime
    unit: float

    def span(self, clock: Clock) -> tuple[float, float]:
        """Return the written day, minute or second; an instant for fractions."""
        if self.unit == DAY:
            return clock.begin(self.written.date()), clock.begin(self.written.date() + timedelta(days=1))
        aware = self.written if self.written.tzinfo else self.written.replace(tzinfo=clock.zone)
        return aware.timestamp(), aware.timestamp() + self.unit


def duration(text: str) -> float | None:
    """Return seconds of ``90s``, ``1h30m``, ``1 h 30 min``, ``2 days``; None for anything else."""
    text = text.strip()
    if not _DURATION_RE.fullmatch(text):
        return None
    parts = _PART_RE.findall(text.replace(" ", ""))
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in parts)


def moment(text: str) -> Moment | None:
    """Return the time that is meant; None for other text. Raises ValueError if there is no such day or hour."""
    text = " ".join(text.split())
    lower = text.lower()
    if lower in _DAYS:
        return Day(_DAYS[lower])
    if lower == "now":
        return Ago(0.0)
    if found := _PERIOD_RE.fullmatch(text):
        return Last(float(found[1] or 1) * _UNITS[found[2].lower()])
    if lower.endswith(" ago") and (seconds := duration(text[:-4])) is not None:
        return Ago(seconds)
    if text[:1] in ("-", "+") and (seconds := duration(text[1:])) is not None:
        return Ago(seconds if text[0] == "-" else -seconds)
    return _stamp(text) if _DATED_RE.fullmatch(text) else None


def _stamp(text: str) -> Stamp:
    found = re.fullmatch(
        r"(\d+)-(\d+)-(\d+)(?:[ Tt](\d+):(\d+)(?::(\d+)(\.\d+)?)?)? ?([Zz]|[+-]\d\d:?\d\d)?", text
    )
    assert found
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not 1970 < year < 9999:
        raise ValueError("the year is out of range")
    written = datetime(year, month, day, hour, minute, second, tzinfo=_zone(found[8]))
    if found[7]:
        return Stamp(written + timedelta(seconds=float(found[7])), 0.0)
    return Stamp(written, 1.0 if found[6] else MINUTE if found[4] else DAY)


def _zone(written: str | None) -> tzinfo | None:
    if not written:
        return None
    if written in "Zz":
        return timezone.utc
    sign = -1 if written[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(written[1:3]), minutes=int(written[-2:])))
