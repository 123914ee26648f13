"""Changes on their way to the listeners."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from genops_lab.core.events import EventBus
from genops_lab.core.store import LocalStore


class _SlowStore(LocalStore):
    """One that takes its time to count a change."""

    def touch(self, kind: str) -> int:
        time.sleep(0.3)
        return super().touch(kind)


def _bus(tmp_path: Path) -> tuple[EventBus, list[tuple[str, str]]]:
    store = _SlowStore(tmp_path / "genops.db")
    bus, heard = EventBus(store), list[tuple[str, str]]()
    bus.listen(lambda kind, id, revision: heard.append((kind, id)))
    return bus, heard


async def test_closing_waits_for_a_change_that_is_being_counted(tmp_path: Path) -> None:
    bus, heard = _bus(tmp_path)
    bus.emit("runs", "a")
    await asyncio.sleep(0.15)
    await bus.close()
    assert heard == [("runs", "a")]


async def test_equal_changes_become_one(tmp_path: Path) -> None:
    bus, heard = _bus(tmp_path)
    for _ in range(5):
        bus.emit("runs")
    bus.emit("models")
    await bus.close()
    assert sorted(heard) == [("models", ""), ("runs", "")]
