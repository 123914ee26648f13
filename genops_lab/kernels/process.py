"""The remote kernels of this process: one object that the Lab, its provisioners and plain scripts share."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..core.paths import data_dir
from ..hosts.link.connections import HostConnections
from ..hosts.link.questions import Asker
from .launch import TargetEntry
from .remote_kernels import RemoteKernels
from .terminal_questions import asker_of_this_process

_lock = threading.Lock()
_remote: RemoteKernels | None = None
_pid = 0
_configured = False


def remote() -> RemoteKernels:
    """This process's remote kernels; made at the first use, with whoever sits at the terminal to ask."""
    global _remote, _pid
    with _lock:
        if _remote is None or _pid != os.getpid() or _remote.links.closed:
            folder = data_dir()
            _remote, _pid = (
                RemoteKernels(HostConnections(folder, asker_of_this_process()), _finder(folder)),
                os.getpid(),
            )
        return _remote


async def remote_when_open() -> RemoteKernels:
    """As :func:`remote`; in a server whose Lab is about to open, that Lab's."""
    from .local_provisioner import lab_is_expected

    while lab_is_expected() and not (_configured and _remote is not None and not _remote.links.closed):
        await asyncio.sleep(0.05)
    return await asyncio.to_thread(remote)


def configure(
    folder: Path, asker: Asker, find: Callable[[str], TargetEntry], *, links: HostConnections | None = None
) -> RemoteKernels:
    """The Lab opens: it answers questions and knows the targets from now on. With its own ``links`` those carry
    the kernels too."""
    global _remote, _pid, _configured
    with _lock:
        _configured = True
        if links is not None:
            if _remote is None or _remote.links is not links:
                _remote, _pid = RemoteKernels(links, find), os.getpid()
        elif _remote is None or _pid != os.getpid() or _remote.links.closed or _remote.links.folder != folder:
            _remote, _pid = RemoteKernels(HostConnections(folder, asker), find), os.getpid()
        else:
            _remote.links.asker, _remote.find_target = asker, find
        return _remote


def _finder(folder: Path) -> Callable[[str], TargetEntry]:
    """Targets of the user's store, for a process without a Lab."""

    def find(name: str) -> TargetEntry:
        from ..core.store import LocalStore
        from ..hosts.ledger import Ledger

        store = LocalStore(folder / "store.db")
        try:
            return Ledger(store).get(name)
        finally:
            store.close()

    return find
