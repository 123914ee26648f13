"""Match patterns with pyarrow's RE2: time linear in the text, whatever the pattern."""

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

#: Numbers in Arrow's spelling, except NaN.
_NUMBER: Final = r"(?i)\A[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?)\z"
#: Parts of Python's expressions that RE2 lacks by design.
_LACKING: Final = {"(?=": "look-ahead", "(?!": "look-ahead", "(?<": "look-behind"}


@dataclass(frozen=True)
class Fault:
    """An error of an expression, and its place."""

    message: str
    position: int
    length: int
    hint: str = ""


def regex_fault(pattern: str) -> Fault | None:
    """Return the error of an expression; None if RE2 accepts it."""
    try:
        pc.match_substring_regex(strings([""]), pattern)
    except pa.ArrowInvalid as error:
        said = str(error).partition("Invalid regular expression: ")[2] or str(error)
        message, _, piece = said.partition(": ")
        position, length = _place(pattern, message, piece)
        lacking = _LACKING.get(piece)
        hint = f"RE2, which is used here, has no {lacking}. NOT may help." if lacking else ""
        return Fault(message if not piece else f"{message} ({piece})", position, length, hint)
    return None


def _place(pattern: str, message: str, piece: str) -> tuple[int, int]:
    """Return the place of the piece that RE2's message names, because RE2 gives no place."""
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
    """Return which words match the expression, shape (words,)."""
    return booleans(pc.match_substring_regex(words, pattern))


def like(words: pa.StringArray, pattern: str, *, ignore_case: bool) -> npt.NDArray[np.bool_]:
    """Return which words match SQL's pattern as a whole, shape (words,)."""
    # For Arrow the backslash is an escape.
    return booleans(pc.match_like(words, pattern.replace("\\", "\\\\"), ignore_case=ignore_case))


def containing(words: pa.StringArray, text: str) -> npt.NDArray[np.bool_]:
    """Return which words contain the text, in any case, shape (words,)."""
    return booleans(pc.match_substring(words, text, ignore_case=True))


def beginning(words: pa.StringArray, text: str) -> npt.NDArray[np.bool_]:
    """Return which words begin with the text, shape (words,)."""
    return booleans(pc.starts_with(words, text))


def equal(words: pa.StringArray, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which words are one of the texts, shape (words,)."""
    if len(texts) == 1:
        return booleans(pc.equal(words, scalar(texts[0])))
    return booleans(pc.is_in(words, value_set=strings(texts)))


def numbers(words: pa.StringArray) -> npt.NDArray[np.float64]:
    """Return the words read as numbers, shape (words,); NaN for other words (or NaN itself)."""
    try:
        values = pc.cast(words, pa.float64())
    except pa.ArrowInvalid:  # some are not numbers: finding the others takes longer
        trimmed = pc.ascii_trim_whitespace(words)
        valid = pc.match_substring_regex(trimmed, _NUMBER)
        values = pc.cast(pc.if_else(valid, trimmed, pa.nulls(1, pa.string())[0]), pa.float64())
    return floats(values)
