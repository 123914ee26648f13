"""Answer the calls of :mod:`.worker` in threads. Without asyncio the child starts 40 ms sooner."""

from __future__ import annotations

import functools
import gc
import importlib
import os
import struct
import sys
import threading
import traceback
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from .call_progress import CallCancelled, RunningCall
from .errors import Failed, GenOpsError, Unavailable

LENGTH = struct.Struct(">I")
#: The method of a call that cancels the call with the same id.
CANCEL = ""
#: The status of a reply that tells progress; the call goes on.
TOLD = 102
encoder = msgspec.msgpack.Encoder(enc_hook=str)


class Call(msgspec.Struct, array_like=True):
    """A call of a method of a backend (``module:Class``)."""

    id: int
    backend: str
    method: str
    arguments: dict[str, Any]


class Reply(msgspec.Struct, array_like=True):
    """The result of a call, or the ErrorInfo of its error."""

    id: int
    ok: bool
    value: msgspec.Raw
    status: int = 0


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


class _Child:
    """The backends of one child, each created at its first call."""

    def __init__(self, stdin: typing.BinaryIO, stdout: typing.BinaryIO) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._config = msgspec.json.decode(os.environ.pop("GENOPS_WORKER_CONFIG", "{}"))
        self._backends: dict[str, Any] = {}
        self._building, self._writing = threading.Lock(), threading.Lock()
        self._calls: dict[int, RunningCall] = {}

    def serve(self) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            while True:
                head = self._stdin.read(LENGTH.size)
                if len(head) < LENGTH.size:
                    return
                payload = self._stdin.read(LENGTH.unpack(head)[0])
                call = msgspec.msgpack.decode(payload, type=Call)
                if call.method == CANCEL:
                    running = self._calls.get(call.id)
                    if running is not None:
                        running.cancelled = True
                    continue
                self._calls[call.id] = self._running(call.id)
                pool.submit(self._answer, call)

    def _backend(self, place: str) -> Any:
        with self._building:
            if place not in self._backends:
                module, _, name = place.partition(":")
                self._backends[place] = getattr(importlib.import_module(module), name)(**self._config)
                # What it imported stays: to look through mlflow's objects for garbage takes 100 ms of a later answer.
                gc.freeze()
            return self._backends[place]

    def _running(self, id: int) -> RunningCall:
        return RunningCall(lambda done: self._send(Reply(id, True, msgspec.Raw(encoder.encode(done)), TOLD)))

    def _answer(self, call: Call) -> None:
        try:
            with self._calls[call.id].in_this_thread():
                method = getattr(self._backend(call.backend), call.method)
                hints = _hints(method.__func__)
                arguments = {
                    key: msgspec.convert(value, hints.get(key, Any)) for key, value in call.arguments.items()
                }
                reply = Reply(call.id, True, msgspec.Raw(encoder.encode(method(**arguments))))
        except CallCancelled:
            gone = Unavailable("The call was cancelled.", code="cancelled")
            reply = Reply(call.id, False, msgspec.Raw(encoder.encode(gone.info())), gone.status)
        except GenOpsError as error:
            reply = Reply(call.id, False, msgspec.Raw(encoder.encode(error.info())), error.status)
        except Exception as error:  # a boundary between processes: the caller gets a GenOpsError
            traceback.print_exc(file=sys.stderr)
            failed = Failed(
                f"{call.method}: {type(error).__name__}: {error}",
                code="unexpected",
                hint="The log of JupyterLab has the details.",
            )
            reply = Reply(call.id, False, msgspec.Raw(encoder.encode(failed.info())), failed.status)
        finally:
            del self._calls[call.id]
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        payload = encoder.encode(reply)
        with self._writing:
            self._stdout.write(LENGTH.pack(len(payload)) + payload)
            self._stdout.flush()


def main() -> None:
    """Serve calls until the standard input ends."""
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the prints of libraries must not mix with the frames
    _Child(stdin, stdout).serve()


if __name__ == "__main__":
    main()
