"""Convert written times to whole nanoseconds exactly: many at once where that is safe, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import Int64

#: All times and ids are smaller.
LARGEST = 2**62
#: Value of a text that is not a time.
UNUSABLE = -LARGEST

_whole = msgspec.json.Decoder(list[int])
_real = msgspec.json.Decoder(list[float])
_PLAIN = b"0123456789.,-"
#: Below it, a double of microseconds with three decimals is accurate to half a nanosecond (see
#: ``_of_doubles``).
_EXACT_BELOW = 2.0**42


def nanoseconds(text: bytes) -> int | None:
    """Convert written microseconds (``1717.25``, ``"12"``, ``1e3``) to whole nanoseconds; None for no finite
    number."""
    whole, _, rest = text.partition(b".")
    if whole.isdigit() and len(whole) < 20 and len(rest) <= 3 and (rest.isdigit() or not rest):
        value = int(whole) * 1000 + int(rest.ljust(3, b"0"))
        return value if value < LARGEST else None
    try:
        scaled = Decimal(text.decode("ascii", "replace").strip('" ')) * 1000
        value = int(scaled.to_integral_value()) if scaled.is_finite() and scaled.adjusted() < 20 else LARGEST
    except (ArithmeticError, ValueError):
        return None
    return value if -LARGEST < value < LARGEST else None


def all_nanoseconds(texts: Sequence[msgspec.Raw]) -> Int64:
    """Return ``nanoseconds`` of each; UNUSABLE stands for None."""
    found = _together(b",".join(texts))
    if found is not None and len(found) == len(texts):
        return found
    one_by_one = [nanoseconds(bytes(text)) for text in texts]
    return np.array([UNUSABLE if each is None else each for each in one_by_one], np.int64)


def _together(text: bytes) -> Int64 | None:
    """Parse numbers between commas; None where that needs more care."""
    if text.translate(None, _PLAIN):
        return None
    try:
        if b"." not in text:
            whole = np.array(_whole.decode(b"[" + text + b"]"), np.int64)
            return whole * 1000 if (np.abs(whole) < LARGEST // 1000).all() else None
        decimals = _decimals(text)
        found = _of_doubles(np.array(_real.decode(b"[" + text + b"]"), np.float64), decimals)
        if found is None and (decimals == 3).all():
            found = np.array(_whole.decode(b"[" + text.replace(b".", b"") + b"]"), np.int64)
            return found if (np.abs(found) < LARGEST).all() else None
    except (msgspec.DecodeError, OverflowError):
        return None
    return found


def _decimals(text: bytes) -> npt.NDArray[np.int64]:
    """Return the digits after the point of each number between commas."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.append(np.flatnonzero(letters == ord(",")), len(letters))
    points = np.flatnonzero(letters == ord("."))
    number = np.searchsorted(ends, points)
    decimals = np.zeros(len(ends), np.int64)
    decimals[number] = ends[number] - points - 1
    return decimals


def _of_doubles(micros: npt.NDArray[np.float64], decimals: npt.NDArray[np.int64]) -> Int64 | None:
    """Convert doubles; None where they are not accurate enough.

    A double is off by at most half the spacing of doubles there, its product by half a spacing more. With
    three decimals or fewer the true product is whole, so the nearest whole number is correct while that error
    is below 1/2: up to 2**42 microseconds, 0.244 + 0.25. With more decimals, the nearest number is certain if
    the product is farther from a half than the error.
    """
    if len(micros) != len(decimals):
        return None
    nanos = micros * 1000
    nearest = np.rint(nanos)
    error = np.spacing(np.abs(micros)) * 500 + np.spacing(np.abs(nanos))
    sure = np.abs(micros) < _EXACT_BELOW
    sure &= (decimals <= 3) | (np.abs(nanos - nearest) + error < 0.5)
    return nearest.astype(np.int64) if sure.all() else None
