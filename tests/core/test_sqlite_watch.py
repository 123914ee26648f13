"""Changes of an SQLite file by another connection are told, also those before the watch has read the file."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from genops_lab.core.sqlite_watch import SqliteWatch


def test_a_commit_between_the_start_of_the_watch_and_its_first_look_is_told(tmp_path: Path) -> None:
    file = tmp_path / "watched.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE rows (value)")
    other.commit()

    async def watched() -> None:
        told = asyncio.Event()

        async def changed() -> None:
            told.set()

        async def next_change() -> None:
            await asyncio.wait_for(told.wait(), 20)
            told.clear()

        watch = SqliteWatch(file, changed, interval_s=0.01)
        watch.set_active(True)
        other.execute("INSERT INTO rows VALUES (1)")
        other.commit()  # the watch runs only now, at the first await
        await next_change()
        other.execute("INSERT INTO rows VALUES (2)")
        other.commit()
        await next_change()
        watch.set_active(False)

    try:
        asyncio.run(watched())
    finally:
        other.close()


def test_a_file_that_is_made_later_is_told(tmp_path: Path) -> None:
    file = tmp_path / "later.db"

    async def watched() -> None:
        told = asyncio.Event()

        async def changed() -> None:
            told.set()

        watch = SqliteWatch(file, changed, interval_s=0.01)
        watch.set_active(True)
        await asyncio.sleep(0.05)
        assert not told.is_set()
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE rows (value)")
        connection.close()
        await asyncio.wait_for(told.wait(), 20)
        watch.set_active(False)

    asyncio.run(watched())
