"""A host over a real sshd, as a deployment target needs it: real connections without a Lab around them."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from tests.support.sshd import Sshd

T = TypeVar("T")


@dataclass
class Record:
    """A target of the store."""

    route: Route


class Connections:
    """The connections of this process."""

    def __init__(self, links: HostConnections) -> None:
        self.links = links

    def link(self, route: Route) -> HostConnection:
        return self.links.link(route)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        return await self.links.run(work)


class Targets:
    """One target, ``box``, that is connected."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        links = HostConnections(folder / "links", Nobody())
        self.route = sshd.route(target="box", python=sys.executable)
        self.connections = Connections(links)
        links.submit(links.link(self.route).up()).result(60)

    async def record(self, name: str) -> Record:
        assert name == "box"
        return Record(self.route)


_known: dict[tuple[int, str], Targets] = {}


def on_host(sshd: Sshd, folder: Path) -> Targets:
    """Return the target of a host, connected once in each process."""
    key = (os.getpid(), sshd.alias + str(sshd.home))
    if key not in _known:
        _known[key] = Targets(sshd, folder)
    return _known[key]


def disconnect() -> None:
    """End the connections of this process."""
    for key in [each for each in _known if each[0] == os.getpid()]:
        _known.pop(key).connections.links.close()
