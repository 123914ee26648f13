"""What programs write that is nearly JSON: numbers that are none (Python, C++), and halves of UTF-16 pairs.

What stands in its place is as long, so that positions stay what they were.
"""

from __future__ import annotations

import re

_SUSPECT = re.compile(rb"nan|inf|\\u[dD][89a-fA-F]", re.IGNORECASE)
_TOKEN = re.compile(
    rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z))|-?(?:nan|inf(?:inity)?)\b', re.DOTALL | re.IGNORECASE
)
_ESCAPE = re.compile(
    rb"(?P<good>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])|\\[^u])"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)


def mended(text: bytes | bytearray) -> bytes | bytearray:
    """``text`` with an empty text for ``NaN`` and ``Infinity``, question marks for half a pair; the same object where
    there is neither."""
    if _SUSPECT.search(text) is None:
        return text
    found = _TOKEN.sub(_token, text)
    return text if found == text else found


def _token(token: re.Match[bytes]) -> bytes:
    whole = token[0]
    if token["text"] is None:
        return b'""'.ljust(len(whole))
    return _ESCAPE.sub(_escape, whole) if b"\\u" in whole else whole


def _escape(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["good"] is not None else b"?" * len(escape[0])
