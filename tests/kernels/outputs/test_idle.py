"""What the room does while no kernel is on a target: nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

from genops_lab.core.events import EventBus
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.kernels.outputs.service import OutputsService
from genops_lab.kernels.outputs.sessions import RemoteSessions

from .kernel_messages import NoJournals, SpeakingKernel


def timers() -> int:
    """What would wake the loop."""
    handles = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return sum(not handle.cancelled() for handle in handles)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_wakes_until_records_come(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    acked: asyncio.Queue[int] = asyncio.Queue()
    outputs = OutputsService(Settings(data_dir=tmp_path), store, EventBus(store), NoJournals(acked), [])
    before = timers()
    task = asyncio.create_task(outputs.acknowledging())
    await turns()
    assert timers() == before
    kernel = SpeakingKernel(outputs.recorder)
    for _ in range(2):  # it also hears what comes later
        kernel.say("comm_msg", "", {})
        last = kernel.journal[-1][0]
        while await asyncio.wait_for(acked.get(), 60) < last:
            pass
        await turns()
    task.cancel()
    await outputs.close()
    store.close()


async def test_sessions_are_looked_after_while_there_are_kernels(tmp_path: Path) -> None:
    kernels = SimpleNamespace(list_kernel_ids=list)
    serverapp = SimpleNamespace(kernel_manager=kernels, session_manager=None)
    sessions = RemoteSessions(serverapp, None, None, begun=None, gone=None)  # type: ignore[arg-type]
    await sessions._look()
    assert not sessions.there.is_set()
    sessions.there.set()
    await sessions._look()
    assert not sessions.there.is_set()
