"""Patterns over texts, by pyarrow's RE2: time linear in the text, whatever the pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from genops_lab.core.arrow import booleans, floats, scalar, strings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: What Arrow reads as a number, but for NaN.
_NUMBER: Final = r"(?i)\A[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?)\z"
#: What RE2 lacks of Python's expressions, by design.
_LACKING: Final = {"(?=": "look-ahead", "(?!": "look-ahead", "(?<": "look-behind"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with an expression, and where in it."""

    message: str
    position: int
    length: int
    hint: str = ""


def regex_fault(pattern: str) -> Fault | None:
    """None for an expression that RE2 takes."""
    try:
        pc.match_substring_regex(strings([""]), pattern)
    except pa.ArrowInvalid as error:
        said = str(error).partition("Invalid regular expression: ")[2] or str(error)
        message, _, piece = said.partition(": ")
        position, length = _place(pattern, message, piece)
        lacking = _LACKING.get(piece)
        hint = f"RE2, which is used here, has no {lacking}; NOT may help." if lacking else ""
        return Fault(message if not piece else f"{message} ({piece})", position, length, hint)
    return None


def _place(pattern: str, message: str, piece: str) -> tuple[int, int]:
    """RE2 tells the piece that it stumbled over, not its place."""
    if message.startswith("missing ") and piece == pattern:
        return max(0, len(pattern) - 1), 1
    if message.startswith("unexpected )"):
        return _extra_parenthesis(pattern), 1
    if message.startswith("trailing"):
        return max(0, len(pattern) - 1), 1
    found = pattern.find(piece) if piece else -1
    return (found, len(piece)) if found >= 0 else (0, max(1, len(pattern)))


def _extra_parenthesis(pattern: str) -> int:
    depth = 0
    for found in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|[()]", pattern, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth < 0:
            return found.start()
    return 0


def matching(words: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    """Which words hold what the expression describes, shape (words,)."""
    return booleans(pc.match_substring_regex(words, pattern))


def like(words: pa.StringArray, pattern: str, *, ignore_case: bool) -> npt.NDArray[np.bool_]:
    """Which words are described whole by SQL's pattern, shape (words,)."""
    # Arrow knows the backslash as an escape.
    return booleans(pc.match_like(words, pattern.replace("\\", "\\\\"), ignore_case=ignore_case))


def containing(words: pa.StringArray, text: str) -> npt.NDArray[np.bool_]:
    """Which words contain the text, upper and lower case alike, shape (words,)."""
    return booleans(pc.match_substring(words, text, ignore_case=True))


def beginning(words: pa.StringArray, text: str) -> npt.NDArray[np.bool_]:
    """Which words begin with the text, shape (words,)."""
    return booleans(pc.starts_with(words, text))


def equal(words: pa.StringArray, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which words are one of the texts, shape (words,)."""
    if len(texts) == 1:
        return booleans(pc.equal(words, scalar(texts[0])))
    return booleans(pc.is_in(words, value_set=strings(texts)))


def numbers(words: pa.StringArray) -> npt.NDArray[np.float64]:
    """The words read as numbers, shape (words,); NaN where one is no number (or is NaN)."""
    try:
        values = pc.cast(words, pa.float64())
    except pa.ArrowInvalid:  # not all are numbers: those that are have to be found first, which takes longer
        trimmed = pc.ascii_trim_whitespace(words)
        valid = pc.match_substring_regex(trimmed, _NUMBER)
        values = pc.cast(pc.if_else(valid, trimmed, pa.nulls(1, pa.string())[0]), pa.float64())
    return floats(values)
