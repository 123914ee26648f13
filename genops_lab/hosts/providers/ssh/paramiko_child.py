"""The process that holds SSH connections made by paramiko; started with one descriptor, FD.

It imports paramiko once and forks for each connection: a connection costs no start of Python, and a dozen of
them share their memory. The unix socket FD brings a pair of descriptors for each connection: the stream (its
bytes, nothing else) and the control (JSON lines). The process ends when that socket ends, which is when the
Lab's process ends. A connection's process ends with its control.

Control, Lab to child: the request ``{"hops", "folder", "command", "first_keys", "eager"}``, then answers
``{"answer": id, "text"}``. Child to Lab: ``{"event": "pid"|"question"|"up"|"error"|"stderr"|"ended", ...}``.
Secrets are in answers and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

import msgspec

from ...link.errors import CarrierEnded, LinkError
from .paramiko_session import Session
from .ssh_config import Hop

#: Seconds for the command's last output to arrive after its exit status.
_LAST_WORDS_S = 5.0
#: Bytes of the command's standard error that are reported.
_MAX_STDERR = 64 * 1024


class Control:
    """The JSON lines to and from the Lab. When they end, so does this process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._asked = 0
        self._stderr_bytes = 0
        self._lines = connection.makefile("rb")

    def request(self) -> dict[str, Any]:
        """Return the first line; the other lines are answers."""
        line = self._lines.readline()
        if not line:
            _leave()
        threading.Thread(target=self._read, daemon=True).start()
        found: dict[str, Any] = json.loads(line)
        return found

    def _read(self) -> None:
        for line in self._lines:
            self._answers.put(json.loads(line))
        _leave()

    def tell(self, event: str, **fields: Any) -> None:
        """Send one event."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(json.dumps({"event": event, **fields}).encode() + b"\n")

    def ask(
        self, *, kind: str, text: str, echo: bool = False, fingerprint: str = "", key_type: str = ""
    ) -> str | None:
        """Send a question for a person, and wait for the answer."""
        self._asked += 1
        self.tell(
            "question",
            id=self._asked,
            kind=kind,
            text=text,
            echo=echo,
            fingerprint=fingerprint,
            key_type=key_type,
        )
        while True:
            answer = self._answers.get()
            if answer["answer"] == self._asked:
                return answer["text"]  # type: ignore[no-any-return]

    def stderr(self, data: bytes) -> None:
        """Send what the command wrote to its standard error."""
        room = _MAX_STDERR - self._stderr_bytes
        if room > 0:
            self._stderr_bytes += len(data)
            self.tell("stderr", text=data[:room].decode(errors="replace"))


def serve(stream: socket.socket, control: Control) -> None:
    """Serve one connection, from the request to its end."""
    control.tell("pid", pid=os.getpid())
    request = control.request()
    hops = msgspec.convert(request["hops"], list[Hop])
    sent = False

    def data(piece: bytes) -> None:
        nonlocal sent
        sent = True
        stream.sendall(piece)

    for eager in (True, False) if request["eager"] else (False,):
        session = Session(hops, Path(request["folder"]), control.ask, request["first_keys"], eager=eager)
        try:
            channel = session.open(request["command"], data, control.stderr)
        except CarrierEnded as error:
            session.close()
            if eager and not sent and error.code == "not_opened":
                continue  # a server that accepts nothing before the login's end, or has its own channel numbers
            raise
        break
    transport = session.transport
    control.tell(
        "up",
        server=transport.remote_version,
        cipher=transport.local_cipher,
        eager=eager,
        taken=session.taken,
        banner=transport.auth_handler.banner,
        notes=session.notes,
    )
    threading.Thread(target=_upstream, args=(stream, channel), daemon=True).start()
    channel.status_event.wait()
    deadline = time.monotonic() + _LAST_WORDS_S
    while not channel.closed and transport.is_active() and time.monotonic() < deadline:
        time.sleep(0.01)
    exit_code = channel.exit_status if channel.exit_status >= 0 else None
    reason = "" if exit_code is not None else str(transport.get_exception() or "the host closed it")
    control.tell("ended", exit=exit_code, reason=reason)
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _upstream(stream: socket.socket, channel: Any) -> None:
    buffer = bytearray(1 << 18)
    view = memoryview(buffer)
    try:
        while count := stream.recv_into(buffer):
            channel.sendall(view[:count])
        channel.shutdown_write()
    except (OSError, EOFError):
        return  # the other direction reports the reason


def _connection(stream: socket.socket, connection: socket.socket) -> None:
    """Run a forked process. Never returns."""
    control = Control(connection)
    try:
        serve(stream, control)
    except LinkError as error:
        control.tell(
            "error",
            kind=type(error).code,
            code=error.code,
            message=error.message,
            hint=error.hint,
            details=error.details,
        )
    except Exception as error:  # the control reports the error, then this process ends
        control.tell(
            "error",
            kind=CarrierEnded.code,
            code=CarrierEnded.code,
            message=f"paramiko failed: {type(error).__name__}: {error}",
            hint="Set the target's Connection to the system's ssh (openssh), and report this.",
            details={},
        )
    finally:
        _leave()


def _leave() -> NoReturn:
    """End this process, from any thread, and its helpers such as a ProxyCommand."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def main(descriptor: int) -> None:
    """Fork for each pair of descriptors from the socket, until it ends."""
    requests = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended connections leave no zombies
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)  # the control reports errors
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, 1, 2)
        if not data:
            return
        stream, control = (socket.socket(fileno=number) for number in descriptors)
        if os.fork() == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _connection(stream, control)
        stream.close()
        control.close()
