"""Keep ipykernel from dropping its messages, and from sending large ones. Runs in a kernel's process before
ipykernel.

Its source is part of the kernel's command. ipykernel's iopub socket has ZMQ's default limit of 1,000 waiting
messages and drops later ones, however fast the keeper takes them. And all that a cell has printed within a
fifth of a second becomes one message. Then 100 MB are complete in each process before the next one gets a
byte, and an interrupted cell ends only when all of its output was sent.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
from collections import deque
from typing import Any, Deque, Iterator, Tuple

import zmq

#: Characters of printed text in one message.
PIECE = 250_000
#: The most messages; above this they become larger. ipykernel's sending thread passes each to itself over a
#: pipe for some 1,000, and would wait for ever at the next.
MOST_PIECES = 100
#: Characters after which printed text is sent at once.
SOON = 1_000_000


def lift_bound() -> None:
    """Apply to the first publishing socket, which is ipykernel's; the user's own are left alone."""
    whole = zmq.Context.socket

    def socket(self: Any, socket_type: int, *args: Any, **kwargs: Any) -> Any:
        made = whole(self, socket_type, *args, **kwargs)
        if socket_type in (zmq.PUB, zmq.XPUB):
            zmq.Context.socket = whole  # type: ignore[method-assign]
            made.setsockopt(zmq.SNDHWM, 0)
        return made

    zmq.Context.socket = socket  # type: ignore[method-assign]


def send_in_pieces(stream: Any) -> None:
    """``stream``: ipykernel's ``OutStream``. A stream that works in another way is left alone."""
    if hasattr(stream, "_flush_buffers"):
        _cut_texts(stream)
        _send_soon(stream)
    elif hasattr(stream, "_flush_buffer"):  # ipykernel 6
        _flush_often(stream)
        _send_soon(stream)


def _send_soon(stream: Any) -> None:
    whole, flush = stream.write, stream._flush

    def write(self: Any, string: str) -> Any:
        written = whole(self, string)
        mine = self.__dict__
        mine["_genops_unsent"] = mine.get("_genops_unsent", 0) + len(string)
        if (
            mine["_genops_unsent"] >= SOON
            and not mine.get("_genops_asked")
            and os.getpid() == self._master_pid
        ):
            mine["_genops_asked"] = True
            self.pub_thread.schedule(self._flush)
        return written

    def flush_all(self: Any) -> None:
        self.__dict__.update(_genops_unsent=0, _genops_asked=False)
        flush(self)

    stream.write, stream._flush = write, flush_all


def _pieces(text: str) -> Iterator[str]:
    size = max(PIECE, -(-len(text) // MOST_PIECES))
    return (text[start : start + size] for start in range(0, len(text), size))


def _cut_texts(stream: Any) -> None:
    whole = stream._flush_buffers

    def pieces(self: Any) -> Iterator[Tuple[Any, str]]:
        for parent, text in whole(self):
            # A hook that keeps a message ends the loop over these.
            for piece in (text,) if self._hooks else _pieces(text):
                yield parent, piece

    stream._flush_buffers = pieces


def _flush_often(stream: Any) -> None:
    whole, flush = stream._flush_buffer, stream._flush

    def waiting(self: Any) -> "Deque[str]":
        found: "Deque[str]" = self.__dict__.setdefault("_genops_waiting", deque())
        return found

    def piece(self: Any) -> str:
        pieces = waiting(self)
        if not pieces:
            pieces.extend(_pieces(whole(self)))
        return pieces.popleft() if pieces else ""

    def flush_all(self: Any) -> None:
        flush(self)
        while waiting(self):
            flush(self)

    stream._flush_buffer, stream._flush = piece, flush_all


def start() -> None:
    """Run as ``python -m ipykernel_launcher``."""
    lift_bound()
    with contextlib.suppress(ImportError, AttributeError):  # the launcher reports what is missing
        send_in_pieces(importlib.import_module("ipykernel.iostream").OutStream)
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
