"""Open this user's local store: an SQLite file in the data folder."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, Engine, Table, create_engine, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from ..errors import GenOpsError
from .store import Schema, Store, connect_to_server, upsert, version_in
from .tables import former_stores, metadata, outbox

#: Versions of the single store of older versions, which had the local tables in ``store_url``.
_FORMER_HEADS = ("0001", "0002", "0003", "0004", "0005", "0006")
#: Tables that older versions wrote to a database server. Other users may have written there too, so digests of models
#: (trusted without a question) and open runs (whose processes would be searched on this machine) are not copied.
_OF_A_SERVER = ("targets", "profiles", "host_traces", "deployments", "sweeps", "sweep_trials", "idempotency")
_ROWS = 200

log = logging.getLogger("genops_lab")


class LocalStore(Store):
    """The data of this user and machine: processes, paths, targets, sweeps. The constructor opens the store.

    ``former`` is the database of ``store_url``, where older versions may have these tables. They are copied once and
    stay there unchanged.
    """

    schema = Schema(metadata, Path(__file__).parent / "migrations", "0009")
    title = "The GenOps store"
    newer_hint = "Upgrade genops-lab, or set GenOpsLab.data_dir to another folder."

    def __init__(self, path: Path, *, former: URL | None = None) -> None:
        self._former = former
        super().__init__(URL.create("sqlite", database=str(path)))
        self.open()

    def _opened(self, engine: Engine) -> None:
        former, path = self._former, Path(self.url.database or "")
        if former is None or _is_file(former, path):
            return
        digest = hashlib.sha256(former.render_as_string().encode()).hexdigest()
        with engine.begin() as connection:
            state = connection.execute(
                select(former_stores.c.state).where(former_stores.c.digest == digest)
            ).scalar()
            if state == "copied":
                return
            try:
                with connection.begin_nested():
                    # Rows that were written here while the other store did not answer are newer.
                    if not _copy(connection, former, path.parent, replaces=state is None):
                        return
                state = "copied"
            except (SQLAlchemyError, GenOpsError) as error:
                reason = str(error).splitlines()[0]
                log.warning(
                    "Cannot copy the data of an older GenOps Lab from GenOpsLab.store_url yet: %s", reason
                )
                state = "later"
            upsert(connection, former_stores, {"digest": digest, "state": state}, change={"state": state})


def post(connection: Connection, table: Table, row: Mapping[str, Any], *, remove: bool = False) -> None:
    """Queue a row to be put into (or removed from) a table of the shared store after this transaction has committed.

    ``row`` has the columns except owner and team, or the rest of the primary key of a row to remove.
    """
    connection.execute(
        outbox.insert().values(
            table_name=table.name,
            action="remove" if remove else "put",
            content=msgspec.json.encode(row).decode(),
            posted_at=time.time(),
        )
    )


def _copy(connection: Connection, former: URL, data_dir: Path, *, replaces: bool) -> bool:
    """Copy the local tables of an older version's store. Return False if its file does not exist."""
    on_server = former.get_backend_name() != "sqlite"
    if not on_server and not Path(former.database or "").is_file():
        return False
    engine = connect_to_server(former) if on_server else create_engine(former, hide_parameters=True)
    try:
        with engine.connect() as source:
            head = version_in(source, "alembic_version")
            if head not in _FORMER_HEADS:
                return True
            for table in metadata.sorted_tables:
                if (on_server and table.name not in _OF_A_SERVER) or (
                    table.name == "model_hashes" and head < "0006"
                ):
                    continue
                if inspect(source).has_table(table.name):
                    _copy_table(connection, source, table, replaces, str(data_dir) if on_server else "")
    finally:
        engine.dispose()
    return True


def _is_file(url: URL, path: Path) -> bool:
    return url.get_backend_name() == "sqlite" and Path(url.database or "").resolve() == path.resolve()


def _copy_table(connection: Connection, source: Connection, table: Table, replaces: bool, below: str) -> None:
    there = {column["name"] for column in inspect(source).get_columns(table.name)}
    columns = [column for column in table.columns if column.name in there]
    found = select(*columns)
    if below and "folder" in there:  # the folder shows the owner of a deployment
        found = select(*columns, text("folder"))
    for each in source.execution_options(stream_results=True).execute(found).yield_per(_ROWS).mappings():
        row = dict(each)
        if below and not Path(row.pop("folder", below)).is_relative_to(below):
            continue  # another user's deployment
        keys = {column.name for column in table.primary_key.columns}
        rest = {name: value for name, value in row.items() if name not in keys}
        upsert(connection, table, row, change=rest if replaces else None)
