"""Who is attached to a kernel: one Lab at a time, whatever two of them, a cut or a double click do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.kernels.remote_kernels import RemoteKernels
from tests.kernels.places import DEADLINE_S, Place, a_kernel, a_place, wait
from tests.support.homes import temporary_home


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with temporary_home() as home, a_place(home, secrets=["HF_TOKEN"]) as found:
        yield found


def test_two_labs_on_one_kernel(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        kernel.run("kept = 1")
        other = RemoteKernels(HostConnections(place.home.path / "other", Nobody()), place.remote.find)
        try:
            attaching = other.attach(place.route, kernel_id)
            with pytest.raises(GenOpsError, match="attached to") as caught:
                other.links.submit(attaching).result(DEADLINE_S)
            assert caught.value.code == "kernel_busy" and "take it over" in caught.value.hint
            bridge = other.links.submit(other.attach(place.route, kernel_id, take_over=True)).result(
                DEADLINE_S
            )
            assert bridge.state.state == "connected"
            wait(lambda: kernel.bridge.state.state == "taken")
            assert kernel.manager.is_alive()
            with pytest.raises(GenOpsError, match="aken over"):
                kernel.manager.interrupt_kernel()
            message = kernel.client.get_iopub_msg(timeout=DEADLINE_S)
            while message["msg_type"] != "stream":
                message = kernel.client.get_iopub_msg(timeout=DEADLINE_S)
            assert "has taken over this kernel" in message["content"]["text"]
            reply, said = kernel.run("print('never')")
            assert (reply["status"], reply["ename"]) == ("error", "KernelTaken")
            assert "was not run" in said and "Take it back" in said and "never" not in said
            asked = kernel.client.kernel_info()  # as a page does that is opened meanwhile
            place.do(place.remote.take_over(kernel_id))
            wait(lambda: bridge.state.state == "taken")
            while kernel.client.get_shell_msg(timeout=DEADLINE_S)["parent_header"]["msg_id"] != asked:
                pass
            assert kernel.run("print(kept)")[1] == "1\n"
        finally:
            other.links.close()


def test_a_restart_of_a_kernel_that_was_taken_is_refused(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        other = RemoteKernels(HostConnections(place.home.path / "other", Nobody()), place.remote.find)
        try:
            other.links.submit(other.attach(place.route, kernel_id, take_over=True)).result(DEADLINE_S)
            wait(lambda: kernel.bridge.state.state == "taken")
            with pytest.raises(GenOpsError, match="attached to"):
                kernel.manager.restart_kernel(now=True)
            assert kernel.bridge.state.state == "taken", "who has it is still known"
            assert place.call("kernels.info", kernel_id=kernel_id)["state"] == "running"
            place.do(place.remote.take_over(kernel_id))
            assert kernel.run("print('mine')")[1] == "mine\n"
        finally:
            other.links.close()


def test_a_link_that_goes_while_it_is_attached_to(place: Place) -> None:
    with a_kernel(place) as kernel:
        bridge = kernel.bridge
        place.do(bridge.link.down())
        with pytest.raises(GenOpsError, match="not connected"):
            place.do(bridge.attach(takeover=False, timeout_s=DEADLINE_S))
        assert bridge.state.state == "disconnected"
        place.do(bridge.link.up())
        wait(lambda: bridge.state.state == "connected")
        assert kernel.run("print('again')")[1] == "again\n"


def test_one_that_is_attached_twice_at_once(place: Place) -> None:
    """As a double click does."""
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        kernel.run("kept = 1")
        kernel.client.stop_channels()
        place.do(place.remote.detach_all())

        async def at_once() -> list[Any]:
            attaching = (place.remote.attach(place.route, kernel_id) for _ in range(3))
            return await asyncio.gather(*attaching, return_exceptions=True)

        found = place.do(at_once())
        assert [each for each in found if isinstance(each, BaseException)] == []
        with a_kernel(place, kernel_id) as again:
            assert again.run("print(kept)")[1] == "1\n"


def test_the_kernel_of_a_killed_lab_is_taken_without_asking(place: Place) -> None:
    """The host may not have noticed yet that the other is gone."""
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        place.remote._clients.close()  # its lock goes as with a kill -9, its connection stays
        other = RemoteKernels(HostConnections(place.home.data, Nobody()), place.remote.find)
        try:
            bridge = other.links.submit(other.attach(place.route, kernel_id)).result(DEADLINE_S)
            assert bridge.state.state == "connected"
        finally:
            other.links.close()
            place.remote._clients._lock.try_acquire()
        place.do(place.remote.take_over(kernel_id))
