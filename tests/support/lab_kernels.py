"""Kernels that a running Lab has started, spoken to on its machine: all of the Lab but the browser."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from .lab_server import LabServer


class LabKernel:
    """A kernel of the Lab's."""

    def __init__(self, server: LabServer, kernel_id: str) -> None:
        self.server, self.kernel_id = server, kernel_id
        self.connect()

    def connect(self) -> None:
        """Speak to the process that it is now."""
        self.client = BlockingKernelClient()
        self.client.load_connection_file(str(self.server.home.path / "run" / f"kernel-{self.kernel_id}.json"))
        self.client.start_channels(hb=False)
        deadline = time.monotonic() + 90
        while True:
            self.client.kernel_info()
            try:
                self.client.get_shell_msg(timeout=2)
                return
            except queue.Empty:
                assert time.monotonic() < deadline, self.server.log[-3000:]

    def act(self, verb: str) -> None:
        """``interrupt`` or ``restart`` it, as JupyterLab does."""
        status, answer = self.server.request("POST", f"api/kernels/{self.kernel_id}/{verb}", {})
        assert status in (200, 204), (status, answer, self.server.log[-3000:])

    def send(self, code: str) -> str:
        """Run a cell and do not wait."""
        return str(self.client.execute(code, allow_stdin=False))

    def reply(self, message_id: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """How a cell ended."""
        while True:
            message = self.client.get_shell_msg(timeout=timeout_s)
            if message["parent_header"].get("msg_id") == message_id:
                return dict(message["content"])

    def run(self, code: str) -> tuple[str, str]:
        """A cell that must succeed; what it printed, to standard output and to standard error."""
        said = {"stdout": "", "stderr": ""}

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                said[message["content"]["name"]] += message["content"]["text"]

        reply = self.client.execute_interactive(code, timeout=120, allow_stdin=False, output_hook=hear)
        assert reply["content"]["status"] == "ok", reply["content"]
        return said["stdout"], said["stderr"]


@contextmanager
def lab_kernel(server: LabServer, name: str) -> Iterator[LabKernel]:
    """A kernel of the kernelspec ``name``, ended politely."""
    status, made = server.request("POST", "api/kernels", {"name": name}, timeout=120)
    assert status == 201, (status, made, server.log[-3000:])
    kernel = LabKernel(server, made["id"])
    try:
        yield kernel
    finally:
        kernel.client.stop_channels()
        server.request("DELETE", f"api/kernels/{kernel.kernel_id}", timeout=60)
