"""Ports of a program in a kernel on a real sshd, through a real Lab below a base URL."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.lab_kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

PROGRAM = Path(__file__).with_name("program.py")
PATIENT_S = 60.0


class Scene:
    """A Lab, its kernel on the host ``gpu`` and the program there. ``proxy`` is between them."""

    def __init__(self, lab: LabServer, kernel: LabKernel, proxy: FaultProxy, folder: Path) -> None:
        self.lab, self.kernel, self.proxy, self.folder = lab, kernel, proxy, folder
        command = [sys.executable, str(PROGRAM), "0", str(folder)]
        kernel.run(f"import subprocess\nprogram = subprocess.Popen({command!r})")
        self.port = eventually(lambda: self._text("port"), bool, PATIENT_S)

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def open(self, port: str, where: str = "", **more: Any) -> tuple[int, Any]:
        body = {"where": where or self.kernel.kernel_id, "port": port, **more}
        return self.lab.request("POST", "genops/v1/ports", body)

    def address(self, port: str, **more: Any) -> str:
        status, opened = self.open(port, **more)
        assert status == 200, opened
        return str(opened["url"])

    @property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"token {self.lab.token}"}

    def browser(self) -> httpx.Client:
        """A client with the cookies of a user who has logged in."""
        client = httpx.Client(timeout=PATIENT_S)
        client.get(f"{self.lab.url}lab?token={self.lab.token}").raise_for_status()
        return client


@pytest.fixture(scope="module")
def scene(module_home: Home) -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory(prefix="ports-") as folder,
        Sshd() as host,
        FaultProxy(host.port) as proxy,
    ):
        host.write_config(port=proxy.port)
        (module_home.path / ".ssh").mkdir(mode=0o700, exist_ok=True)
        (module_home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        with running_lab(module_home, base_url="/team/ada/") as lab:
            target = {"name": "gpu", "kind": "ssh", "host": host.alias, "python": sys.executable}
            status, answer = lab.request("POST", "genops/v1/targets", target)
            assert status == 200, answer
            with lab_kernel(lab, "genops-gpu") as kernel:
                yield Scene(lab, kernel, proxy, Path(folder))


def test_a_port_of_the_kernel_is_found_and_answers_without_the_credentials_of_jupyter(scene: Scene) -> None:
    found = scene.lab.get(f"genops/v1/ports?where={scene.kernel.kernel_id[:8]}")
    assert [(each["target"], each["port"]) for each in found] == [("gpu", scene.port)], "not ipykernel's own"
    for port in (scene.port, str(scene.folder / "program.sock")):
        address = scene.address(port)
        assert address.startswith(f"{scene.lab.url}genops/ports/gpu/")
        given = {**scene.token, "Cookie": "username-x=secret", "X-Mine": "1", "Origin": scene.lab.origin}
        answer = httpx.post(
            f"{address}echo?a=1&token={scene.lab.token}", headers=given, content=b"body", timeout=PATIENT_S
        )
        told = answer.json()
        reached = {name.lower(): value for name, value in told["headers"].items()}
        assert (told["path"], told["body"], reached["x-mine"]) == ("/echo?a=1", "body", "1")
        assert not {"cookie", "authorization", "origin", "referer"} & set(reached)
        assert scene.lab.token not in answer.text
        assert reached["x-forwarded-prefix"] == "/team/ada" + address.partition("/team/ada")[2].rstrip("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "theirs" not in str(answer.headers) and "script-src" not in policy
        assert answer.headers["Access-Control-Allow-Origin"] == scene.lab.origin, "as JupyterLab says"


def test_a_program_in_the_process_of_the_kernel_is_found(scene: Scene) -> None:
    code = "import socket; own = socket.create_server(('127.0.0.1', 0)); print(own.getsockname()[1])"
    port, _ = scene.kernel.run(code)
    assert port.strip() in {
        each["port"] for each in scene.lab.get(f"genops/v1/ports?where={scene.kernel.kernel_id}")
    }
    scene.kernel.run("own.close()")


def test_redirections_and_pages_stay_below_the_path(scene: Scene) -> None:
    address = scene.address(scene.port)
    for start, end in ((address[:-1], address), (f"{address}moved", f"{address}echo")):
        answer = httpx.get(start, headers=scene.token, timeout=PATIENT_S)
        assert answer.status_code == 302 and answer.headers["Location"] == end.removeprefix(scene.lab.origin)


def test_events_arrive_one_by_one_and_a_websocket_repeats_each_message(scene: Scene) -> None:
    address = scene.address(scene.port)
    with httpx.stream("GET", f"{address}events", headers=scene.token, timeout=PATIENT_S) as answer:
        parts = answer.iter_text()
        assert next(parts) == "data: one\n\n"
        (scene.folder / "go").touch()  # the program sends nothing more until then
        assert "".join(parts) == "data: two\n\n"


async def _repeated(scene: Scene, address: str, headers: dict[str, str]) -> None:
    url = address.replace("http", "ws", 1) + "repeats"
    connection = await websocket_connect(HTTPRequest(url, headers=headers), compression_options={})
    for message in ("word", b"\0" * 300_000):
        await connection.write_message(message, binary=isinstance(message, bytes))
        assert await connection.read_message() == message
    connection.close(4321, "enough")
    assert await connection.read_message() is None


async def test_a_websocket_carries_messages_from_jupyterlabs_own_pages_alone(scene: Scene) -> None:
    address = scene.address(scene.port)
    await _repeated(scene, address, scene.token)
    with contextlib.closing(scene.browser()) as browser:
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    await _repeated(scene, address, {"Cookie": cookies, "Origin": scene.lab.origin})
    for origin in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        with pytest.raises(HTTPClientError) as refused:
            await _repeated(scene, address, {"Cookie": cookies, **origin})
        assert refused.value.code in (403, 404), origin


def test_strangers_and_pages_of_other_origins_are_refused(scene: Scene) -> None:
    address = scene.address(scene.port)
    assert httpx.get(f"{address}echo").status_code == 403
    assert httpx.get(f"{address}echo", headers={"Authorization": "token wrong"}).status_code == 403
    with contextlib.closing(scene.browser()) as browser:
        own = {"Origin": scene.lab.origin}
        assert browser.post(f"{address}echo", headers=own).status_code == 200
        for origin in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
            assert browser.post(f"{address}echo", headers=origin).status_code in (403, 404), origin
        worker = browser.get(f"{address}echo", headers={"Service-Worker": "script"})
        assert worker.status_code == 403


def test_pages_are_sandboxed_unless_they_are_trusted(scene: Scene) -> None:
    policies = []
    for trusted in (False, True):
        address = scene.address(scene.port, trusted=trusted)
        answer = httpx.get(f"{address}page", headers=scene.token, timeout=PATIENT_S)
        policies.append(answer.headers["Content-Security-Policy"])
    assert "sandbox allow-scripts" in policies[0] and "allow-same-origin" not in policies[0]
    assert "sandbox" not in policies[1] and "frame-ancestors" in policies[1]


def test_a_port_of_no_process_of_the_kernel_is_refused_unless_its_host_is_named(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        status, refused = scene.open(port)
        assert status == 502 and refused["error"]["message"] == (
            f"No process of the kernel listens on port {port}."
        )
        assert scene.open(port, where="gpu")[0] == 200
    status, refused = scene.open(port, where="gpu")
    assert status == 502 and "does not answer" in refused["error"]["message"]
    assert scene.open("/etc/passwd", where="gpu")[0] == 502
    assert httpx.get(f"{scene.lab.url}genops/ports/gpu/22/", headers=scene.token).status_code == 404


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone starts a program of another user")
def test_a_port_of_another_user_is_refused(scene: Scene) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    with subprocess.Popen(
        ["python3", "-c", f"{code}; s.accept()"], user=65534, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            port = other.stdout.readline().strip()
            status, refused = scene.open(port, where="gpu")
            assert status == 502 and "belongs to another user" in refused["error"]["message"]
        finally:
            other.kill()


def test_a_request_waits_for_a_connection_that_was_cut(scene: Scene) -> None:
    address = scene.address(scene.port)
    for _ in range(3):
        scene.proxy.reset()
        assert httpx.get(f"{address}echo", headers=scene.token, timeout=PATIENT_S).status_code == 200
    status, _ = scene.lab.request("DELETE", f"genops/v1/opened-ports/gpu/{scene.port}")
    assert status == 204 and httpx.get(f"{address}echo", headers=scene.token).status_code == 404
