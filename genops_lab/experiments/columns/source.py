"""Define a mirror's source, and the MLflow schemas that may be read directly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from .changes import Changes
from .narrowing import Narrowed, Part
from .snapshot import Snapshot

SourceKind = Literal["sqlite", "postgresql", "api"]

#: Revisions of MLflow's database (its ``alembic_version``) whose tables of runs can be read here: MLflow 2.2
#: to 3.17. tests/experiments/test_columns_schema.py compares them with MLflow's own migrations.
KNOWN_REVISIONS = frozenset(
    {
        "97727af70f4d",
        "3500859a5d39",
        "7f2a7d5fae7d",
        "2d6e25af4d3e",
        "acf3f17fdcc7",
        "867495a8f9d4",
        "5b0e9adcef9c",
        "4465047574b1",
        "f5a4f2784254",
        "0584bdc529eb",
        "400f98739977",
        "6953534de441",
        "bda7b8c39065",
        "cbc13b556ace",
        "770bee3ae1dd",
        "a1b2c3d4e5f6",
        "de4033877273",
        "1a0cddfcaa16",
        "534353b11cbc",
        "71994744cf8e",
        "3da73c924c2f",
        "bf29a5ff90ea",
        "1bd49d398cd23",
        "b7c8d9e0f1a2",
        "5d2d30f0abce",
        "c9d4e5f6a7b8",
        "2c33131f4dae",
        "d3e4f5a6b7c8",
        "d0e1f2a3b4c5",
        "c8d9e0f1a2b3",
        "1b5f0d9ad7c1",
        "e1f2a3b4c5d6",
        "76601a5f987d",
        "c3d6457b6d8a",
        "a5b4c3d2e1f0",
        "ae8bbe7743c9",
        "7d34483879f0",
        "da6fb0208061",
        "89d3d66ed43f",
        "b7e4c1a90f23",
        "a8b9c0d1e2f3",
        "c1d2e3f4a5b6",
        "c3d9e7f1a2b4",
        "6f8d9c3b2a1e",
        "1971f2d9a75b",
        "17e22815139b",
        "b7e2c1a4d9f3",
        "75868b020152",
        "dc11669786a5",
    }
)


class UnknownSchema(Exception):
    """The database has a schema that cannot be read directly."""


def refuse_unknown(revisions: set[str]) -> None:
    """Raise UnknownSchema unless the database's revisions can be read directly."""
    if not revisions or not revisions <= KNOWN_REVISIONS:
        raise UnknownSchema(", ".join(sorted(revisions)) or "none")


class FullReadNeeded(Exception):
    """The read runs cannot be updated by changes: another store, or rows deleted for good."""


class Source(Protocol):
    """Reads one store, in one thread. Each method may raise GenOpsError (no answer), UnknownSchema or
    FullReadNeeded.
    """

    kind: SourceKind
    #: Seconds between polls while questions come, and while a round of :meth:`poll` is not finished.
    every_s: float
    again_s: float

    @property
    def swept_since(self) -> float | None:
        """Return the time before which all changes are known, in seconds since 1970; None: changes are seen."""

    @property
    def settled(self) -> bool:
        """Whether the results of :meth:`poll` since the last change of the store include all its changes."""

    def identity(self) -> str:
        """Return a text that is different for another store."""

    def total(self) -> int | None:
        """Return the number of runs, None if unknown."""

    def newest(self, count: int) -> Changes:
        """Return the newest runs."""

    def some(self, asked: Narrowed) -> Part | None:
        """Return the runs that a question needs; None if the store cannot answer it."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all runs, newest first, in blocks; the next :meth:`poll` reports changes during the reading."""

    def resume(self, mark: str) -> bool:
        """Resume from an earlier source's :meth:`mark`; False: everything must be read."""

    def mark(self) -> str:
        """Return the position up to which changes were reported, for :meth:`resume`."""

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return runs that may have changed since; ``touched`` runs certainly did."""

    def lacks_statistics(self) -> bool:
        """Return whether the store's own queries are slow because ANALYZE was never run."""

    def close(self) -> None:
        """Close the store."""
