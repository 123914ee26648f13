"""The tables of an export of Nsight Systems, whichever of them and of their columns a version has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genops_lab.core.errors import InvalidRequest

_KNOWN = ("CUPTI_ACTIVITY_KIND_", "NVTX_EVENTS")
#: What every export has, whatever was recorded.
_ALWAYS = ("META_DATA_", "TARGET_INFO_", "ENUM_NSYS_")
#: What reading a damaged database raises; SQLite's own message may quote what is no text.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


@dataclass(frozen=True)
class Table:
    """One table. Its name and columns come from this module and its callers, never from the file."""

    connection: sqlite3.Connection
    name: str
    columns: frozenset[str]

    def rows(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """All rows; None stands for the columns that this version does not have."""
        wanted = ", ".join(f'"{each}"' if each in self.columns else "NULL" for each in columns)
        yield from self.connection.execute(f'SELECT {wanted} FROM "{self.name}"')  # noqa: S608


class Tables:
    """Raises InvalidRequest when they are none of Nsight Systems; sqlite3.Error when SQLite cannot read them."""

    def __init__(self, connection: sqlite3.Connection, file: str) -> None:
        self._connection, self._file = connection, file
        self._plain = {
            name
            for name, definition in connection.execute(_TABLES)
            # CREATE VIRTUAL TABLE would run a module of SQLite's on what the file says.
            if isinstance(definition, str) and definition[:13].upper() == "CREATE TABLE "
        }
        if not any(name.startswith(_KNOWN) for name in self._plain):
            if any(name.startswith(_ALWAYS) for name in self._plain):
                raise InvalidRequest(
                    f"{file} is an export of Nsight Systems without GPU activity: it has no kernels, copies, CUDA calls"
                    " or NVTX ranges (tables CUPTI_ACTIVITY_KIND_* and NVTX_EVENTS).",
                    hint="Record the program where it uses a GPU: nsys profile --trace=cuda,nvtx PROGRAM",
                )
            has = ", ".join(sorted(self._plain)[:5])
            raise no_export(file, f"its tables are {has}" if has else "it has no tables")

    def get(self, name: str, *needed: str) -> Table | None:
        """A table, None where there is none. Raises InvalidRequest where it lacks a column that is needed."""
        if name not in self._plain:
            return None
        found = list(self._connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (name,)))
        columns = frozenset(column for column, hidden in found if not hidden)
        missing = [column for column in needed if column not in columns]
        if missing:
            raise InvalidRequest(
                f"{self._file} is an export of Nsight Systems that is not known here: {name} has no column "
                f"{', '.join(missing)}.",
                hint="Export the report anew with a current Nsight Systems: nsys export --type sqlite FILE.nsys-rep",
            )
        return Table(self._connection, name, columns)


def no_export(file: str, why: str) -> InvalidRequest:
    """The error of a database that is something else, or damaged."""
    return InvalidRequest(
        f"{file} is no export of Nsight Systems: {why}.",
        hint="Make one: nsys export --type sqlite FILE.nsys-rep",
    )
