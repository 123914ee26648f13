"""Hosts that a target allocates, with a toy provider: their test, what is left over, the notice of their end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from genops_lab.commands.views import targets as views
from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.live import LiveHub
from genops_lab.hosts import allocated, host_ends, providers
from genops_lab.hosts.host_ends import HostEnds
from genops_lab.hosts.link.route import HostRef, Route
from genops_lab.hosts.models import NewTarget
from genops_lab.hosts.providers.base import Resources
from genops_lab.kernels.outputs.ledger import KernelLedger, Remembered
from tests.support import toy_provider
from tests.support.homes import Home

from .labs import DEADLINE_S, open_lab, report_of, run, until


def test_a_target_of_many_hosts_is_tested_on_one_that_is_given_back(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    config = {"python": sys.executable, "folder": str(tmp_path), "wait_s": 0.5}

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(NewTarget(name="queue", kind="toy", config=config))
            report = await report_of(lab, "queue")
            assert [step.step for step in report.steps][:4] == ["queue", "python", "agent", "ipykernel"]
            assert report.state in ("ok", "warning"), report
            assert lab.links.known() == []

    run(body())
    assert not list(tmp_path.glob("*/asked.json"))


#: Asks for a host, as a Lab or nbclient does, and lives or dies then.
ASKS = """
import asyncio, os, signal, sys
from pathlib import Path
from genops_lab.hosts import providers
from genops_lab.hosts.allocated import HostClaims, ask_for
from genops_lab.hosts.providers.base import Resources
from tests.support.toy_provider import PROVIDER

providers.PROVIDERS["toy"] = PROVIDER
data, folder, name = sys.argv[1:4]
route = providers.route_of("queue", "toy", folder=folder)
claims = HostClaims(Path(data))
asyncio.run(ask_for(claims, route, name, Resources()))
print("asked", flush=True)
if sys.argv[4:] == ["dies"]:
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


@contextmanager
def asks(home: Home, folder: Path, *words: str) -> Iterator[None]:
    child = subprocess.Popen(
        [sys.executable, "-c", ASKS, str(home.data), str(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"asked\n"
        if "dies" in words:
            child.wait(DEADLINE_S)
        yield


def test_a_host_that_nobody_needs_is_shown_and_given_back(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    monkeypatch.setattr(allocated, "GRACE_S", 0.0)
    config = {"python": sys.executable, "folder": str(tmp_path)}

    def there() -> set[str]:
        return {file.parent.name for file in tmp_path.glob("*/asked.json")}

    async def body() -> None:
        async with open_lab(at_home) as lab:
            added = await lab.targets.add_target(
                NewTarget(name="queue", kind="toy", config=config, price_per_hour=2.0)
            )
            route = (await lab.targets.record(added.name)).route
            remembered = Remembered(
                kernel_id="remembered", target="queue", kernel_name="genops-queue", started_at=time.time()
            )
            KernelLedger(lab.store).remember(remembered)
            await lab.links.run(toy_provider.PROVIDER.allocate(route, "elsewhere", Resources()))
            with (
                asks(at_home, tmp_path, "remembered", "dies"),
                asks(at_home, tmp_path, "lost", "dies"),
                asks(at_home, tmp_path, "starting"),
            ):
                found = {each.host_id: each for each in await lab.targets.list_target_hosts("queue")}
                assert set(found) == {"remembered", "lost", "starting", "elsewhere"}
                left = {name: each.release_at for name, each in found.items() if each.left_over}
                assert set(left) == {"lost", "elsewhere"}
                assert left["lost"] and left["elsewhere"] is None
                (shown,) = await lab.targets.list_targets()
                assert {each.host_id for each in shown.hosts} == set(left)
                for needed in ("remembered", "starting"):
                    with pytest.raises(Conflict, match="needs the toy"):
                        await lab.targets.release_host("queue", needed)
                with pytest.raises(NotFound):
                    await lab.targets.release_host("queue", "nowhere")
                looking = asyncio.create_task(lab.targets.hosts.supervise())

                async def hosts() -> set[str]:
                    return there()

                await until(hosts, lambda now: "lost" not in now)
                looking.cancel()
                assert there() == {"remembered", "starting", "elsewhere"}
                await lab.targets.release_host("queue", "elsewhere")
                assert there() == {"remembered", "starting"}
                assert (await lab.targets.get_target("queue")).hosts == []

    run(body())


def test_the_end_of_a_running_host_is_told_before_it_comes(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    tells = threading.Event()

    async def changed(_host: Route) -> None:
        await asyncio.to_thread(tells.wait, 60.0)

    monkeypatch.setattr(toy_provider.ToyProvider, "tells_changes", True)
    monkeypatch.setattr(toy_provider.PROVIDER, "changed", changed, raising=False)
    monkeypatch.setattr(host_ends, "_LOOK_EVERY_S", 3600.0)
    least_s = 0.02
    monkeypatch.setattr(host_ends, "_LEAST_S", least_s)
    config = {"python": sys.executable, "folder": str(tmp_path)}
    file = tmp_path / "k1" / "asked.json"

    def says(**words: object) -> None:
        asked = msgspec.json.decode(file.read_bytes(), type=toy_provider.Asked)
        new = file.with_name("new.json")
        new.write_bytes(msgspec.json.encode(msgspec.structs.replace(asked, **words)))
        new.replace(file)  # whole for a look in between

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(NewTarget(name="queue", kind="toy", config=config))
            route = (await lab.targets.record("queue")).route
            kernel = Remembered(
                kernel_id="k1", target="queue", kernel_name="genops-queue", path="a.ipynb", started_at=1.0
            )
            KernelLedger(lab.store).remember(kernel)
            await lab.links.run(toy_provider.PROVIDER.allocate(route, "k1", Resources()))
            await lab.targets.connect_target("queue")
            await until(lambda: lab.targets.get_target("queue"), lambda found: found.state == "up")
            ends, live, at = (
                lab.application.get(HostEnds),
                lab.application.get(LiveHub),
                time.time() + 8 * 3600,
            )
            says(ends_at=at)
            tells.set()  # nobody looks again by itself for an hour
            live.join("host-ends", print)  # a visible page has the notebook open
            await until(
                lambda: lab.targets.get_target("queue"),
                lambda found: [each.ends_at for each in found.hosts] == [at],
            )
            assert await lab.remote_kernels.list_kernel_notices() == []  # in hours
            live.leave("host-ends", print)
            await ends.look()  # one that had begun is over
            says(ends_at=time.time() + 600, notice="A job of higher priority waits.")
            await asyncio.sleep(20 * least_s)  # the page is hidden: nothing is looked at
            assert await lab.remote_kernels.list_kernel_notices() == []
            await ends.look()
            (notice,) = await lab.remote_kernels.list_kernel_notices()
            assert (notice.kind, notice.path) == ("host", "a.ipynb")
            assert notice.text == "A job of higher priority waits."
            (host,) = await lab.targets.list_target_hosts("queue")
            printed = str(views.hosts(await lab.targets.get_target("queue"), [host]))
            assert "A job of higher priority waits. It ends at " in printed
            await lab.targets.disconnect_target("queue")  # nobody is attached: nothing is looked at
            says(notice="later")
            await ends.look()
            assert await lab.remote_kernels.list_kernel_notices() == []
            await lab.links.run(toy_provider.PROVIDER.release(route.at(HostRef("queue", "k1"))))

    run(body())
