"""Cuts in the middle of cells, over a real sshd: nothing is lost, nothing comes twice, all in order."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial

import psutil
import pytest

from genops_lab.agent.records import IOPUB
from tests.kernels.places import DEADLINE_S, TARGET, Collector, Place, Running, a_kernel, a_place, wait
from tests.support.exhaustive import times
from tests.support.faults import FaultProxy
from tests.support.homes import temporary_home
from tests.support.sshd import Sshd


class Scene:
    """A host behind a proxy, and a kernel there."""

    def __init__(self, host: Sshd, proxy: FaultProxy, place: Place) -> None:
        self.host, self.proxy, self.place = host, proxy, place


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with temporary_home() as home, Sshd() as host, FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)
        route = host.route(target=TARGET, python=sys.executable)
        with a_place(home, route) as place:
            yield Scene(host, proxy, place)


@pytest.fixture(scope="module")
def kernel(scene: Scene) -> Iterator[Running]:
    with a_kernel(scene.place) as found:
        yield found


class Counter:
    """Prints numbers in the kernel, and counts what arrives: at the tap and at a client's ZMQ socket."""

    def __init__(self, kernel: Running) -> None:
        self.kernel = kernel
        self.tap = Collector()
        kernel.bridge.exchange.add_tap(self.tap)
        code = (
            "import os, time\nn = 0\n"
            "while not os.path.exists(stop):\n    print(n, flush=True); n += 1; time.sleep(0.002)\n"
            "print('end', n, flush=True)"
        )
        self.stop_file = kernel.place.home.path / f"stop-{uuid.uuid4().hex}"
        kernel.run(f"stop = {str(self.stop_file)!r}")
        self.tap.records.clear()
        self.msg_id = kernel.client.execute(code)
        self.tap.until(lambda: self.seen() > 5)

    def seen(self) -> int:
        """iopub records so far."""
        return sum(channel == IOPUB for _, channel, _ in self.tap.records)

    def more(self) -> None:
        """Wait until output flows (again)."""
        before = self.seen()
        self.tap.until(lambda: self.seen() > before + 5)

    def check(self) -> None:
        """End the cell; every number once, in order, the reply included."""
        self.stop_file.touch()
        reply, printed = self.kernel.finish(self.msg_id)
        words = printed.split()
        count = int(words[-1])
        assert reply["status"] == "ok" and words[-2] == "end"
        assert words[:-2] == [str(number) for number in range(count)]
        seqs = [seq for seq, _, _ in self.tap.records]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def until_reconnected(kernel: Running, cut: Callable[[], object]) -> float:
    """Cut; seconds until the kernel is attached again."""
    attached = threading.Event()
    left = threading.Event()

    def note(bridge: object) -> None:
        if kernel.bridge.state.state == "disconnected":
            left.set()
        elif kernel.bridge.state.state == "connected" and left.is_set():
            attached.set()

    end = kernel.bridge.watch(note)
    started = time.monotonic()
    cut()
    assert left.wait(DEADLINE_S), "the cut was not noticed"
    assert attached.wait(DEADLINE_S), (kernel.bridge.state, kernel.bridge.link.state)
    end()
    return time.monotonic() - started


def test_resets(scene: Scene, kernel: Running) -> None:
    counter = Counter(kernel)
    took = []
    for number in range(times(20, 4)):
        in_a_frame = partial(scene.proxy.reset_after, 20_000 + 1237 * number)
        took.append(until_reconnected(kernel, in_a_frame if number % 4 == 3 else scene.proxy.reset))
        counter.more()
    counter.check()
    print(f"attached again after {sorted(took)[len(took) // 2]:.3f} s (median), {max(took):.3f} s at most")


def test_black_holes(scene: Scene, kernel: Running) -> None:
    counter = Counter(kernel)
    for _ in range(times(3, 1)):

        def heal_once_noticed() -> None:
            wait(lambda: not kernel.bridge.link.is_up)
            scene.proxy.heal()

        healer = threading.Thread(target=heal_once_noticed)
        healer.start()
        until_reconnected(kernel, scene.proxy.hole)
        healer.join()
        counter.more()
    counter.check()


def test_a_black_hole_that_passes_soon_is_no_cut(scene: Scene, kernel: Running) -> None:
    counter = Counter(kernel)
    scene.proxy.hole()
    scene.proxy.heal()
    counter.more()
    counter.check()


def test_the_carriers_process_is_killed(scene: Scene, kernel: Running) -> None:
    counter = Counter(kernel)
    for _ in range(times(3, 1)):
        carriers = [child.pid for child in psutil.Process().children(recursive=True) if _is_carrier(child)]
        assert carriers
        until_reconnected(kernel, lambda pids=carriers: [os.kill(pid, signal.SIGKILL) for pid in pids])
        counter.more()
    counter.check()


def _is_carrier(process: psutil.Process) -> bool:
    try:
        return any("paramiko_child" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_the_hosts_end_is_killed(scene: Scene, kernel: Running) -> None:
    counter = Counter(kernel)
    until_reconnected(kernel, scene.host.kill_sessions)
    counter.more()
    until_reconnected(kernel, lambda: os.kill(int(kernel.bridge.link.hello["pid"]), signal.SIGKILL))
    counter.more()
    counter.check()


def test_requests_are_not_lost_either(scene: Scene, kernel: Running) -> None:
    kernel.run("got = []")
    for number in range(times(60, 18)):
        kernel.client.execute(f"got.append({number})")
        if number % 6 == 5:
            scene.proxy.reset()
    _, printed = kernel.run("print(got)")
    assert printed == f"{list(range(times(60, 18)))}\n"


def test_an_input_that_is_asked_for_while_cut_is_answered_afterwards(scene: Scene, kernel: Running) -> None:
    msg_id = kernel.client.execute("import time; time.sleep(0.5); print(input('name? '))")
    scene.place.do(kernel.bridge.link.down())
    scene.place.do(kernel.bridge.link.up())
    question = kernel.client.get_stdin_msg(timeout=DEADLINE_S)
    assert question["content"]["prompt"] == "name? "
    kernel.client.input("Ada")
    reply, printed = kernel.finish(msg_id)
    assert reply["status"] == "ok" and "Ada" in printed
