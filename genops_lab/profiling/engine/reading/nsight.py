"""Read exports of Nsight Systems (``nsys export --type sqlite``) into columns.

Nothing is written, and nothing of the file is run. The file is opened read-only, and only plain tables are
read, because a view or a computed column would run the file's own expressions.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genops_lab.core.errors import InvalidRequest

from ..columns import NO_ID, Columns
from ..formatting import counted
from ..kinds import Kind, kind_of
from .nvtx import operator_of
from .parts import Builder

_LARGEST = 2**62
_VERSION = re.compile(r"_v\d+$|_ptsz$|_ptds$")
_NESTING, _CROSSING = (59, 70), (60, 71)
_COPIES = dict(
    enumerate(("HtoD", "DtoH", "HtoA", "AtoH", "AtoA", "AtoD", "DtoA", "DtoD", "HtoH", "PtoP"), start=1)
)
_COPIES |= {11: "UVM HtoD", 12: "UVM DtoH", 13: "UVM DtoD"}
_MEMORY = {0: "Pageable", 1: "Pinned", 2: "Device", 3: "Array", 4: "Managed", 5: "Device", 6: "Managed"}
_WAITS = {1: "Event Sync", 2: "Stream Wait Event", 3: "Stream Sync", 4: "Context Sync"}
_DEVICE = ("start", "end", "deviceId", "streamId", "correlationId", "globalPid")

_KNOWN = ("CUPTI_ACTIVITY_KIND_", "NVTX_EVENTS")
#: Tables of every export.
_ALWAYS = ("META_DATA_", "TARGET_INFO_", "ENUM_NSYS_")
#: Errors of reading a damaged database; SQLite's own message may contain bytes that are not text.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


def read(path: Path) -> Columns:
    """Read an export. Raises OSError, and InvalidRequest for another database or an unknown schema."""
    path.stat()  # SQLite's own error does not say that the file is missing
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            tables = Tables(connection, path.name)
        except UNREADABLE as error:
            raise no_export(path.name, f"SQLite cannot read it ({error})") from error
        return _Reading(tables).finish()


class _Reading:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._builder = Builder()
        self._processes: dict[int, int] = {}
        self._events = self._unusable = 0
        self._damage: list[str] = []
        self._incomplete = False
        self._texts: dict[int, str] = {}

    def finish(self) -> Columns:
        """Return the columns of all tables; a damaged database is read up to the damage."""
        self._reading(self._strings)
        for part in (self._kernels, self._graphs, self._copies, self._fills, self._waits, self._calls):
            self._reading(part)
        self._reading(self._ranges)
        labels: dict[tuple[str, str], str] = {}
        self._reading(lambda: labels.update(self._threads()))
        properties: list[dict[str, Any]] = []
        self._reading(lambda: properties.extend(self._devices()))
        if self._unusable:
            self._damage.append(
                f"{counted(self._unusable, 'event has', 'events have')} no valid time or lane."
            )
        return self._builder.finish(
            labels,
            events=self._events,
            device_properties=properties,
            damage=self._damage,
            incomplete=self._incomplete,
        )

    def _reading(self, part: Any) -> None:
        try:
            part()
        except UNREADABLE as error:
            self._incomplete = True
            self._damage.append(f"The database is damaged; the part before was read ({error}).")

    def _rows(self, table: Table | None, *columns: str) -> Iterator[tuple[Any, ...]]:
        for row in table.rows(*columns) if table is not None else ():
            self._events += 1
            yield row

    def _device_rows(self, activity: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield rows of device work, or of waits for it: the common columns, then ``columns``."""
        table = self._tables.get(f"CUPTI_ACTIVITY_KIND_{activity}", *_DEVICE[:4])
        return self._rows(table, *_DEVICE, *columns)

    def _strings(self) -> None:
        table = self._tables.get("StringIds", "id", "value")
        if table is not None:
            self._texts = {key: text for key, text in table.rows("id", "value") if isinstance(text, str)}

    def _text(self, key: Any, otherwise: str) -> str:
        return self._texts.get(key, otherwise) if isinstance(key, int) else otherwise

    def _kernels(self) -> None:
        more = ("shortName", "demangledName", "gridX", "gridY", "gridZ", "blockX", "blockY", "blockZ")
        last = ("registersPerThread", "staticSharedMemory", "dynamicSharedMemory", "graphId", "graphNodeId")
        for row in self._device_rows("KERNEL", *more, *last):
            whole = self._text(row[7], "")
            name = self._text(row[6], "") or whole or "(unnamed kernel)"
            # The short name lacks the namespace, which identifies some communication.
            kinds = {kind_of("kernel", name), kind_of("kernel", re.split(r"[<(]", whole, maxsplit=1)[0])}
            kind = Kind.COMMUNICATION if Kind.COMMUNICATION in kinds else Kind.COMPUTE
            shared = [value for value in row[15:17] if _is_natural(value)]
            number = self._on_device(
                row, name, kind,
                registers=row[14], shared_memory=sum(shared) if shared else None, graph=row[17], graph_node=row[18],
            )  # fmt: skip
            for column, given in (("grid", row[8:11]), ("block", row[11:14])):
                if number is not None and all(isinstance(value, int) for value in given):
                    self._builder.mark_text(number, column, json.dumps(given))

    def _graphs(self) -> None:
        """Add CUDA graphs that were traced as a whole, without their kernels."""
        for row in self._device_rows("GRAPH_TRACE", "graphId"):
            self._on_device(row, "(CUDA graph)", Kind.COMPUTE, graph=row[6])

    def _copies(self) -> None:
        for row in self._device_rows("MEMCPY", "copyKind", "srcKind", "dstKind", "bytes"):
            way = _COPIES.get(row[6], "")
            ends = (_MEMORY.get(row[7], ""), _MEMORY.get(row[8], ""))
            detail = f" ({ends[0]} -> {ends[1]})" if all(ends) else ""
            self._on_device(row, f"Memcpy {way}{detail}".strip(), Kind.COPY, bytes=row[9])

    def _fills(self) -> None:
        for row in self._device_rows("MEMSET", "memKind", "bytes"):
            where = _MEMORY.get(row[6], "")
            self._on_device(row, f"Memset ({where})" if where else "Memset", Kind.FILL, bytes=row[7])

    def _waits(self) -> None:
        for row in self._device_rows("SYNCHRONIZATION", "syncType"):
            self._on_device(row, _WAITS.get(row[6], "Sync"), Kind.WAIT)

    def _calls(self) -> None:
        table = self._tables.get("CUPTI_ACTIVITY_KIND_RUNTIME", "start", "end")
        for start, end, thread, correlation, name in self._rows(
            table, "start", "end", "globalTid", "correlationId", "nameId"
        ):
            called = _VERSION.sub("", self._text(name, "(unnamed call)"))
            lane = self._thread(thread)
            self._add(start, end, called, lane, Kind.RUNTIME, self._correlation(thread, correlation))

    def _ranges(self) -> None:
        """Add NVTX ranges: those that torch made of its operators become operators, all others
        annotations."""
        table = self._tables.get("NVTX_EVENTS", "start", "end")
        columns = ("start", "end", "eventType", "text", "textId", "globalTid")
        for start, end, event, text, text_id, thread in self._rows(table, *columns):
            if end is None or event not in (*_NESTING, *_CROSSING):
                continue
            said = text if isinstance(text, str) else self._text(text_id, "(unnamed range)")
            if event in _CROSSING:
                # These ranges begin and end anywhere, also on other threads, so they are in no thread's call
                # tree.
                self._add(start, end, said, self._thread(thread, " ranges"), Kind.ANNOTATION)
                continue
            operator = operator_of(said)
            if operator is None:
                self._add(start, end, said, self._thread(thread), Kind.ANNOTATION)
                continue
            number = self._add(start, end, operator.name, self._thread(thread), Kind.OPERATOR)
            self._mark(number, "sequence", operator.sequence)
            if number is not None and operator.dims:
                self._builder.mark_text(number, "dims", operator.dims)

    def _threads(self) -> dict[tuple[str, str], str]:
        table = self._tables.get("ThreadNames", "nameId", "globalTid")
        labels = {}
        for name, thread in table.rows("nameId", "globalTid") if table is not None else ():
            if _is_natural(thread):
                labels[_process(thread), str(thread & 0xFFFFFF)] = self._text(name, "")
        return labels

    def _devices(self) -> list[dict[str, Any]]:
        """Return devices, named as in Kineto's ``deviceProperties``."""
        table = self._tables.get("TARGET_INFO_GPU", "name")
        if table is None:
            return []
        columns = ("cuDevice", "name", "totalMemory", "smCount", "computeMajor", "computeMinor")
        words = ("id", "name", "totalGlobalMem", "numSms", "computeMajor", "computeMinor")
        return [
            {word: value for word, value in zip(words, row, strict=True) if value is not None}
            for row in table.rows(*columns)
        ]

    def _on_device(self, row: tuple[Any, ...], name: str, kind: Kind, **sparse: Any) -> int | None:
        """Add device work. ``sparse`` has values of sparse columns."""
        start, end, device, stream, correlation, process = row[:6]
        if not _is_natural(device):
            self._unusable += 1
            return None
        known = str(stream) if _is_natural(stream) else ""
        lane = self._builder.lane(
            f"device {device}", f"stream {known}", "" if kind == Kind.WAIT else str(device), known
        )
        number = self._add(start, end, name, lane, kind, self._correlation(process, correlation))
        for column, value in sparse.items():
            self._mark(number, column, value)
        return number

    def _add(
        self, start: Any, end: Any, name: str, lane: int, kind: Kind, correlation: int = NO_ID
    ) -> int | None:
        if not isinstance(start, int) or not isinstance(end, int) or not -_LARGEST < start <= end < _LARGEST:
            self._unusable += 1
            return None
        return self._builder.add(start, end - start, name, lane, kind, correlation)

    def _mark(self, number: int | None, column: str, value: Any) -> None:
        if number is not None and _is_natural(value) and value < _LARGEST:
            self._builder.mark(number, column, value)

    def _thread(self, thread: Any, part: str = "") -> int:
        known = _is_natural(thread)
        process = _process(thread) if known else ""
        return self._builder.lane(process, f"{thread & 0xFFFFFF}{part}" if known else f"?{part}")

    def _correlation(self, process: Any, correlation: Any) -> int:
        """Return the correlation id; each process counts its own calls, so two of them in one file use the
        same numbers."""
        if not _is_natural(correlation) or not 0 < correlation < 2**40:
            return NO_ID
        key = process >> 24 if _is_natural(process) else -1
        place = self._processes.setdefault(key, len(self._processes))
        return (place % 2**20 << 40) + int(correlation)


def _process(thread: int) -> str:
    """Return the process id in a global thread id: hardware, machine, process and thread take 8, 8, 24 and 24
    bits."""
    return str(thread >> 24 & 0xFFFFFF)


def _is_natural(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


@dataclass(frozen=True)
class Table:
    """A table. Its name and columns come from this module and its callers, never from the file."""

    connection: sqlite3.Connection
    name: str
    columns: frozenset[str]

    def rows(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield all rows; None stands for columns that this version does not have."""
        wanted = ", ".join(f'"{each}"' if each in self.columns else "NULL" for each in columns)
        yield from self.connection.execute(f'SELECT {wanted} FROM "{self.name}"')  # noqa: S608


class Tables:
    """The tables of an export. Raises InvalidRequest for another database; sqlite3.Error when SQLite cannot
    read it."""

    def __init__(self, connection: sqlite3.Connection, file: str) -> None:
        self._connection, self._file = connection, file
        self._plain = {
            name
            for name, definition in connection.execute(_TABLES)
            # CREATE VIRTUAL TABLE would run a SQLite module on the file's content.
            if isinstance(definition, str) and definition[:13].upper() == "CREATE TABLE "
        }
        if not any(name.startswith(_KNOWN) for name in self._plain):
            if any(name.startswith(_ALWAYS) for name in self._plain):
                raise InvalidRequest(
                    f"{file} has no GPU activity: the export of Nsight Systems has no GPU kernels, copies, CUDA calls"
                    " or NVTX ranges (tables CUPTI_ACTIVITY_KIND_* and NVTX_EVENTS).",
                    hint="Record the program on a machine with a GPU: nsys profile --trace=cuda,nvtx PROGRAM",
                )
            has = ", ".join(sorted(self._plain)[:5])
            raise no_export(file, f"its tables are {has}" if has else "it has no tables")

    def get(self, name: str, *needed: str) -> Table | None:
        """Return a table, or None without it. Raises InvalidRequest where it lacks a needed column."""
        if name not in self._plain:
            return None
        found = list(self._connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (name,)))
        columns = frozenset(column for column, hidden in found if not hidden)
        missing = [column for column in needed if column not in columns]
        if missing:
            raise InvalidRequest(
                f"{self._file} is an unknown version of a Nsight Systems export: table {name} has no column "
                f"{', '.join(missing)}.",
                hint="Export the report again with a current Nsight Systems: nsys export --type sqlite FILE.nsys-rep",
            )
        return Table(self._connection, name, columns)


def no_export(file: str, why: str) -> InvalidRequest:
    """Return the error for another database, or a damaged one."""
    return InvalidRequest(
        f"{file} is not an export of Nsight Systems: {why}.",
        hint="Make one: nsys export --type sqlite FILE.nsys-rep",
    )
