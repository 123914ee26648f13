"""A Jupyter server whose host does not answer: its kernel is disconnected, not dead, and the server still stops."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from genops_lab.core.store import LocalStore
from genops_lab.hosts.ledger import Ledger
from genops_lab.hosts.records import TargetRecord
from tests.kernels.places import TARGET, Place, a_place, wait
from tests.support.faults import FaultProxy
from tests.support.homes import temporary_home
from tests.support.lab_server import start_lab
from tests.support.processes import runs
from tests.support.sshd import Sshd

#: Far below what anybody waits, far above what a loaded machine takes.
STOPS_WITHIN_S = 60.0


@pytest.fixture
def scene() -> Iterator[tuple[Place, FaultProxy]]:
    with temporary_home() as home, Sshd() as host, FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)
        with a_place(home, host.route(target=TARGET, python=sys.executable)) as place:
            store = LocalStore(home.data / "store.db")
            Ledger(store).add(TargetRecord(route=place.route))
            store.close()
            yield place, proxy
            proxy.reset()
            proxy.heal()


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param(True, id="with the Lab"),
        pytest.param(False, id="plain Jupyter", marks=pytest.mark.exhaustive),
    ],
)
def test_a_server_stops_while_its_host_does_not_answer(
    scene: tuple[Place, FaultProxy], extension: bool
) -> None:
    place, proxy = scene
    arguments = (
        () if extension else ("--ServerApp.jpserver_extensions={'genops_lab': False, 'jupyterlab': True}",)
    )
    server = start_lab(place.home, arguments=arguments)
    try:
        body = {"name": f"genops-{TARGET}", "path": "a.ipynb"}
        status, kernel = server.request("POST", "api/kernels", body, timeout=120)
        assert status == 201, (kernel, server.log[-3000:])
        (info,) = place.call("kernels.list")
        place.do(place.remote.links.link(place.route).down())
        proxy.hole()
        wait(lambda: server.get(f"api/kernels/{kernel['id']}"))
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(STOPS_WITHIN_S)
        assert "Traceback" not in server.log, server.log[-5000:]
        assert runs(info["pid"]), "the kernel is on its own"
    finally:
        server.stop()
