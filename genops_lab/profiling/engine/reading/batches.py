"""A batch of events as a part of columns.

What is written as profilers write it is taken by ``native`` where it is built; all else, and all without it, is left to
``slow_path``, which takes events one by one and gives the same columns.
"""

from __future__ import annotations

import codecs
import re

import msgspec

from . import native, native_slices, slow_path
from .parts import Part

_SUSPECT = re.compile(rb"nan|inf|\\u[dD][89a-fA-F]", re.IGNORECASE)
_TOKEN = re.compile(
    rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z))|-?(?:nan|inf(?:inity)?)\b', re.DOTALL | re.IGNORECASE
)
_ESCAPE = re.compile(
    rb"(?P<good>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])|\\[^u])"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)


def _as_question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


# Bytes that are no UTF-8 become as many question marks: positions stay what they were.
_QUESTION = "genops-question"
codecs.register_error(_QUESTION, _as_question_marks)


def read(text: bytes | bytearray) -> Part:
    """The part that a JSON array of events makes. Raises msgspec.DecodeError where it is none, RecursionError where
    it is nested too deep."""
    text = _as_utf8(text)
    try:
        return _read(text)
    except msgspec.DecodeError as error:
        whole = text if "trailing" in str(error) else mended(text)
        if whole is text:
            raise
        return _read(whole)


def _read(text: bytes | bytearray) -> Part:
    scanned = native.scan(text)
    part = None if scanned is None else _of_scanned(scanned)
    return slow_path.read(text) if part is None else part


def _of_scanned(scanned: native.Scanned) -> Part | None:
    try:
        others = slow_path.read(b"[" + b",".join(scanned.others) + b"]")
    except msgspec.DecodeError:
        return None
    # Memory events that it left to Python belong between those that it took.
    return None if others.memory else native_slices.part(scanned, others)


def _as_utf8(text: bytes | bytearray) -> bytes | bytearray:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return text.decode("utf-8", _QUESTION).encode()
    return text


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
