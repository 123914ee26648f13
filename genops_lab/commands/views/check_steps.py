"""Steps of the test of a target or an endpoint, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..document import Block, Cell, Column, Note, Row, Table, Tone, duration

_STATES: dict[str, Tone] = {
    "ok": "good",
    "warning": "busy",
    "failed": "bad",
    "skipped": "dim",
    "optional": "dim",
}
_HINTS: dict[str, Tone] = {"failed": "bad", "optional": "dim"}


class Step(Protocol):
    """A step of a test: its result and, unless it is good, what to do."""

    @property
    def step(self) -> str:
        """Return its name."""

    @property
    def state(self) -> str:
        """Return ``ok``, ``warning``, ``failed``, ``skipped`` or ``optional``."""

    @property
    def message(self) -> str:
        """Return what was found."""

    @property
    def hint(self) -> str:
        """Return what to do."""

    @property
    def took_s(self) -> float:
        """Return its duration in seconds."""


def steps(found: Sequence[Step]) -> list[Block]:
    """Return a table of the steps, and what to do about each."""
    rows: list[Row] = [
        [
            Cell(each.state, _STATES[each.state]),
            each.step,
            each.message,
            duration(each.took_s) if each.took_s else "",
        ]
        for each in found
    ]
    columns = [
        Column("state"),
        Column("step"),
        Column("found", shrinks=True, folds=True),
        Column("took", right=True),
    ]
    hints = [
        Note(text, _HINTS.get(each.state, "busy"))
        for each in found
        if each.hint
        for text in (
            f"{each.step}: {each.hint}",
            *(f"    {command}" for command in getattr(each, "commands", ())),
        )
    ]
    return [Table(columns, rows, empty="No step was tested."), *hints]
