"""Measures of kernels whose hosts are requested: the phases of a start, calls of the agent, CPU of many that wait."""

from __future__ import annotations

import re
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from jupyter_client.manager import KernelManager

from genops_lab.agent.records import IOPUB
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.link.state import LinkState
from genops_lab.hosts.providers.base import HostProvider, Resources
from genops_lab.kernels import kernelspecs
from genops_lab.kernels.client.client import RemoteKernelClient
from tests.kernels.places import Place

from .remote_measures import Kernel, interrupt_printing_ms, print_100_mb_s

Line = dict[str, Any]
CALLS, PRINTS, INTERRUPTS = 200, 3, 3
#: Seconds; hosts that wait are looked at every minute.
SETTLE_S, WATCHED_S = 20.0, 120.0
_NUMBER = re.compile(rb"<(\d+)>")


def figure(name: str, unit: str, values: list[float], **rest: Any) -> Line:
    return {"name": name, "unit": unit, "values": values, **rest}


class Marks:
    """When each phase of a start was first seen, on the clock of ``time.perf_counter``."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.at: dict[str, float] = {}

    def mark(self, phase: str) -> None:
        """Note the first time of a phase."""
        self.at.setdefault(phase, time.perf_counter() - self.begun)


class Starts:
    """Starts kernels of a place. ``phases`` are in the order in which they come."""

    def __init__(self, place: Place, provider: HostProvider, phases: list[str]) -> None:
        self.place = place
        self.phases = ["requested", *phases, "agent answers", "kernel ready"]
        self.marks = Marks()
        watched: Any = provider
        allocate = provider.allocate

        async def requested(*arguments: Any) -> Any:
            found = await allocate(*arguments)
            self.marks.mark("requested")
            return found

        watched.allocate = requested
        place.remote.on_open(self._opened)

    def _opened(self, bridge: RemoteKernelClient) -> None:
        def changed(found: RemoteKernelClient) -> None:
            if found.state.state == "connected":
                self.marks.mark("kernel ready")

        def link_changed(state: LinkState) -> None:
            if state.state == "up":
                self.marks.mark("agent answers")

        bridge.watch(changed)
        bridge.link.watch(link_changed)

    def start(self) -> tuple[Kernel, Marks]:
        """Start a kernel and wait for its first reply."""
        marks = self.marks = Marks()
        kernel = Kernel(kernelspecs.name_of(self.place.route.target))
        marks.at["first reply"] = kernel.started_s
        return kernel, marks

    def figures(self, name: str, all_marks: list[Marks], target: float, **rest: Any) -> Iterator[Line]:
        """Yield the whole start, then its phases from one to the next."""
        notes = {}
        for before, phase in zip(["", *self.phases], [*self.phases, "first reply"], strict=True):
            took = [one.at[phase] - one.at.get(before, 0.0) for one in all_marks[1:] if phase in one.at]
            if took:
                notes[phase] = f"{statistics.median(took):.2f} s"
        found = [one.at["first reply"] for one in all_marks]
        yield figure(f"{name}_start", "s", found[1:], target=target, notes=notes, **rest)
        yield figure(
            f"{name}_first_start", "s", found[:1], notes={"with": "the clients' processes and logins"}
        )


def warm_starts(name: str, place: Place, provider: HostProvider, count: int) -> Line:
    """From the start of a kernel to its first reply, on a host that was kept ready under the kernel's id."""
    took = []
    for _ in range(count):
        kernel_id = str(uuid.uuid4())
        host = place.route.at(place.do(provider.allocate(place.route, kernel_id, Resources())))
        link = place.remote.links.link(host)
        place.do(link.up())
        warm = {"argv": kernelspecs.ARGV, "count": 1}
        while not place.do(link.call("kernels.warm", warm))["ready"]:
            time.sleep(0.1)
        kernel = Kernel(kernelspecs.name_of(place.route.target), kernel_id)
        took.append(kernel.started_s)
        place.do(link.call("kernels.warm", {**warm, "count": 0}))
        kernel.close()
    return figure(f"{name}_warm_start", "s", took, target=1.0)


def agent_calls_ms(place: Place, kernel: Kernel) -> list[float]:
    """Milliseconds of calls to the agent of a kernel's host."""
    bridge = place.remote.bridges[str(kernel.manager.kernel_id)]

    async def calls() -> list[float]:
        found = []
        for _ in range(CALLS):
            begun = time.perf_counter()
            await bridge.link.call("kernels.list")
            found.append((time.perf_counter() - begun) * 1e3)
        return found

    place.do(calls())
    return list(place.do(calls()))


def of_a_kernel(
    name: str, place: Place, kernel: Kernel, print_target_s: float, prints_beside: Line
) -> Iterator[Line]:
    """Yield the figures of one running kernel; ``prints_beside`` is the baseline of its output."""
    calls = agent_calls_ms(place, kernel)
    p95 = sorted(calls)[int(0.95 * len(calls))]
    target = {"target": 3.0} if name == "pod" else {}
    yield figure(f"{name}_agent_call", "ms", calls, notes={"p95": f"{p95:.1f} ms"}, **target)
    prints = [print_100_mb_s(kernel) for _ in range(PRINTS)]
    yield figure(f"{name}_stdout_100_mb", "s", prints, target=print_target_s, **prints_beside)
    interrupts: list[float] = []
    taken: list[float] = []
    manager: Any = kernel.manager
    interrupt = manager.interrupt_kernel

    def timed() -> None:
        begun = time.perf_counter()
        interrupt()
        taken.append(time.perf_counter() - begun)

    manager.interrupt_kernel = timed
    for _ in range(INTERRUPTS):
        interrupts.append(interrupt_printing_ms(kernel) / 1e3)
        kernel.drain()
    yield figure(f"{name}_interrupt_taken", "s", taken)
    yield figure(f"{name}_interrupt_printing", "s", interrupts, target=1.0)


@contextmanager
def waiting_hosts(
    place: Place, provider: HostProvider, count: int, resources: Resources
) -> Iterator[list[Route]]:
    """Hosts that wait for ever, each with a connection that waits for it."""
    hosts = []
    for number in range(count):
        name = f"waiting-{number:03}"
        hosts.append(place.route.at(place.do(provider.allocate(place.route, name, resources))))
    for host in hosts:
        place.remote.links.submit(place.remote.links.link(host).up())
    try:
        yield hosts
    finally:
        for host in hosts:  # the cluster ends soon, and the hosts with it
            place.do(place.remote.links.link(host).down())


def cpu_percent(seconds: float = WATCHED_S) -> tuple[float, float]:
    """Return the CPU of this process and of its children, in percent of one core, over some seconds."""
    own, others = psutil.Process(), psutil.Process().children(recursive=True)

    def used(processes: list[psutil.Process]) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in processes if each.is_running())

    before, begun = (used([own]), used(others)), time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begun
    return (used([own]) - before[0]) / took * 100, (used(others) - before[1]) / took * 100


def cost_of_waiting(name: str, count: int, **notes: Any) -> Line:
    """The figure of the Lab's CPU while hosts wait."""
    time.sleep(SETTLE_S)
    own, others = cpu_percent()
    notes = {"of it, clients' processes": f"{others:.2f} %", "hosts": count, **notes}
    return figure(f"{name}_cpu", "%", [own + others], target=2.0, notes=notes)


def until(good: Callable[[], bool], within_s: float = 120.0) -> float:
    """Wait until it is so; return the time of ``time.perf_counter``. Raises RuntimeError."""
    deadline = time.monotonic() + within_s
    while not good():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not happen in time")
        time.sleep(0.01)
    return time.perf_counter()


def left_out(what: str) -> None:
    """Say that figures are left out."""
    print(f"left out: {what}", flush=True)


class Numbers:
    """The numbers ``<n>`` that a kernel printed, as its notebook gets them: each record of the journal once."""

    crowded = False

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_record: dict[int, list[int]] = {}

    @classmethod
    def of(cls, place: Place, kernel: Kernel) -> Numbers:
        """Return the numbers of a running kernel, from now on."""
        made = cls()
        place.remote.bridges[str(kernel.manager.kernel_id)].exchange.add_tap(made, acks=True)
        return made

    def record(self, _kernel_id: str, seq: int, channel: int, _at: float, frames: list[bytes]) -> None:
        """Take a record, in the connections' thread."""
        if channel == IOPUB:
            numbers = [int(each) for each in _NUMBER.findall(b"".join(frames))]
            with self._changed:
                self._by_record.setdefault(seq, numbers)
                self._changed.notify_all()

    @property
    def in_order(self) -> list[int]:
        """The numbers in the order of their records."""
        with self._changed:
            return [number for seq in sorted(self._by_record) for number in self._by_record[seq]]

    @property
    def found(self) -> set[int]:
        return set(self.in_order)

    def until(self, more: int, within_s: float = 120.0) -> None:
        """Wait until that many more numbers have come. Raises RuntimeError."""
        wanted = len(self.in_order) + more
        with self._changed:
            if not self._changed.wait_for(
                lambda: sum(map(len, self._by_record.values())) >= wanted, within_s
            ):
                raise RuntimeError(f"no output within {within_s:.0f} s")

    def in_a_new_process(self, place: Place, kernel_id: str, away_s: float = 0.0) -> KernelManager:
        """Let this process act as if it had been killed and another had begun, which attaches to the kernel."""
        remote = place.new_process()
        time.sleep(away_s)
        remote.on_open(lambda bridge: bridge.exchange.add_tap(self, acks=True))
        manager = place.manager(kernel_id)
        manager.start_kernel()
        return manager
