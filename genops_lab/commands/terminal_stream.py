"""Carry a shell of a host to this terminal, key by key."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Any

from genops_lab.agent.programs import LENGTH
from genops_lab.agent.terminals import RECORD, SIZE, SIZES, TYPED

_PORTION_BYTES = 65536


def carry_shell(path: str, title: str) -> dict[str, Any] | None:
    """Return how the shell at the unix socket ``path`` ended, as the agent says; None where it was cut off."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stream:
        stream.connect(path)
        _write(f"\x1b]0;{title}\x07".encode())
        with _raw(), _resizes() as resized:
            return _carry(stream, resized)


def size() -> tuple[int, int]:
    """Return the rows and columns of this terminal."""
    packed = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return rows or 24, columns or 80


def _carry(stream: socket.socket, resized: int) -> dict[str, Any] | None:
    received, typing = b"", [sys.stdin.fileno()]
    while True:
        ready, _, _ = select.select([stream, resized, *typing], [], [])
        try:
            if resized in ready:
                os.read(resized, 512)
                stream.sendall(RECORD.pack(SIZE, SIZES.size) + SIZES.pack(*size()))
            if sys.stdin.fileno() in ready:
                typed = os.read(sys.stdin.fileno(), _PORTION_BYTES)
                if typed:
                    stream.sendall(RECORD.pack(TYPED, len(typed)) + typed)
                else:  # this terminal is gone
                    stream.shutdown(socket.SHUT_WR)
                    typing = []
            data = stream.recv(_PORTION_BYTES) if stream in ready else None
        except OSError:
            return None
        if data is None:
            continue
        received = _show(received + data)
        if not data:
            # After a length of 0 comes the ending, up to the end of the stream.
            return _ending(received)


def _show(received: bytes) -> bytes:
    """Write the whole pieces of output to the terminal. Return the rest."""
    while len(received) >= LENGTH.size:
        length = LENGTH.unpack_from(received)[0]
        if not length or len(received) < LENGTH.size + length:
            break
        _write(received[LENGTH.size : LENGTH.size + length])
        received = received[LENGTH.size + length :]
    return received


def _ending(received: bytes) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(received[LENGTH.size :])
    except ValueError:
        return None
    return found


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Pass keys on as they are pressed, Ctrl-C too."""
    before = termios.tcgetattr(sys.stdin.fileno())
    tty.setraw(sys.stdin.fileno(), termios.TCSADRAIN)  # what was typed before is kept
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resizes() -> Iterator[int]:
    """Yield a descriptor that has something to read after each change of the terminal's size."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    former_wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    former = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        yield read
    finally:
        signal.signal(signal.SIGWINCH, former)
        signal.set_wakeup_fd(former_wakeup)
        os.close(read)
        os.close(write)
