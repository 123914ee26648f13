"""An ``agent attach`` of the test's own, in a state folder of its own, and a client of a kernel behind it."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from genops_lab.agent import records, wire
from genops_lab.agent.channels import Channel
from genops_lab.agent.frames import PreambleReader
from genops_lab.agent.mux import Mux, StreamEnded
from genops_lab.agent.statefile import read_state

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 60.0
KEY = "0123456789abcdef"


class Host:
    """One connection to the agent on this machine."""

    def __init__(
        self, process: asyncio.subprocess.Process, mux: Mux, hello: dict[str, Any], home: Path
    ) -> None:
        self.process = process
        self.mux = mux
        self.hello = hello
        self.home = home

    async def call(self, method: str, **params: Any) -> Any:
        """Raises ChannelReset."""
        channel = self.mux.open("call", {"method": method, "params": params}, urgent=True)
        channel.write_eof()
        answer = b""
        while piece := await asyncio.wait_for(channel.read(), TIMEOUT_S):
            answer += piece
        return json.loads(answer.splitlines()[-1])["result"]

    async def start(self, kernel_id: str = "", **params: Any) -> dict[str, Any]:
        """kernels.start with what every test needs."""
        given: dict[str, Any] = {
            "kernel_id": kernel_id or str(uuid.uuid4()),
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "env": {"IPYTHONDIR": str(self.home / "ipython")},
            "cwd": str(self.home),
            "key": KEY,
            "name": "python3",
            "notebook": "a.ipynb",
            "owner": "tests",
            "lease": {"seconds": 0},
            **params,
        }
        info: dict[str, Any] = await self.call("kernels.start", **given)
        return info

    def kernel(self, kernel_id: str, **hello: Any) -> KernelClient:
        """A client of the kernel, over a channel of this connection."""
        return KernelClient(self.mux.open("kernel", {"kernel_id": kernel_id}), **hello)


class KernelClient:
    """What a Lab's bridge does, in short. ``messages``: (seq, channel, frames) in the order they came."""

    def __init__(
        self, channel: Channel, client: str = "", after: int = 0, key: str = KEY, **hello: Any
    ) -> None:
        self.channel = channel
        self.client = client or uuid.uuid4().hex
        self.key = key.encode()
        self.signer = wire.Signer(key, "hmac-sha256")
        self.sent = 0
        self.seen = 0
        self.last = after
        self.welcome: dict[str, Any] = {}
        self.end: tuple[int, dict[str, Any]] | None = None
        self.messages: list[tuple[int, int, list[bytes]]] = []
        self._said: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._replied: set[str] = set()
        self._idle: set[str] = set()
        self._records = records.RecordReader()
        said = {
            "client": self.client,
            "after": after,
            "incarnation": "",
            "takeover": False,
            "label": "me@here",
        }
        channel.write(records.json_record(records.HELLO, {**said, **hello}))

    async def until(self, found: Callable[[], Any]) -> Any:
        """Read until ``found`` is true; its value."""

        async def read() -> Any:
            while not (value := found()):
                data = await self.channel.read(262144)
                if not data:
                    raise EOFError("The keeper closed the channel.")
                self._take(data)
            return value

        return await asyncio.wait_for(read(), TIMEOUT_S)

    def _take(self, data: bytes) -> None:
        for kind, seq, payload in self._records.feed(data):
            if kind == records.RECORD:
                assert seq > self.last, "twice, or out of order"
                self.last = seq
                channel, _, frames = records.unpack(payload)
                self.messages.append((seq, channel, frames))
                self._parse(channel, frames)
            elif kind == records.SEEN:
                self.seen = seq
            elif kind == records.WELCOME:
                self.welcome = json.loads(payload)
            else:
                self.end = kind, json.loads(payload)

    async def welcomed(self) -> KernelClient:
        await self.until(lambda: self.welcome)
        return self

    def follow(self, earlier: KernelClient) -> None:
        """Go on where ``earlier``, of the same client, was cut."""
        self.messages = earlier.messages
        self.sent = earlier.sent
        self._said, self._replied, self._idle = earlier._said, earlier._replied, earlier._idle

    def send(
        self, kind: str, content: dict[str, Any], channel: int = records.SHELL, cell_id: str = ""
    ) -> str:
        """A request (of the notebook's cell with this id); its message id."""
        frames = [b"client-ident", *self.signer.request(kind, content)]
        if cell_id:
            frames[5] = json.dumps({"cellId": cell_id}).encode()
            frames[2] = hmac.new(self.key, b"".join(frames[3:]), "sha256").hexdigest().encode()
        self.sent += 1
        payload = records.pack(channel, 0.0, frames)
        self.channel.write(records.record(records.MESSAGE, self.sent, payload))
        return str(json.loads(frames[3])["msg_id"])

    def execute(self, code: str, cell_id: str = "") -> str:
        """An execute_request; its message id."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content = {**content, "allow_stdin": False, "stop_on_error": True}
        return self.send("execute_request", content, cell_id=cell_id)

    def _parse(self, channel: int, frames: list[bytes]) -> None:
        start = wire.after_delimiter(frames)
        if start is None:
            return
        kind, content = json.loads(frames[start])["msg_type"], json.loads(frames[start + 3])
        parent = json.loads(frames[start + 1]).get("msg_id", "")
        self._said.setdefault(parent, []).append((kind, content))
        if kind == "execute_reply":
            self._replied.add(parent)
        if content.get("execution_state") == "idle":
            self._idle.add(parent)

    def said(self, msg_id: str) -> list[tuple[str, dict[str, Any]]]:
        """(type, content) of what came in answer to a request."""
        return self._said.get(msg_id, [])

    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(frames[0]) for _, channel, frames in self.messages if channel == records.NOTE]

    def text(self, msg_id: str) -> str:
        """What a request printed."""
        return "".join(content["text"] for kind, content in self.said(msg_id) if kind == "stream")

    def is_done(self, msg_id: str) -> bool:
        return msg_id in self._replied and msg_id in self._idle

    async def done(self, msg_id: str) -> None:
        """Until the reply and the idle state have come."""
        await self.until(lambda: self.is_done(msg_id))

    def acknowledge(self, seq: int | None = None) -> None:
        self.channel.write(records.record(records.ACK, self.last if seq is None else seq))


@asynccontextmanager
async def attached(
    home: Path, python: str = sys.executable, command: list[str] | None = None, **environment: str
) -> AsyncIterator[Host]:
    """The agent, attached; ``home`` holds its state."""
    env = {**os.environ, "GENOPS_AGENT_STATE": str(home / "state"), **environment}
    process = await asyncio.create_subprocess_exec(
        *(command or [python, "-m", "genops_lab.agent", "attach"]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=env,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    found = None
    greeting = PreambleReader()
    while found is None:
        data = await asyncio.wait_for(process.stdout.read(65536), TIMEOUT_S)
        assert data, "the agent ended"
        found = greeting.feed(data)
    hello, rest = found
    reader = _Prefixed(rest, process.stdout)
    mux = Mux(reader, process.stdin, odd=True, accept=lambda channel: channel.reset("no", "no"))
    running = asyncio.ensure_future(mux.run())
    try:
        yield Host(process, mux, hello, home)
    finally:
        mux.close()
        process.stdin.close()
        await asyncio.wait([running], timeout=TIMEOUT_S)
        with suppress(StreamEnded):
            await running
        try:
            await asyncio.wait_for(process.wait(), TIMEOUT_S)
        except asyncio.TimeoutError:
            process.kill()
            raise


class _Prefixed:
    """A reader whose first bytes were read already."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        self._first = first
        self._reader = reader

    async def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or await self._reader.read(size)


def end_all(home: Path) -> None:
    """End what tests have left: kernels and keepers of this state folder, by their pids."""
    root = home / "state" / "kernels"
    for folder in root.iterdir() if root.is_dir() else ():
        state = read_state(str(folder)) or {}
        for pid, leads in ((state.get("pid"), True), (state.get("keeper_pid"), False)):
            if not pid:
                continue
            try:
                (os.killpg if leads else os.kill)(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
