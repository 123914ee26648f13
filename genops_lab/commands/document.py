"""The blocks of an answer, which become text for a terminal or HTML for a notebook."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

#: The characters of a run's id that tables show. Commands take any unique prefix.
SHORT_ID = 8

Tone = Literal["", "good", "busy", "bad", "dim"]

_TONES: dict[str, Tone] = {
    "running": "good",
    "ready": "good",
    "ok": "good",
    "finished": "good",
    "preparing": "busy",
    "starting": "busy",
    "stopping": "busy",
    "analyzing": "busy",
    "scheduled": "busy",
    "warning": "busy",
    "failed": "bad",
    "killed": "bad",
    "error": "bad",
    "ended": "dim",
    "stopped": "dim",
    "info": "dim",
}


@dataclass(frozen=True)
class Cell:
    """A text and its tone."""

    text: str
    tone: Tone = ""


Row = Sequence[str | Cell]


@dataclass(frozen=True)
class Column:
    """A column's heading and layout; ``right`` aligns numbers.

    On a narrow terminal, columns that ``shrinks`` are cut to ``narrowest`` characters, or continue on the next line
    where they ``folds``. If that is not enough, columns with ``leaves`` are left out, the smallest number first.
    """

    heading: str
    right: bool = False
    shrinks: bool = False
    narrowest: int = 10
    leaves: int = 0
    folds: bool = False


@dataclass(frozen=True)
class Table:
    """Rows below headings; without a row the text ``empty``, which says what to do next."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str = ""
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair a line; pairs without a value are left out."""

    pairs: Sequence[tuple[str, str | Cell]]
    title: str = ""


@dataclass(frozen=True)
class Lines:
    """Text that keeps its own lines, such as a log."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Note:
    """A sentence."""

    text: str
    tone: Tone = ""


Block = Table | Facts | Lines | Note


@dataclass(frozen=True)
class Document:
    """Blocks from top to bottom."""

    blocks: Sequence[Block] = field(default_factory=tuple)


def clean(text: str) -> str:
    """Return text without control characters, which would steer the terminal."""
    return "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf") else f"\\x{ord(character):02x}"
        for character in text
    )


def state_cell(state: str) -> Cell:
    """Return a state with its tone. MLflow's RUNNING means work in progress, a deployment's running means health."""
    return Cell(state, "busy" if state == "RUNNING" else _TONES.get(state.lower(), ""))


def moment(timestamp: float | None) -> str:
    """Return a local date and time, to the minute."""
    if timestamp is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(timestamp))


def duration(seconds: float) -> str:
    """Return seconds as text, in the two largest units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: int | None) -> str:
    """Return bytes as text, in binary units."""
    if count is None:
        return ""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def microseconds(us: float) -> str:
    """Return microseconds as text, in s, ms or µs."""
    if us >= 1e6:
        return f"{us / 1e6:.3f} s"
    if us >= 1e3:
        return f"{us / 1e3:.3f} ms"
    return f"{us:.3f} µs"


def share(part: float, whole: float) -> str:
    """Return ``part`` of ``whole`` in percent."""
    return f"{100 * part / whole:.1f} %" if whole > 0 else ""
