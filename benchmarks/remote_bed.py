"""What the benchmark of remote kernels runs on: an sshd on loopback, proxies that delay, and a kernelspec a way."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from tests.support.faults import FaultProxy
from tests.support.sshd import Sshd

#: Added round trips in milliseconds; 0 is sshd itself, without a proxy.
DELAYS_MS = (0, 20, 100)
#: A place that can be cut: a proxy that adds nothing.
CUT = "cut"
Place = int | str
LOCAL = "python3"
OURS = ("paramiko", "openssh")
SSHPYK = "sshpyk"


class Bed:
    """Kernels by way and delay. Made in the process that measures, whose home is a throwaway one."""

    def __init__(self, host: Sshd, proxies: dict[Place, FaultProxy], sshpyk: bool) -> None:
        self.host = host
        self.proxies = proxies
        self.sshpyk = sshpyk

    @property
    def ways(self) -> list[str]:
        """What stands side by side."""
        return [LOCAL, *OURS, *([SSHPYK] if self.sshpyk else [])]

    def ports(self) -> dict[Place, int]:
        """Where each place is reached."""
        return {0: self.host.port, **{place: proxy.port for place, proxy in self.proxies.items()}}

    def kernel(self, way: str, place: Place = 0) -> str:
        """The kernelspec's name."""
        if way == LOCAL:
            return LOCAL
        return f"genops-{way}-{place}" if way in OURS else f"{SSHPYK}-{place}"

    def forget_connection(self, way: str, place: Place) -> None:
        """Before a first connection: sshpyk's shared ssh outlives the process that opened it."""
        if way == SSHPYK:
            subprocess.run(
                ["ssh", "-F", str(_sshpyk_config()), "-O", "exit", f"bench-{place}"],
                capture_output=True, check=False,
            )  # fmt: skip


def _sshpyk_config() -> Path:
    return Path.home() / "sshpyk_config"


@contextmanager
def bed() -> Iterator[Bed]:
    """The host, the proxies and the kernels; all gone afterwards."""
    with ExitStack() as stack:
        host = stack.enter_context(Sshd(debugger=True))
        proxies: dict[Place, FaultProxy] = {
            delay: stack.enter_context(FaultProxy(host.port, latency_s=delay / 2000.0))
            for delay in DELAYS_MS
            if delay
        }
        proxies[CUT] = stack.enter_context(FaultProxy(host.port))
        made = Bed(host, proxies, sshpyk=_has_sshpyk())
        _add_targets(made)
        if made.sshpyk:
            _add_sshpyk(made)
        try:
            yield made
        finally:
            for place in made.ports():
                made.forget_connection(SSHPYK, place)


def echoes_ms(delay: int, count: int) -> list[float]:
    """Milliseconds that a byte takes to the other side of such a proxy and back."""

    def echo(listener: socket.socket) -> None:
        there, _ = listener.accept()
        with there:
            while data := there.recv(1):
                there.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        with (
            FaultProxy(listener.getsockname()[1], latency_s=delay / 2000.0) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port)) as here,
        ):
            here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = []
            for _ in range(count):
                begun = time.perf_counter()
                here.sendall(b".")
                here.recv(1)
                found.append((time.perf_counter() - begun) * 1e3)
            return found


def _has_sshpyk() -> bool:
    """The baseline lies on PYTHONPATH for this benchmark alone; nothing of ours depends on it."""
    return importlib.util.find_spec("sshpyk") is not None


def _add_targets(made: Bed) -> None:
    from genops_lab.core.paths import data_dir
    from genops_lab.core.store import LocalStore
    from genops_lab.hosts.ledger import Ledger
    from genops_lab.hosts.records import TargetRecord
    from genops_lab.kernels.kernelspecs import install_kernelspec

    store = LocalStore(data_dir() / "store.db")
    try:
        ledger = Ledger(store)
        for way in OURS:
            for place, port in made.ports().items():
                name = f"{way}-{place}"
                route = made.host.route(target=name, port=port, carrier=way, python=sys.executable)
                ledger.add(TargetRecord(route=route))
                install_kernelspec(name)
    finally:
        store.close()


def _add_sshpyk(made: Bed) -> None:
    host = made.host
    Path(jupyter_runtime_dir()).mkdir(parents=True, exist_ok=True)  # sshpyk expects it
    lines = []
    for place, port in made.ports().items():
        lines += [
            f"Host bench-{place}", "HostName 127.0.0.1", f"Port {port}", f"User {host.user}",
            f"IdentityFile {host.user_key}", "IdentitiesOnly yes", "IdentityAgent none", "BatchMode yes",
            "ControlMaster auto", f"ControlPath {Path.home()}/cm-%r@%h_%p", "ControlPersist 10m",
            "StrictHostKeyChecking no", f"UserKnownHostsFile {host.known_hosts}", f"HostKeyAlias {host.alias}",
            "ServerAliveInterval 5", "ServerAliveCountMax 120000", "ConnectTimeout 5", "TCPKeepAlive yes",
            "ConnectionAttempts 1",
        ]  # fmt: skip
        folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / f"{SSHPYK}-{place}"
        folder.mkdir(parents=True)
        config = {
            "ssh_host_alias": f"bench-{place}",
            "ssh_config": str(_sshpyk_config()),
            "remote_python": sys.executable,
            "remote_kernel_name": LOCAL,
        }
        specification = {
            "argv": [],
            "display_name": f"sshpyk {place}",
            "language": "python",
            "interrupt_mode": "message",  # what it asks for
            "metadata": {"kernel_provisioner": {"provisioner_name": "sshpyk-provisioner", "config": config}},
        }
        (folder / "kernel.json").write_text(json.dumps(specification))
    _sshpyk_config().write_text("\n".join(lines) + "\n")
