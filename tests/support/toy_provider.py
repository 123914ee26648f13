"""Hosts for tests: they are asked for, come after a while, and are this machine with agents of their own."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from genops_lab.hosts.configuration import HostConfig, option
from genops_lab.hosts.link.route import HostRef, Route
from genops_lab.hosts.providers.base import (
    Gone,
    HostProvider,
    Observed,
    Pending,
    Resources,
    Running,
    TestStep,
)

from .processes import end_those_of

if TYPE_CHECKING:
    from genops_lab.hosts.link.carrier import HostStream
    from genops_lab.hosts.link.questions import Asker


class ToyConfig(HostConfig, frozen=True, kw_only=True):
    """``folder`` is where the queue is kept."""

    folder: Annotated[str, option("Folder", "Where the queue is kept.", required=True)] = ""
    wait_s: Annotated[float, option("Wait", "Seconds until a host is there.", minimum=0, maximum=3600)] = 0.0
    shared: Annotated[bool, option("Shared home", "Whether all hosts have the same home.")] = False
    reason: Annotated[str, option("Reason", "Why it is not there yet.")] = "All toys are in use."


class Asked(msgspec.Struct):
    """A line of the queue."""

    ready_at: float
    resources: Resources
    ends_at: float | None = None
    notice: str = ""


class ToyProvider(HostProvider):
    """A host is a folder that was asked for by name."""

    kind = "toy"
    label = "A toy queue"
    config_type = ToyConfig
    test_steps = (TestStep(name="queue", label="Queue", message="The queue takes requests."),)
    allocates = True
    host_noun = "toy"

    def shares_storage(self, config: HostConfig) -> bool:
        return isinstance(config, ToyConfig) and config.shared

    async def allocate(self, target: Route, name: str, resources: Resources) -> HostRef:
        file = _file(target, name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            ready_at = time.time() + _config(target).wait_s
            file.write_bytes(msgspec.json.encode(Asked(ready_at, resources)))
        return HostRef(target.target, name)

    async def observe(self, host: Route) -> Observed:
        if not (file := _file(host, host.host_id)).exists():
            return Gone(why="It was given back.")
        asked = msgspec.json.decode(file.read_bytes(), type=Asked)
        if asked.ready_at > time.time():
            return Pending(reason=_config(host).reason, position=1)
        return Running(ends_at=asked.ends_at, notice=asked.notice)

    async def release(self, host: Route) -> None:
        file = _file(host, host.host_id)
        if file.exists():
            file.unlink(missing_ok=True)
            await asyncio.to_thread(end_those_of, file.parent)
            await asyncio.to_thread(shutil.rmtree, file.parent, ignore_errors=True)

    async def list_hosts(self, target: Route) -> list[HostRef]:
        folder = _file(target, "").parent
        return [HostRef(target.target, file.parent.name) for file in folder.glob("*/asked.json")]

    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        from genops_lab.hosts.providers.process_stream import ProcessCarriage

        stream = ProcessCarriage(host, self.kind)
        state = _file(host, host.host_id).parent
        home = () if _config(host).shared else (f"HOME={state}",)
        await stream.spawn(["env", f"GENOPS_AGENT_STATE={state / 'agent'}", *home, *command])
        return stream


def _config(target: Route) -> ToyConfig:
    assert isinstance(target.config, ToyConfig)
    return target.config


def _file(target: Route, name: str) -> Path:
    return Path(_config(target).folder) / name / "asked.json"


PROVIDER = ToyProvider()
