"""A Lab and a host behind a real sshd that the tests of a module share, each on the Lab's one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from genops_lab.core.settings import Settings
from tests.hosts.labs import on, until
from tests.support.application import Lab, open_lab
from tests.support.faults import FaultProxy
from tests.support.homes import Home, temporary_home
from tests.support.sshd import Sshd

T = TypeVar("T")


@dataclass
class World:
    """``through``: the way to ``host``, if it was asked for. Who stops ``lab`` puts the next one in its place."""

    home: Home
    host: Sshd
    lab: Lab
    loop: asyncio.AbstractEventLoop
    through: FaultProxy | None

    @property
    def proxy(self) -> FaultProxy:
        """What can slow the way to the host, and cut it."""
        assert self.through is not None, "it was not asked for"
        return self.through

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of an async test's body."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 150))

    async def connected(self, name: str, python: str, **fields: Any) -> None:
        """Have this target connected; add it the first time."""
        if name not in [target.name for target in await self.lab.targets.list_targets()]:
            await self.lab.targets.add_target(on(self.host, name, python=python, **fields))
        await self.lab.targets.connect_target(name)
        await until(lambda: self.lab.targets.get_target(name), lambda found: found.state == "up")


async def a_lab(home: Home, *, supervise: bool = False) -> Lab:
    """A Lab of this process, which must live in ``home``."""
    return await open_lab(Settings(data_dir=home.data), supervise=supervise)


@contextmanager
def a_world(*, proxied: bool = False) -> Iterator[World]:
    """This process lives in the world's home meanwhile."""
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        host = stack.enter_context(Sshd())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in home.environment().items():
            patch.setenv(name, value)
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        home.data.mkdir(parents=True, mode=0o700)
        (home.path / ".ssh").mkdir(mode=0o700)
        (home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        proxy = stack.enter_context(FaultProxy(host.port)) if proxied else None
        if proxy is not None:
            host.write_config(port=proxy.port)
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        world = World(home, host, loop.run_until_complete(a_lab(home)), loop, proxy)
        try:
            yield world
        finally:
            loop.run_until_complete(world.lab.stop())
            loop.run_until_complete(loop.shutdown_default_executor())
