"""A page of a notebook whose kernel is on a target, played over the server's own HTTP and websocket API."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import websocket

from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab

from .notebooks import write_notebook

DEADLINE_S = 60.0
TARGET = "here"
KERNEL_NAME = f"genops-{TARGET}"
NOTEBOOK = "work.ipynb"
BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0"
T = TypeVar("T")


def eventually(look: Callable[[], T], good: Callable[[T], bool] = bool, timeout_s: float = DEADLINE_S) -> T:
    """What ``look`` saw when it was good; fails with what it saw last."""
    deadline, pause_s = time.monotonic() + timeout_s, 0.05
    while not good(found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout_s:.0f} s"
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.5)  # each look is a request: on a busy machine they would cost most
    return found


class Page:
    """A notebook's websocket, as JupyterLab has one; only with ``browser`` does it say that it is in one.

    One that is cut is opened again as the same client where ``reconnects``; ``cuts`` counts them."""

    def __init__(
        self, server: LabServer, kernel_id: str, *, browser: bool = False, reconnects: bool = False
    ) -> None:
        self.kernel_id = kernel_id
        self.cuts = 0
        self._reconnects = reconnects
        self._got: list[str] = []
        address = server.url.replace("http", "ws", 1) + f"api/kernels/{kernel_id}/channels"
        self._address = f"{address}?session_id={uuid.uuid4().hex}"
        self._header = [f"Authorization: token {server.token}", *([BROWSER] if browser else [])]
        self._open()

    def _open(self) -> None:
        self._socket = websocket.create_connection(
            self._address,
            header=self._header,
            timeout=DEADLINE_S,
            skip_utf8_validation=True,  # it is plain Python: 0.2 s of CPU a MB
        )

    def send(self, cell_id: str, code: str) -> str:
        """Run a cell and do not wait."""
        header = {
            "msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "page",
            "version": "5.3",
        }  # fmt: skip
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {"cellId": cell_id}, "content": content}
        self._socket.send(json.dumps({**message, "channel": "shell"}))
        return header["msg_id"]

    def until(self, seen: Callable[[dict[str, Any]], bool], timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The first message that ``seen`` accepts."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                kind, data = self._socket.recv_data(control_frame=True)  # pings count as time too
            except websocket.WebSocketTimeoutException:
                break
            except (websocket.WebSocketConnectionClosedException, ConnectionError):
                if not self._reconnects:
                    raise
                self.cuts += 1
                self._open()
                continue
            if kind not in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                continue
            message = json.loads(data.decode())
            self._got.append(f"{message['channel']} {message['msg_type']}")
            if seen(message):
                return message
        raise AssertionError(f"nothing like that within {timeout_s:.0f} s, but {self._got[-50:]}")

    def printed(self, text: str) -> None:
        """Wait until a cell prints something."""
        self.until(lambda message: text in str(message["content"].get("text", "")))

    def reply(self, msg_id: str) -> dict[str, Any]:
        """The reply of a run."""
        message = self.until(
            lambda each: each["channel"] == "shell" and each["parent_header"].get("msg_id") == msg_id
        )
        return dict(message["content"])

    def run(self, cell_id: str, code: str) -> dict[str, Any]:
        """Run a cell to its reply."""
        return self.reply(self.send(cell_id, code))

    def close(self) -> None:
        """The page is gone, the laptop closed."""
        self._socket.close()


class Labs:
    """JupyterLabs of one user, one after the other; ``kernel_name`` is what notebooks are opened with."""

    def __init__(self, home: Home, kernel_name: str, *arguments: str) -> None:
        self.home = home
        self.kernel_name = kernel_name
        self.arguments = [*_STRICT, *arguments]
        self.server = start_lab(home, arguments=self.arguments)

    @property
    def notebook(self) -> Any:
        """The notebook's file."""
        return self.home.work / NOTEBOOK

    def write_notebook(self, sources: dict[str, str]) -> None:
        """Put it on disk."""
        write_notebook(self.notebook, sources)

    def open(self, path: str = NOTEBOOK) -> dict[str, Any]:
        """Start the notebook's session."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": self.kernel_name}}
        status, session = self.server.request("POST", "api/sessions", body, timeout=90)
        assert status == 201, (session, self.server.log[-3000:])
        return dict(session)

    def page(self, kernel_id: str, *, browser: bool = False) -> Page:
        """A page of a kernel."""
        return Page(self.server, kernel_id, browser=browser)

    def kill(self) -> None:
        """kill -9, of the server alone: its kernels are others' children."""
        self.server.process.kill()
        self.server.process.wait(30)

    def stop(self) -> None:
        """SIGTERM, as a service manager or a hub does."""
        self.server.stop(signal.SIGTERM)

    def start_again(self, *, left_to_page_s: float = 2.0) -> None:
        """The next Lab, at the same address. ``left_to_page_s``: how long it waits for pages before it writes."""
        arguments = list(self.arguments)
        if not any(_LEFT_TO_PAGE in each for each in arguments):
            arguments.append(f"{_LEFT_TO_PAGE}={left_to_page_s}")
        self.server = start_lab(self.home, after=self.server, arguments=arguments)

    def executions(self, kernel_id: str) -> dict[str, Any]:
        """What a page of ours asks for."""
        return dict(self.server.get(f"genops/kernels/{kernel_id}/executions"))

    def save(self, change: Callable[[Any], None]) -> None:
        """Save the notebook as a page does."""
        import nbformat

        notebook = nbformat.read(self.notebook, as_version=4)
        change(notebook)
        body = {"type": "notebook", "format": "json", "content": notebook}
        status, answer = self.server.request("PUT", f"api/contents/{NOTEBOOK}", body)
        assert status == 200, answer

    def has_seen(self, path: Path) -> bool:
        """Whether the Lab remembers a notebook as it is on disk now."""
        now = hashlib.sha256(path.read_bytes()).hexdigest()
        with contextlib.closing(sqlite3.connect(self.home.data / "store.db")) as store:
            rows = store.execute(
                "SELECT file_hash FROM remote_kernels WHERE path = ?", (path.name,)
            ).fetchall()
        return rows == [(now,)]

    def tidy(self) -> None:
        """End every session and kernel and remove the notebooks, for the next test."""
        for session in self.server.get("api/sessions"):
            assert self.server.request("DELETE", f"api/sessions/{session['id']}", timeout=90)[0] == 204
        for path in self.home.work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """End the server and what it started."""
        self.server.stop(signal.SIGTERM)
        for process in psutil.process_iter(["environ"]):
            with contextlib.suppress(psutil.Error):
                environ = process.info["environ"] or {}
                if environ.get("HOME") == str(self.home.path) and process.pid != os.getpid():
                    process.kill()


class RemoteLab(Labs):
    """With this machine as their target. While there is a file ``away``, no agent can be started there."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, KERNEL_NAME)
        self.away = home.path / "away"
        python = home.path / "python"
        python.write_text(f'#!/bin/sh\n[ -e "{self.away}" ] && exit 1\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        new = {"name": TARGET, "kind": "local", "python": str(python)}
        status, answer = self.server.request("POST", "genops/targets", new)
        assert status == 200, answer


_LEFT_TO_PAGE = "--GenOpsLab.outputs_left_to_page_s"
#: Jupyter's own limiter would drop at this rate on the slowest machine
_STRICT = ["--ServerApp.iopub_msg_rate_limit=20"]


@contextmanager
def a_remote_lab(home: Home) -> Iterator[RemoteLab]:
    """A Lab that is ended afterwards, with its kernels."""
    lab = RemoteLab(home)
    with ended_afterwards(lab):
        yield lab


@contextmanager
def ended_afterwards(lab: Labs) -> Iterator[None]:
    """For the time of a test."""
    try:
        yield
    finally:
        print(lab.server.log[-8000:])  # shown with a failure
        lab.close()
