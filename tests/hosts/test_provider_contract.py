"""What each kind of target must do, on a real host: this machine, a real sshd by both carriers, a toy queue,
a real Slurm, a real Kubernetes and a stand-in for one.

A new provider adds a place here (:data:`PLACES`); the tests stay as they are.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from genops_lab.agent.terminals import RECORD, TYPED
from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.files.models import FilesQuery
from genops_lab.files.service import FilesService
from genops_lab.hosts import providers
from genops_lab.hosts.link.carrier import open_carriage
from genops_lab.hosts.link.errors import HostGone, HostPending, LinkError
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import HostRef, Route
from genops_lab.hosts.models import (
    KernelLogQuery,
    NewEnvironment,
    NewTarget,
    StopKernel,
    StorageQuery,
    Target,
)
from genops_lab.hosts.providers.base import Gone, HostProvider, Pending, Resources, Running
from genops_lab.hosts.records import TargetRecord, record_of
from genops_lab.kernels.folders.before_start import Cap
from genops_lab.kernels.folders.models import FolderTransfer
from genops_lab.kernels.kernel_start import Start
from genops_lab.terminals.models import OpenTerminal
from genops_lab.terminals.service import TerminalsService
from tests.hosts.labs import connected, kernels_of, open_lab, until
from tests.support import toy_provider
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.kubernetes import POD_USER, a_cluster
from tests.support.kubernetes_standin import a_standin
from tests.support.processes import end_those_of
from tests.support.slurm import Cluster
from tests.support.sshd import Sshd

T = TypeVar("T")
Place = Callable[[ExitStack, Path], Route]
DEADLINE_S = 60.0
#: Copies what it reads, then ends with 7. One line, as the agent's own starter is.
WRITER = ["python", "-c", "import time; print('began', flush=True); "
    "open('made.txt', 'w').write('from ' + open('data.txt').read()); time.sleep(600)"]  # fmt: skip
ECHO = "import os;b=os.read(0,65536)\nwhile b: os.write(1,b);b=os.read(0,65536)\nos._exit(7)"


def _local(_stack: ExitStack, _folder: Path) -> Route:
    return providers.route_of("here", "local", python=sys.executable)


def _ssh(carrier: str) -> Place:
    def made(stack: ExitStack, _folder: Path) -> Route:
        return stack.enter_context(Sshd()).route(python=sys.executable, carrier=carrier)

    return made


def _toy(stack: ExitStack, folder: Path) -> Route:
    stack.callback(end_those_of, folder / "queue")
    return providers.route_of("queue", "toy", python=sys.executable, folder=str(folder / "queue"), wait_s=0.5)


def _slurm(tracking: str) -> Place:
    def made(stack: ExitStack, _folder: Path) -> Route:
        cluster = Cluster.running(tracking)
        host = stack.enter_context(cluster.login())
        return cluster.route(host, target=f"slurm-{host.port}", python=sys.executable, poll_s=1.0)

    return made


def _kubernetes(stack: ExitStack, folder: Path) -> Route:
    cluster = stack.enter_context(a_cluster())
    cluster.gpus(8)
    namespace = cluster.namespace(f"contract-{folder.name}")
    return cluster.route("cluster", namespace, folder, restricted=True, run_as=POD_USER)


def _standin(stack: ExitStack, folder: Path) -> Route:
    folder.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(a_standin(folder)).route()


PLACES = {
    "local": _local,
    "paramiko": _ssh("paramiko"),
    "openssh": _ssh("openssh"),
    "toy": _toy,
    "slurm": _slurm("linuxproc"),
    "slurm-cgroup": _slurm("cgroup"),
    "kubernetes": _kubernetes,
    "kubernetes-standin": _standin,
}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
        yield PLACES[request.param]


@pytest.fixture(scope="module")
def target(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Route]:
    """A target of each kind."""
    with ExitStack() as stack:
        yield place(stack, tmp_path_factory.mktemp("target"))


@pytest.fixture
def unused_target(place: Place, tmp_path: Path) -> Iterator[Route]:
    """A target of each kind without hosts, kernels and files of other tests, or of a failed try of this one."""
    with ExitStack() as stack:
        yield place(stack, tmp_path / "target")


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
        await asyncio.to_thread(provider.load)
        began = time.monotonic()
        host = target.at(await provider.allocate(target, "soon", Resources(gpus=1)))
        assert time.monotonic() - began < 2
        if isinstance(observed := await provider.observe(host), Pending):
            assert observed.reason
            with pytest.raises(HostPending, match=re.escape(observed.reason)):
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


# In a Lab


async def typed(path: str, text: bytes) -> bytes:
    """What a shell shows that ends with this text."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(RECORD.pack(TYPED, len(text)) + text)
    shown = await reader.read(-1)
    writer.close()
    return shown


async def launched(lab: Lab, target: Route, folder: Path, kernel_id: str) -> None:
    """A program in place of a kernel, in a folder of this machine or its copy, as provisioners start it."""
    provider, cwd = providers.provider_of(target.kind), str(folder)
    order = (cwd, kernel_id, Cap(100, 1 << 20))
    if not provider.is_this_machine:
        cwd = "" if provider.allocates else (await lab.remote.folders.prepare(target, *order)).cwd
    start = Start(
        route=target, kernel_id=kernel_id, argv=WRITER, env={}, cwd=cwd, key=b"key", signature_scheme="hmac-sha256",
        name="k", notebook="a.ipynb", lease_s=300.0, folder=order if provider.allocates else None,
        resources=Resources(gpus=2),
    )  # fmt: skip
    await lab.links.run(lab.remote.launch(start))


def test_a_lab_tells_of_each_host_what_is_there(
    provider: HostProvider, unused_target: Route, at_home: Home, tmp_path: Path
) -> None:
    target = unused_target
    folder, name, allocates = tmp_path / "project", target.target, provider.allocates
    folder.mkdir()
    (folder / "data.txt").write_text("data")
    ids = [f"kernel-{number}" for number in range(2 if allocates else 1)]
    hosts = ids if allocates else [""]

    async def life() -> None:
        async with open_lab(at_home) as lab:
            await asyncio.to_thread(lab.targets._inventory.add, TargetRecord(route=target))
            if allocates:
                with pytest.raises(Conflict, match="each kernel gets one when it starts"):
                    await lab.targets.connect_target(name)
            for kernel_id in ids:
                await launched(lab, target, folder, kernel_id)

            async def look() -> Target:
                return (await lab.targets.list_targets())[0]

            def is_read(found: Target) -> bool:
                read = [each.reading for each in found.hosts] if allocates else [found.reading]
                return len(read) == len(hosts) and all(each and each.hostname for each in read)

            shown = await until(look, is_read)
            assert (shown.allocates, shown.host_noun) == (allocates, provider.host_noun)
            assert [each.host_id for each in shown.hosts] == (ids if allocates else [])
            assert {each.state for each in shown.hosts} <= {"up"} and shown.state == "up"

            async def kernels() -> dict[str, str]:
                found = await kernels_of(lab, name)
                return {each.kernel_id: each.host_id for each in found.values() if each.state == "running"}

            await until(kernels, lambda found: found == dict(zip(ids, hosts, strict=True)))
            log = await lab.remote_kernels.get_remote_kernel_log(name, ids[0], KernelLogQuery())
            assert "began" in log.text

            shell = await lab.application.get(TerminalsService).open_terminal(OpenTerminal(where=ids[0]))
            assert (shell.host_id, shell.kernel_id) == (hosts[0], ids[0])
            assert b"works:42\r\n" in await typed(shell.socket, b"echo works:$((6*7)); exit\n")
            home = await lab.application.get(FilesService).find_files(FilesQuery(where=ids[0]))
            assert home.writable and home.drive == (f"{name},{ids[0]}" if allocates else name)

            storage = await lab.storage.list_target_storage(name, StorageQuery(older_than_days=0))
            copies = [item for item in storage.items if item.kind == "folder"]
            one_home = allocates and provider.shares_storage(target.config)
            # Here the jobs of one home see this machine's folder itself, which is not copied then.
            expected = [] if provider.is_this_machine or one_home else hosts
            assert sorted(each.host_id for each in copies) == expected
            assert all("kernel" in each.stays for each in copies), copies
            body = FolderTransfer(folder=str(folder), target=name, confirmed=True)
            if provider.is_this_machine:
                with pytest.raises(Conflict, match="this machine"):
                    await lab.folders.pull_folder(body)
            else:
                await lab.folders.pull_folder(body)
            assert (folder / "made.txt").read_text() == "from data"

            await lab.targets.disconnect_target(name)
            assert (await look()).state == "idle"
            assert (await connected(lab, name)).state == "up"
            await until(kernels, lambda found: set(found) == set(ids))
            for kernel_id in ids:
                stopped = await lab.remote_kernels.stop_remote_kernel(name, kernel_id, StopKernel(grace_s=0))
                assert stopped.state == "ended" and stopped.host_id == (kernel_id if allocates else "")
                bridge = lab.remote.bridges[kernel_id]
                await lab.links.run(lab.remote.stop(bridge))
                await lab.links.run(bridge.wait_ended())
                await lab.links.run(lab.remote.close(bridge))

            async def listed() -> list[HostRef]:
                return await lab.links.run(provider.list_hosts(target))

            async def claimed() -> dict[str, float]:
                return lab.targets.hosts.claims.asked(name)

            await until(listed, lambda found: not found)
            await until(claimed, lambda found: not found)

    run(life())


def test_a_build_goes_where_the_next_kernel_finds_it(
    provider: HostProvider, target: Route, at_home: Home
) -> None:
    if provider.shares_storage(target.config):
        return  # tests/hosts/test_environments.py builds there

    async def build() -> None:
        async with open_lab(at_home) as lab:
            await asyncio.to_thread(lab.targets._inventory.add, TargetRecord(route=target))
            with pytest.raises(Conflict, match=f"Each {provider.host_noun} of .* has its own files"):
                await lab.environments.build_environment(target.target, NewEnvironment())

    run(build())
