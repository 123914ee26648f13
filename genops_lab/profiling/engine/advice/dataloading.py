"""Waiting for the next batch."""

from __future__ import annotations

from collections.abc import Iterable

from ...models import Advice
from ..formatting import counted
from .context import Context, Stake, length_of, milliseconds, outermost

#: The device must be idle so much of the trace because of it; on the CPU alone, the thread must wait so much.
IDLE_SHARE, CPU_SHARE = 0.03, 0.15


def dataloader_bound(case: Context) -> Iterable[Advice]:
    """The device has nothing to do while the thread that feeds it waits for data.

    Saving: all the waiting, for without it the host would be ahead by as much; not more than the device's idle
    time, for work does not get shorter.
    """
    waits = case.host.dataloading
    if not len(waits):
        return
    waits = outermost(case, waits)
    waiting = length_of(case, waits)
    on_device = bool(case.gaps)
    idle = case.idle_by("dataloader") if on_device else waiting
    saving = min(waiting, case.idle) if on_device else waiting
    if not case.worth(idle, IDLE_SHARE if on_device else CPU_SHARE):
        return
    meanwhile = (
        f"; meanwhile the device was idle for {milliseconds(idle)} ({case.share(idle)})" if on_device else ""
    )
    single = any("SingleProcess" in case.columns.names[name] for name in case.columns.name[waits].tolist())
    yield case.advice(
        "dataloader_bound",
        "The program waits for its data",
        f"{counted(len(waits), 'wait for the next batch takes', 'waits for the next batch take')} "
        f"{milliseconds(waiting)} ({case.share(waiting)} of the"
        f" trace){meanwhile}.{' The batches are made in the training process itself.' if single else ''}",
        Stake(saving, waits),
        "Load batches in worker processes, ahead of time; if there are workers, give more or make a sample cheaper.",
        "DataLoader(dataset, batch_size=..., num_workers=8, pin_memory=True, persistent_workers=True)",
    )
