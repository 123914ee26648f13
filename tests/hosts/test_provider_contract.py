"""What each kind of target must do, on a real host: this machine, a real sshd by both carriers, a toy queue.

A new provider adds a place here (:data:`PLACES`); the tests stay as they are.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts import providers
from genops_lab.hosts.link.carrier import open_carriage
from genops_lab.hosts.link.errors import HostGone, HostPending, LinkError
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.models import NewTarget
from genops_lab.hosts.providers.base import Gone, HostProvider, Pending, Resources, Running
from genops_lab.hosts.records import record_of
from tests.support import toy_provider
from tests.support.sshd import Sshd

T = TypeVar("T")
DEADLINE_S = 60.0
#: Copies what it reads, then ends with 7. One line, as the agent's own starter is.
ECHO = "import os;b=os.read(0,65536)\nwhile b: os.write(1,b);b=os.read(0,65536)\nos._exit(7)"


def _local(_stack: ExitStack, _folder: Path) -> Route:
    return providers.route_of("here", "local", python=sys.executable)


def _ssh(carrier: str) -> Callable[[ExitStack, Path], Route]:
    def made(stack: ExitStack, _folder: Path) -> Route:
        return stack.enter_context(Sshd()).route(python=sys.executable, carrier=carrier)

    return made


def _toy(_stack: ExitStack, folder: Path) -> Route:
    return providers.route_of("queue", "toy", python=sys.executable, folder=str(folder / "queue"), wait_s=0.5)


PLACES = {"local": _local, "paramiko": _ssh("paramiko"), "openssh": _ssh("openssh"), "toy": _toy}


@pytest.fixture(scope="module", params=PLACES)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Route]:
    """A target of each kind."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
        yield PLACES[request.param](stack, tmp_path_factory.mktemp("target"))


@pytest.fixture
def provider(target: Route) -> HostProvider:
    return providers.provider_of(target.kind)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, DEADLINE_S))


async def there(provider: HostProvider, target: Route, name: str = "one") -> Route:
    """A host of the target that runs."""
    host = target.at(await provider.allocate(target, name, Resources()))
    while isinstance(await provider.observe(host), Pending):
        await asyncio.sleep(0.05)
    assert isinstance(await provider.observe(host), Running)
    return host


# The configuration


def test_its_form_is_made_of_its_configuration(provider: HostProvider, target: Route) -> None:
    form = provider.form()
    assert (
        {"python"}
        <= {field.name for field in form}
        <= {field.name for field in msgspec.structs.fields(type(target.config))}
    )
    assert all(field.label for field in form)
    given = {field.name: getattr(target.config, field.name) for field in form}
    assert (
        record_of(NewTarget(name="other", kind=provider.kind, config=given)).route.config.python
        == target.python
    )


def test_a_configuration_is_plain_values(target: Route) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(target.config))
    assert providers.route_of(target.target, target.kind, **plain) == target
    later = {**plain, "of_a_later_version": 1}
    assert providers.route_of(target.target, target.kind, **later) == target


def test_what_cannot_be_is_refused_by_its_name(provider: HostProvider, target: Route) -> None:
    provider.check(target.config)
    with pytest.raises(InvalidRequest, match="is not an interpreter"):
        provider.check(msgspec.structs.replace(target.config, python="a\nb"))
    with pytest.raises(InvalidRequest, match="nowhere"):
        record_of(NewTarget(name="other", kind=provider.kind, config={"nowhere": 1}))


def test_the_steps_of_its_test_have_names_and_words(provider: HostProvider) -> None:
    names = [step.name for step in provider.test_steps]
    assert len(set(names)) == len(names) and not {"python", "agent"} & set(names)
    assert all(step.label and step.message for step in provider.test_steps)


# Hosts


def test_a_host_comes_is_listed_and_given_back(provider: HostProvider, target: Route) -> None:
    async def life() -> None:
        host = await there(provider, target, "life")
        assert host.ref == await provider.allocate(target, "life", Resources())
        assert (host.ref in await provider.list_hosts(target)) == provider.allocates
        other = await provider.allocate(target, "other", Resources())
        assert (other != host.ref) == provider.allocates
        for name in (host.ref, other):
            await provider.release(target.at(name))
            await provider.release(target.at(name))
        assert await provider.list_hosts(target) == []
        assert isinstance(await provider.observe(host), Gone if provider.allocates else Running)

    run(life())


def test_asking_for_a_host_does_not_wait_for_it(
    provider: HostProvider, target: Route, tmp_path: Path
) -> None:
    async def ask() -> None:
        began = time.monotonic()
        host = target.at(await provider.allocate(target, "soon", Resources(gpus=1)))
        assert time.monotonic() - began < 2
        if isinstance(observed := await provider.observe(host), Pending):
            assert observed.reason
            with pytest.raises(HostPending, match=observed.reason):
                await open_carriage(host, Nobody(), tmp_path)
        await provider.release(host)
        if provider.allocates:
            with pytest.raises(HostGone):
                await open_carriage(host, Nobody(), tmp_path)

    run(ask())


# The stream


async def _echo(provider: HostProvider, host: Route, folder: Path, size: int) -> None:
    await asyncio.to_thread(provider.load)
    stream = await provider.open_stream(host, [host.python, "-c", ECHO], Nobody(), folder)
    try:
        sent = bytes(range(256)) * (size // 256)

        async def send() -> None:
            stream.writer.write(sent)
            await stream.writer.drain()

        sending = asyncio.ensure_future(send())
        assert await stream.reader.readexactly(len(sent)) == sent
        await sending
    finally:
        await stream.close()
        await stream.close()
    assert await stream.reader.read() == b""
    assert (await stream.end()) is not None


def test_every_byte_comes_in_order_and_the_end_is_seen(
    provider: HostProvider, target: Route, tmp_path: Path
) -> None:
    async def both() -> None:
        host = await there(provider, target)
        await asyncio.gather(*(_echo(provider, host, tmp_path, size) for size in (4 << 20, 256)))
        await provider.release(host)

    run(both())


def test_a_program_that_is_not_there_is_an_error_that_says_so(
    provider: HostProvider, target: Route, tmp_path: Path
) -> None:
    wrong = msgspec.structs.replace(
        target, config=msgspec.structs.replace(target.config, python="/no/such/python")
    )

    async def fails() -> LinkError:
        host = await there(provider, wrong, "wrong")
        with pytest.raises(LinkError) as caught:
            await open_carriage(host, Nobody(), tmp_path)
        await provider.release(host)
        return caught.value

    error = run(fails())
    assert error.code == "no_python" and "/no/such/python" in error.message and error.hint


def test_the_agent_greets(provider: HostProvider, target: Route, tmp_path: Path) -> None:
    async def greet() -> bytes:
        host = await there(provider, target)
        stream = await open_carriage(host, Nobody(), tmp_path)
        try:
            return await stream.reader.readuntil(b"}")
        finally:
            await stream.close()
            await provider.release(host)

    assert run(greet()).startswith(b"\0GENOPS1 {")
