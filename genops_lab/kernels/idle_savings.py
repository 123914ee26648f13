"""Sum up the hours that ends of idle kernels saved.

The ends are kept in a file for 13 months. The Lab of this user writes it, so it has what this user's kernels saved.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..core.errors import GenOpsError
from ..core.locks import locked
from ..core.paths import private_dir, write_private
from ..core.services import Service
from ..hosts.models import SavedHours
from .preset_kernelspecs import price_of

if TYPE_CHECKING:
    from ..hosts.ledger import Ledger
    from .client.client import RemoteKernelClient
    from .remote_kernels import RemoteKernels

#: Seconds that one end saves at most.
MOST_S = 86400.0
_KEPT_S = 400 * 86400.0

log = logging.getLogger("genops_lab")


class IdleEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an idle kernel. ``until``: the known end of its host. ``again_at``: the next start of a kernel
    for its notebook. Seconds since 1970."""

    kernel_id: str
    target: str
    notebook: str
    ended_at: float
    price_per_hour: float | None = None
    until: float | None = None
    again_at: float | None = None

    def saved_s(self, now: float) -> float:
        """Return the seconds saved until now."""
        ends = [now if self.again_at is None else self.again_at, self.ended_at + MOST_S]
        if self.until is not None:
            ends.append(self.until)
        return max(0.0, min(ends) - self.ended_at)


def saved(ends: Iterable[IdleEnd], now: float) -> list[SavedHours]:
    """Return the sums by month and target."""
    found: dict[tuple[str, str], list[IdleEnd]] = defaultdict(list)
    for each in ends:
        found[time.strftime("%Y-%m", time.localtime(each.ended_at)), each.target].append(each)
    return [
        SavedHours(
            target=target,
            month=month,
            kernels=len(group),
            hours=sum(each.saved_s(now) for each in group) / 3600,
            usd=_usd(group, now),
        )
        for (month, target), group in sorted(found.items())
    ]


def _same(end: IdleEnd) -> IdleEnd:
    return end


def _usd(ends: Iterable[IdleEnd], now: float) -> float | None:
    priced = [
        each.saved_s(now) / 3600 * each.price_per_hour for each in ends if each.price_per_hour is not None
    ]
    return sum(priced) if priced else None


class IdleSavings(Service):
    """Belongs to the Lab's loop. ``host_ends_at(target, kernel)`` returns the known end of a kernel's host."""

    def __init__(
        self,
        data_dir: Path,
        remote: RemoteKernels,
        ledger: Ledger,
        host_ends_at: Callable[[str, str], float | None],
    ) -> None:
        self._path = private_dir(data_dir / "remote") / "idle-ends.json"
        self._ledger = ledger
        self._host_ends_at = host_ends_at
        self._loop = asyncio.get_running_loop()
        self._ends: list[IdleEnd] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._unwatch = remote.watch(self._kernel_changed)

    async def open(self) -> None:
        """Read the ends of before."""
        self._ends = await asyncio.to_thread(self._read)

    async def close(self) -> None:
        """Stop following kernels."""
        self._unwatch()
        if self._writing:
            await asyncio.wait(self._writing)

    async def all(self) -> list[SavedHours]:
        """Return the sums by month and target, the last month first. Reads what other Labs wrote."""
        self._ends = await asyncio.to_thread(self._read)
        found = saved(self._ends, time.time())
        return sorted(found, key=lambda each: each.month, reverse=True)

    def this_month(self, target: str) -> SavedHours | None:
        """Return the sum of a target in this month; None where no idle kernel ended."""
        now = time.time()
        month = time.strftime("%Y-%m", time.localtime(now))
        mine = saved((each for each in self._ends if each.target == target), now)
        return next((each for each in mine if each.month == month), None)

    def _kernel_changed(self, bridge: RemoteKernelClient) -> None:
        """Follow a kernel, in the connections' thread."""
        state, target = bridge.state.state, bridge.link.route.target
        notebook = str(bridge.info.get("notebook") or "")
        if state == "ended" and bridge.ended_by == "idle":
            at = float(bridge.info.get("ended_at") or time.time())
            name = str(bridge.info.get("name") or "")
            self._later(self._ended, bridge.kernel_id, target, notebook, at, name)
        elif state == "connected":
            self._later(
                self._started, bridge.kernel_id, notebook, float(bridge.info.get("started_at") or 0.0)
            )

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *arguments)

    def _ended(self, kernel_id: str, target: str, notebook: str, at: float, kernel_name: str) -> None:
        if any(each.kernel_id == kernel_id and each.again_at is None for each in self._ends):
            return
        end = IdleEnd(
            kernel_id=kernel_id,
            target=target,
            notebook=notebook,
            ended_at=at,
            until=self._host_ends_at(target, kernel_id),
        )
        self._ends.append(end)
        self._write(lambda: msgspec.structs.replace(end, price_per_hour=self._price(target, kernel_name)))

    def _started(self, kernel_id: str, notebook: str, at: float) -> None:
        for index, each in enumerate(self._ends):
            same = each.kernel_id == kernel_id or (notebook and each.notebook == notebook)
            if same and each.again_at is None and at > each.ended_at:
                changed = self._ends[index] = msgspec.structs.replace(each, again_at=at)
                self._write(partial(_same, changed))

    def _price(self, target: str, kernel_name: str) -> float | None:
        if (price := price_of(kernel_name)) is not None:
            return price
        try:
            return self._ledger.get(target).price_per_hour
        except GenOpsError:  # removed meanwhile
            return None

    def _write(self, made: Callable[[], IdleEnd]) -> None:
        async def write() -> None:
            try:
                self._ends = await asyncio.to_thread(self._put, made)
            except (OSError, GenOpsError) as error:
                log.warning("The end of an idle kernel is not in %s: %s", self._path.name, error)

        task = asyncio.create_task(write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _put(self, made: Callable[[], IdleEnd]) -> list[IdleEnd]:
        end, since = made(), time.time() - _KEPT_S
        with locked(self._path.with_suffix(".lock")):
            others = [
                each
                for each in self._read()
                if (each.kernel_id, each.ended_at) != (end.kernel_id, end.ended_at)
            ]
            ends = [*(each for each in others if each.ended_at > since), end]
            write_private(self._path, msgspec.json.encode(ends).decode())
        return ends

    def _read(self) -> list[IdleEnd]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[IdleEnd])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("The ends of idle kernels in %s cannot be read: %s", self._path.name, error)
            return []
