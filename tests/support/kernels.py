"""Kernels of a running JupyterLab, driven over its HTTP and websocket API as a notebook drives them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from tests.runtime.kernels import CELL_TIMEOUT_S, Cell

from .homes import Home
from .lab_server import LabServer


def register_kernel(home: Home, name: str, python: Path) -> None:
    """A kernel specification of the user's own for another interpreter, as ``ipykernel install --user`` does."""
    folder = home.path / "data" / "kernels" / name
    folder.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": argv, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")


class LabKernel:
    """The kernel of a notebook's session."""

    def __init__(self, server: LabServer, session: dict[str, Any]) -> None:
        self.server = server
        self.session_id = str(session["id"])
        self.id = str(session["kernel"]["id"])
        self._connect()

    def _connect(self) -> None:
        address = self.server.url.replace("http", "ws", 1) + f"api/kernels/{self.id}/channels"
        self._socket = websocket.create_connection(
            f"{address}?session_id={uuid.uuid4().hex}",
            header=[f"Authorization: token {self.server.token}"],
            timeout=CELL_TIMEOUT_S,
            skip_utf8_validation=True,  # it is plain Python: 0.2 s of CPU a MB; recv decodes strictly
        )

    def send(self, code: str, cell_id: str = "") -> str:
        """Run a cell (of the notebook's cell with this id) and do not wait."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": self.session_id,
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        metadata = {"cellId": cell_id} if cell_id else {}
        message = {"header": header, "parent_header": {}, "metadata": metadata, "content": content}
        self._socket.send(json.dumps({**message, "channel": "shell"}))
        return header["msg_id"]

    def _messages(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            yield json.loads(self._socket.recv())
        raise AssertionError(f"the kernel did not answer within {timeout_s:.0f} s")

    def finish(self, message_id: str, timeout_s: float = CELL_TIMEOUT_S) -> Cell:
        """Wait for the end of a cell."""
        said: list[dict[str, Any]] = []
        reply: dict[str, Any] | None = None
        idle = False
        for message in self._messages(timeout_s):
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["channel"] == "shell":
                reply = message["content"]
            else:
                said.append(message)
                state = message["content"].get("execution_state")
                idle = idle or (message["msg_type"] == "status" and state == "idle")
            if idle and reply is not None:
                return Cell(reply, said)
        raise AssertionError("unreachable")

    def wait_for_output(self, text: str, timeout_s: float = CELL_TIMEOUT_S) -> None:
        """Wait until a running cell prints ``text``."""
        for message in self._messages(timeout_s):
            if message["msg_type"] == "stream" and text in message["content"]["text"]:
                return

    def run(self, code: str, timeout_s: float = CELL_TIMEOUT_S, cell_id: str = "") -> Cell:
        """Run a cell to its end."""
        return self.finish(self.send(code, cell_id), timeout_s)

    def ok(self, code: str, cell_id: str = "") -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code, cell_id=cell_id)
        assert cell.status == "ok", (cell.reply, cell.stream("stderr"), self.server.log[-2000:])
        return cell

    def interrupt(self) -> None:
        """The stop button."""
        status, answer = self.server.request("POST", f"api/kernels/{self.id}/interrupt")
        assert status == 204, answer

    def restart(self) -> None:
        """The restart button; the connection is a new one afterwards."""
        status, answer = self.server.request("POST", f"api/kernels/{self.id}/restart")
        assert status == 200, answer
        self._socket.close()
        self._connect()

    def close(self) -> None:
        """Shut the notebook down."""
        self._socket.close()
        self.server.request("DELETE", f"api/sessions/{self.session_id}")


@contextmanager
def lab_kernel(
    server: LabServer, name: str = "python3", notebook: str = "lesson.ipynb"
) -> Iterator[LabKernel]:
    """A notebook's kernel, shut down afterwards."""
    body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": name}}
    status, session = server.request("POST", "api/sessions", body, timeout=90)
    assert status == 201, (session, server.log[-3000:])
    kernel = LabKernel(server, session)
    try:
        yield kernel
    finally:
        kernel.close()
