"""A toy queue: a target whose hosts come when a test says so, with a real agent of this machine behind them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.hosts import providers
from tests.kernels.places import DEADLINE_S, Place, Running, a_place, wait
from tests.support import toy_provider
from tests.support.homes import Home

#: Longer than any test: its host comes when it says so.
NEVER_S = 3600.0

LAB_CONFIG = """
from genops_lab.hosts.providers import PROVIDERS
from tests.support.toy_provider import PROVIDER
PROVIDERS[PROVIDER.kind] = PROVIDER
c.GenOpsLab.targets = [{"name": "queue", "kind": "toy", "config": %r}]
# Pings each 30 s might keep a connection that a proxy would cut.
c.ServerApp.tornado_settings = {"ws_ping_interval": 600_000}
"""


@contextmanager
def a_queue(home: Home, folder: Path) -> Iterator[Place]:
    """A place on a queue in ``folder``; the provider is registered already."""
    route = providers.route_of("queue", "toy", python=sys.executable, folder=str(folder), wait_s=NEVER_S)
    with a_place(home, route) as found:
        yield found


def configure(place: Place, **changed: Any) -> None:
    """From the next start on."""
    config = msgspec.structs.replace(place.route.config, **changed)
    place.route = msgspec.structs.replace(place.route, config=config)


def asked(place: Place) -> list[str]:
    """The hosts that are asked for."""
    return [ref.host_id for ref in place.do(toy_provider.PROVIDER.list_hosts(place.route))]


def come(place: Place) -> None:
    """Give whoever waits a host, now."""
    give_hosts(Path(place.route.config.folder))


def give_hosts(queue: Path) -> None:
    for file in queue.glob("*/asked.json"):
        line = msgspec.json.decode(file.read_bytes(), type=toy_provider.Asked)
        file.write_bytes(msgspec.json.encode(msgspec.structs.replace(line, ready_at=0.0)))


def is_pending(kernel: Running) -> bool:
    return kernel.bridge.link.state.state == "pending"


def said(kernel: Running, kind: str) -> dict[str, Any]:
    """The next message of a type on iopub."""
    while (message := kernel.client.get_iopub_msg(timeout=DEADLINE_S))["msg_type"] != kind:
        pass
    return dict(message)


def reply_to(kernel: Running, msg_id: str) -> dict[str, Any]:
    while (message := kernel.client.get_shell_msg(timeout=DEADLINE_S))["parent_header"].get(
        "msg_id"
    ) != msg_id:
        pass
    return dict(message["content"])


def waiting_file(place: Place, kernel_id: str) -> Path:
    """Where the requests stand that wait for a kernel's host."""
    return place.home.data / "remote" / "waiting" / kernel_id


def until_it_waits(place: Place, kernel_id: str, message: str) -> None:
    """Wait until a request has come to the Lab, which keeps it for the host."""
    file = waiting_file(place, kernel_id)
    wait(lambda: file.exists() and message.encode() in file.read_bytes(), "the request did not come")
