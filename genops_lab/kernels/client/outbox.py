"""Keep what clients send to a kernel until its keeper has it; requests that wait for a host are also in a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.frames import ProtocolError
from genops_lab.agent.records import (
    HELLO,
    MESSAGE,
    SHELL,
    RecordReader,
    body,
    json_record,
    pack,
    record,
    unpack,
)

from ...core.paths import private_dir

#: While more than this waits, nothing is read from the clients.
_MUCH_BYTES = 256 * 1024 * 1024
_DRAIN_ABOVE_BYTES = 65536
#: Requests of a program that was killed while it waited: no Lab comes for them.
_KEPT_S = 30 * 86400.0

log = logging.getLogger("genops_lab")


class WaitingRequests:
    """The requests that wait for one kernel's host, in a private file: a Lab that ends leaves them to the next one.

    The file has records, as the keeper gets them: HELLO with the name of each client that had the requests, and a
    MESSAGE for each request. An append is written at once and not synced to disk: a killed process loses nothing, a
    power failure may lose the last requests. Belongs to the links' loop.
    """

    def __init__(self, folder: Path, kernel_id: str, client: str) -> None:
        self._file = folder / kernel_id
        self._client = client
        self._is_there = False
        #: the clients that had these requests before
        self.earlier: list[str] = []

    @staticmethod
    def folder(data_dir: Path) -> Path:
        """Return the folder of these files, without those that no Lab has come for in 30 days."""
        folder = private_dir(private_dir(data_dir / "remote") / "waiting")
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process of this user was first
                if path.stat().st_mtime < time.time() - _KEPT_S:
                    path.unlink()
        return folder

    def load(self) -> list[bytes]:
        """Return the payloads of the requests that the last Lab left, in order. A torn last record is none."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return []
        self._is_there = True
        found = []
        try:
            for kind, _, payload in RecordReader((HELLO, MESSAGE)).feed(data):
                if kind == HELLO:
                    self.earlier.append(str(body(payload)["client"]))
                else:
                    found.append(pack(*unpack(payload)))
        except (ProtocolError, ValueError, KeyError) as error:
            log.warning(
                "The requests that wait for a kernel could not be read from %s: %s", self._file, error
            )
        return found

    def write(self, payloads: Iterable[bytes]) -> None:
        """Write the file anew, whole or not at all."""
        temporary = self._file.with_name(f"{self._file.name}.new")
        clients = [*self.earlier, self._client]
        with open(temporary, "wb", opener=_private) as stream:
            stream.writelines(json_record(HELLO, {"client": client}) for client in clients)
            stream.writelines(record(MESSAGE, 0, payload) for payload in payloads)
        temporary.replace(self._file)
        self._is_there = True

    def append(self, payload: bytes) -> None:
        """Add a request."""
        with open(self._file, "ab", opener=_private) as stream:
            stream.write(record(MESSAGE, 0, payload))

    def remove(self) -> None:
        """No request waits; harmless where there is no file."""
        if self._is_there:
            self._file.unlink(missing_ok=True)
            self._is_there = False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Outbox:
    """The clients' messages until the keeper has them. Calls ``crowded(bool)`` when many messages begin or cease to
    wait. ``waiting`` is the file for requests that wait for the kernel's host."""

    def __init__(self, crowded: Callable[[bool], None], waiting: WaitingRequests) -> None:
        self._crowded = crowded
        self._waiting = waiting
        #: whether requests are written to the file too, and how many of the oldest ones here stand in it
        self._keeps = False
        self._in_file = 0
        #: how many of the oldest ones here have the numbers that another Lab's client gave them
        self._loaded = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._full = False
        self._last = 0
        self._sent = 0
        self._channel: Channel | None = None
        self._sending: asyncio.Task[None] | None = None

    def put(self, channel: int, frames: list[bytes]) -> None:
        """Take a message; send it now if possible."""
        payload = pack(channel, time.time(), frames)
        self._last += 1
        self._kept.append((self._last, payload))
        self._bytes += len(payload)
        self._look_at_size()
        if self._keeps:
            self._write(lambda: self._waiting.append(payload))
        if self._channel is None or self._sending is not None:
            return
        if self._sent == self._last - 1 and len(payload) <= _DRAIN_ABOVE_BYTES:
            self._sent = self._last
            with contextlib.suppress(ChannelReset):  # cut: sent again on the next channel
                self._channel.write(record(MESSAGE, self._last, payload))
        else:
            self._sending = asyncio.get_running_loop().create_task(self._send(self._channel))

    def connect(self, channel: Channel, seen: int) -> None:
        """Use a channel to the keeper, which has the messages up to ``seen``."""
        self.disconnect()
        if self._loaded:
            self._continue_after(seen)
        self.seen(seen)
        self._channel = channel
        self._sent = seen
        if self._waits:
            self._sending = asyncio.get_running_loop().create_task(self._send(channel))

    def disconnect(self) -> None:
        """Handle the end of the channel."""
        self._channel = None
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def seen(self, seq: int) -> None:
        """Drop the messages up to ``seq``: the keeper has them."""
        while self._kept and self._kept[0][0] <= seq:
            self._bytes -= len(self._kept.popleft()[1])
            self._forget(1)
        self._look_at_size()

    def clear(self) -> None:
        """Drop the waiting messages: they were for a kernel that has ended."""
        self.disconnect()
        self._kept.clear()
        self._bytes = 0
        self._look_at_size()
        self._keeps = False
        self._forget(self._in_file)

    def take_back(self, chosen: Callable[[list[bytes]], bool]) -> list[list[bytes]]:
        """Remove and return waiting messages; not once a keeper had any."""
        split = [(payload, unpack(payload)[2]) for _, payload in self._kept]
        taken = [frames for _, frames in split if chosen(frames)]
        if taken:
            self._kept = deque((0, payload) for payload, frames in split if not chosen(frames))
            self._bytes = sum(len(payload) for _, payload in self._kept)
            self.renumber()
            self._look_at_size()
            if self._keeps:
                self._write_all()
        return taken

    # Requests that wait for the kernel's host

    @property
    def continues(self) -> list[str]:
        """The names of the clients that had the loaded requests before."""
        return self._waiting.earlier

    def load_waiting(self) -> list[list[bytes]]:
        """Take the requests that the user's last Lab left in the file; returns their frames."""
        payloads = self._waiting.load()
        if not payloads:
            self._waiting.remove()
            return []
        self._kept = deque(enumerate(payloads, start=1))
        self._last = self._loaded = self._in_file = len(payloads)
        self._bytes = sum(len(payload) for payload in payloads)
        self._look_at_size()
        self._write_all()  # the next Lab has to know that this one had them
        return [frames for channel, _, frames in map(unpack, payloads) if channel == SHELL]

    def waiting(self) -> list[list[bytes]]:
        """The messages to the kernel's shell that wait, oldest first."""
        return [
            frames
            for channel, _, frames in (unpack(payload) for _, payload in self._kept)
            if channel == SHELL
        ]

    def keep_waiting(self, keep: bool = True) -> None:
        """Write what waits, and what comes, to the file too; or no more, as the kernel is there. The file is removed
        when the keeper has all that stands in it."""
        self._keeps = keep
        if keep:
            self._write_all()
        else:
            self._forget(0)

    def _write_all(self) -> None:
        self._write(lambda: self._waiting.write(payload for _, payload in self._kept))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._in_file = len(self._kept)
        except OSError as error:  # a full disk, say: the requests wait in this process alone
            log.warning("Requests that wait for a kernel are lost if this Lab ends: %s", error)
            self._keeps = False
            self._forget(self._in_file)

    def _forget(self, count: int) -> None:
        """The oldest requests need the file no more."""
        self._in_file = max(self._in_file - count, 0)
        if not self._in_file and not self._keeps:
            self._waiting.remove()

    def _continue_after(self, seen: int) -> None:
        """The keeper has loaded requests up to ``seen``, and maybe more that the last Lab sent: count on from there."""
        kept = [payload for number, payload in self._kept if number > min(seen, self._loaded)]
        self._forget(len(self._kept) - len(kept))
        self._kept = deque(enumerate(kept, start=seen + 1))
        self._last, self._bytes = seen + len(kept), sum(map(len, kept))
        self._loaded = 0

    def renumber(self) -> None:
        """Count from 1 for a new kernel; messages since the end of the old one are for it."""
        self.disconnect()
        self._kept = deque((number, payload) for number, (_, payload) in enumerate(self._kept, start=1))
        self._last = len(self._kept)
        self._sent = self._loaded = 0

    @property
    def _waits(self) -> bool:
        """Return whether a message waits. A message that a killed keeper had taken is not kept."""
        return bool(self._kept) and self._kept[-1][0] > self._sent

    async def _send(self, channel: Channel) -> None:
        try:
            while self._waits:
                first = self._kept[0][0]
                seq, payload = self._kept[max(self._sent + 1 - first, 0)]
                self._sent = seq
                channel.write(record(MESSAGE, seq, payload))
                await channel.drain()
        except ChannelReset:
            return  # cut: sent again on the next channel
        finally:
            if self._channel is channel:
                self._sending = None

    def _look_at_size(self) -> None:
        full = self._bytes > _MUCH_BYTES
        if full != self._full:
            self._full = full
            self._crowded(full)
