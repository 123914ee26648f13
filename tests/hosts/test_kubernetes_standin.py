"""Kubernetes targets against a stand-in for what the real cluster of the tests cannot do: exec's v5, the permissions
of 1.35, idle cuts, refusals, watches that are cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Gone, Pending, Resources, Running
from genops_lab.hosts.providers.kubernetes import kueue, provider
from genops_lab.hosts.providers.kubernetes.errors import VERBS
from genops_lab.hosts.providers.kubernetes.manifest import pod_name
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from tests.kernels.places import a_kernel, a_place, cut_starts, wait
from tests.support.homes import Home
from tests.support.kubernetes_standin import Fault, Protocol, StandIn, a_standin

T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with a_standin(tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture
def standin(server: StandIn) -> Iterator[StandIn]:
    """Without pods, and with nothing played."""
    yield server
    for name in list(server.pods):
        server.do(lambda name=name: server.delete(name))
    server.faults.clear()
    server.allowed, server.idle_cut_s, server.ahead_s = set(VERBS), 0.0, 0.0
    server.protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def refused(work: Coroutine[Any, Any, Any]) -> LinkError:
    with pytest.raises(LinkError) as caught:
        run(work)
    return caught.value


def allocated(standin: StandIn, name: str = "one") -> Route:
    target = standin.route()
    return target.at(run(PROVIDER.allocate(target, name, Resources())))


async def stream(host: Route, folder: Path, *command: str) -> Any:
    await asyncio.to_thread(PROVIDER.load)
    return await PROVIDER.open_stream(host, command, Nobody(), folder)


def status(host: Route) -> Any:
    return run(PROVIDER.observe(host))


# Streams


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
def test_each_framing_carries_bytes_and_no_exit_code_is_trusted(
    standin: StandIn, protocol: Protocol, tmp_path: Path
) -> None:
    standin.protocols = [protocol]
    host = allocated(standin)
    sent = bytes(range(256)) * 4096

    async def carried() -> None:
        echo = await stream(host, tmp_path, "cat")
        echo.writer.write(sent)
        assert await echo.reader.readexactly(len(sent)) == sent
        echo.writer.write_eof()  # v5 tells cat alone, v4 ends the stream
        assert await echo.reader.read() == b""
        assert (await echo.end()).exit_code is None
        await echo.close()
        for command, code in (
            (("sh", "-c", "exit 0"), None),
            (("sh", "-c", "exit 3"), None),
            (("/no/such",), 127),
        ):
            ended = await stream(host, tmp_path, *command)
            assert (await ended.end()).exit_code == code
            await ended.close()

    run(carried())
    assert standin.streams[-4:] == [protocol] * 4


def test_bytes_after_the_end_of_standard_input_arrive_over_v5(standin: StandIn, tmp_path: Path) -> None:
    host = allocated(standin)

    async def counted() -> bytes:
        found = await stream(host, tmp_path, "wc", "-c")
        found.writer.write(b"x" * 100_000)
        found.writer.write_eof()
        said: bytes = await found.reader.read()
        await found.close()
        return said

    assert run(counted()).split() == [b"100000"]


def test_exec_without_create_names_the_verb_as_1_35_asks_for_it(standin: StandIn, tmp_path: Path) -> None:
    host = allocated(standin)
    standin.allowed.discard(("create", "pods", "exec"))

    async def opened() -> None:
        found = await stream(host, tmp_path, "cat")
        error = await found.why(10.0)
        await found.close()
        raise error

    error = refused(opened())
    assert error.code == "kubernetes_permission" and 'create resource "pods/exec"' in error.message
    tested = refused(PROVIDER.allocate(host, "test-1", Resources()))
    assert "may not: create pods/exec (namespace team)" in tested.message and "targets role" in tested.hint


def test_a_silent_kernel_outlives_idle_cuts_and_loses_nothing_in_a_cut(
    standin: StandIn, home: Home, tmp_path: Path
) -> None:
    with a_place(home, standin.route()) as place, a_kernel(place) as kernel:
        assert kernel.run("1")[0]["status"] == "ok"
        standin.idle_cut_s = 2.5
        before, cuts = len(standin.streams), standin.cuts
        name = pod_name("cluster", str(kernel.manager.kernel_id))
        silent = place.do(stream(kernel.bridge.link.route, tmp_path, "cat"))
        wait(lambda: standin.cuts > cuts)  # without the pulse of a link
        assert "ended" in place.do(silent.why(10.0)).message
        assert (len(standin.streams), standin.cuts) == (before + 1, cuts + 1)
        code = "import time\nfor i in range(60): print(i, flush=True); time.sleep(0.05)"
        cell = kernel.client.execute(code)
        wait(lambda: kernel.client.get_iopub_msg(timeout=30)["msg_type"] == "execute_input")
        assert standin.cut_streams() >= 1
        reply, printed = kernel.finish(cell)
        assert (reply["status"], printed.split()) == ("ok", [str(i) for i in range(60)])
        assert len(standin.streams) > before + 1 and list(standin.pods) == [name]
    wait(lambda: not standin.pods)


def test_cuts_while_a_kernel_starts_leave_one_kernel_that_runs(
    standin: StandIn, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.faults["create"] = [Fault(504, "etcdserver: request timed out")]
    begun = cut_starts(monkeypatch, standin.cut_streams)
    with a_place(home, standin.route()) as place, a_kernel(place) as kernel:
        assert kernel.run("print(6 * 7)") == ({**kernel.run("1")[0], "execution_count": 1}, "42\n")
        assert len(begun) == 3 and len(standin.pods) == 1
        listed = place.do(kernel.bridge.link.call("kernels.list"))
        assert [each["kernel_id"] for each in listed] == [kernel.manager.kernel_id]


# Requests


@pytest.mark.parametrize(
    "fault",
    [
        Fault(0, done=True),
        Fault(504, "request did not complete within requested timeout", done=True),
        Fault(429, "too many requests", retry_after="1"),
        Fault(503, "apiserver is shutting down", retry_after="1"),
    ],
    ids=["no answer", "time-out", "429", "503"],
)
def test_a_create_with_a_bad_answer_makes_one_pod(standin: StandIn, fault: Fault) -> None:
    created = standin.created
    standin.faults["create"] = [fault]
    began = time.monotonic()
    host = allocated(standin)
    assert time.monotonic() - began >= (1.0 if fault.retry_after else 0.0)
    assert host.ref == run(PROVIDER.allocate(host, "one", Resources()))
    assert standin.created == created + 1 and len(standin.pods) == 1
    assert isinstance(status(host), Running)
    assert run(PROVIDER.list_hosts(host)) == [host.ref]


def test_a_create_that_failed_is_told_and_repeatable(standin: StandIn) -> None:
    target = standin.route()
    standin.faults["create"] = [Fault(504, "etcdserver: request timed out")]
    error = refused(PROVIDER.allocate(target, "one", Resources()))
    assert "answered 504: etcdserver: request timed out" in error.message and error.hint
    assert not standin.pods
    assert isinstance(status(allocated(standin)), Running)


def test_a_field_that_the_server_does_not_know_is_named(standin: StandIn, tmp_path: Path) -> None:
    template = tmp_path / "pod.yaml"
    template.write_text("{apiVersion: v1, kind: Pod, spec: {tolerationz: [], containers: [{name: kernel}]}}")
    error = refused(PROVIDER.allocate(standin.route(pod_template=str(template)), "one", Resources()))
    assert error.code == "kubernetes_pod_refused" and "tolerationz" in error.message


# Watches


def _ends(standin: StandIn, name: str) -> None:
    """A pod's container runs out of memory, and so does its journal's."""
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    both = [{"name": each, "state": ended} for each in ("kernel", "journal")]
    standin.change(name, {"phase": "Failed", "containerStatuses": both})


def _cut(standin: StandIn) -> None:
    assert standin.cut_watches()


def _forget(standin: StandIn) -> None:
    standin.forget_versions()
    assert standin.cut_watches()


def _no_list(standin: StandIn) -> None:
    standin.faults["list"] = [Fault(500), Fault(0), Fault(503, retry_after="1")]
    assert standin.cut_watches()


@pytest.mark.parametrize("bad", [_cut, _forget, _no_list])
def test_a_watch_that_fails_misses_nothing_and_does_not_hurry(
    standin: StandIn, bad: Callable[[StandIn], None]
) -> None:
    host = allocated(standin)
    assert isinstance(status(host), Running)
    wait(lambda: standin.watchers)
    asked = len(standin.asked)
    bad(standin)
    _ends(standin, pod_name("cluster", "one"))

    def found() -> bool:
        try:
            seen = status(host)
        except LinkError:
            return False
        return isinstance(seen, Gone) and "ran out of memory" in seen.why

    wait(found)
    wait(lambda: standin.watchers)
    assert len(standin.asked) - asked < 20, standin.asked[asked:]


def test_refused_watches_are_asked_for_at_the_servers_pace(standin: StandIn) -> None:
    assert isinstance(status(allocated(standin)), Running)
    wait(lambda: standin.watchers)
    standin.faults["watch"] = [Fault(429, retry_after="1"), *[Fault(500)] * 4]
    began = time.monotonic()
    assert standin.cut_watches()
    wait(lambda: not standin.faults["watch"] and standin.watchers)
    assert time.monotonic() - began > 0.8 * (1 + 0.2 + 0.4)


def test_a_waiting_pod_says_why_while_the_server_is_away(standin: StandIn) -> None:
    host = allocated(standin, "later")
    message = "0/9 nodes are available: 9 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    standin.change(
        pod_name("cluster", "later"), {"phase": "Pending", "containerStatuses": [], "conditions": [condition]}
    )
    wait(lambda: isinstance(found := status(host), Pending) and "too little nvidia.com/gpu" in found.reason)
    wait(lambda: standin.watchers)
    standin.faults["list"] = [Fault(0)] * 6
    assert standin.cut_watches()
    said: list[str] = []

    def told() -> bool:
        said.append(status(host).reason)
        return "does not answer" in said[-1]

    wait(told)
    assert "Before: No node can take the pod" in said[-1]
    wait(lambda: "does not answer" not in status(host).reason)


# The machine


@pytest.mark.parametrize("ahead_s", [-7200.0, 0.0, 7200.0])
def test_the_end_of_a_pod_is_told_by_this_machines_clock(standin: StandIn, ahead_s: float) -> None:
    standin.ahead_s = ahead_s
    target = standin.route()
    host = target.at(run(PROVIDER.allocate(target, "one", Resources(time_s=3600.0))))
    found = status(host)
    assert isinstance(found, Running) and found.ends_at is not None
    assert abs(found.ends_at - time.time() - 3600) < 60


def test_a_kernel_runs_without_a_writable_home(standin: StandIn, home: Home) -> None:
    with a_place(home, standin.route(home="/proc/nobody")) as place, a_kernel(place) as kernel:
        reply, printed = kernel.run("import os; print(os.path.expanduser('~'), os.path.isdir(os.getcwd()))")
        assert (reply["status"], printed) == ("ok", "/proc/nobody True\n")


def test_a_pod_that_kueue_does_not_let_go_of_is_named(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocated(standin)
    kept = {"deletionTimestamp": "2026-11-30T10:00:00Z", "finalizers": [kueue.MANAGED]}
    standin.do(lambda: standin.pods[pod_name("cluster", "one")]["metadata"].update(kept))
    monkeypatch.setattr(provider, "_NAME_FREE_S", 0.5)
    before = standin.created
    error = refused(PROVIDER.allocate(standin.route(), "one", Resources()))
    assert error.message.endswith("is still being deleted: Kueue has not let go of it.") and error.hint
    assert standin.created == before
