"""A host that sends nonsense: the Lab goes on, the kernel is not given up, nothing of it reaches a client."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from genops_lab.agent import records
from genops_lab.agent.channels import Channel
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.models import TargetPolicy
from genops_lab.hosts.providers import route_of
from genops_lab.kernels.client.client import RemoteKernelClient
from genops_lab.kernels.remote_kernels import RemoteKernels
from tests.kernels.fake_host import FakeHost
from tests.kernels.places import DEADLINE_S, Collector, wait

WELCOME = {"incarnation": "i", "last_seq": 0, "acked_seq": 0, "seen": 0, "key": "key"}


def record(seq: int, channel: int, *frames: bytes) -> bytes:
    return records.record(records.RECORD, seq, records.pack(channel, 0.0, frames))


class Scene:
    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.links = HostConnections(folder, Nobody(), opener=self.host.open)
        route = route_of(target="gpu", kind="local")
        self.remote = RemoteKernels(
            self.links,
            lambda _name: SimpleNamespace(
                route=route, secrets=[], policy=TargetPolicy(), price_per_hour=None
            ),
        )
        self.served = 0
        self.nonsense: list[bytes] = []
        self.hangs_up = False
        self.host.kernel = self._kernel
        self.host.answer = lambda method, params: {"state": "running", "incarnation": "i"}
        self.tap = Collector()
        self.remote.on_open(lambda bridge: bridge.exchange.add_tap(self.tap))
        self.route = route

    async def _kernel(self, channel: Channel) -> None:
        self.served += 1
        hello = records.RecordReader((records.HELLO, records.MESSAGE, records.ACK))
        after = 0
        for _kind, _seq, payload in hello.feed(await channel.read()):
            after = json.loads(payload)["after"]
        channel.write(records.json_record(records.WELCOME, WELCOME))
        if self.nonsense:
            channel.write(self.nonsense.pop(0))
            if self.hangs_up:
                channel.write_eof()
        else:
            for seq in range(after + 1, 6):
                channel.write(record(seq, records.IOPUB, b"topic", b"%d" % seq))
        while await channel.read():
            pass

    def attach(self) -> RemoteKernelClient:
        return self.links.submit(self.remote.attach(self.route, "k")).result(DEADLINE_S)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("GENOPS_RUNTIME_DIR", str(tmp_path / "s"))
    found = Scene(tmp_path)
    yield found
    found.links.close()


NONSENSE: dict[str, bytes] = {
    "no record": os.urandom(64),
    "a kind that is not allowed": records.record(records.MESSAGE, 1, b""),
    "a record too large": records.HEADER.pack(records.RECORD, 1, records.MAX_RECORD_BYTES + 1),
    "a message cut off": records.record(records.RECORD, 1, b"\x00" * 5),
    "a reply without frames": record(1, records.SHELL),
    "an output without frames": record(1, records.IOPUB),
    "a note that is no note": record(1, records.NOTE, b"[]"),
    "a note without frames": record(1, records.NOTE),
    "a welcome that is a list": records.record(records.WELCOME, 0, b"[1]"),
    "a welcome with words for numbers": records.json_record(records.WELCOME, {"seen": "many"}),
    "an end that is no JSON": records.record(records.GONE, 0, b"{"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_ends_the_channel_and_no_more(scene: Scene, name: str) -> None:
    scene.nonsense = [NONSENSE[name]]
    bridge = scene.attach()
    wait(lambda: scene.served > 1 and bridge.state.state == "connected")
    wait(lambda: bridge.exchange.last == 5)
    assert bridge.exit_code is None
    outputs = [frames for _, channel, frames in scene.tap.records if channel == records.IOPUB and frames]
    assert [frames[1] for frames in outputs[-4:]] == [b"2", b"3", b"4", b"5"]


def test_random_bytes_do_no_harm(scene: Scene) -> None:
    dice = random.Random(7)
    pieces = [record(1, records.IOPUB, b"t", b"x"), records.json_record(records.WELCOME, WELCOME)]
    for _ in range(12):
        data = bytearray(dice.choice(pieces) * 2)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        scene.nonsense.append(bytes(data))
    scene.hangs_up = True  # what reads as the beginning of a long message would be waited for
    bridge = scene.attach()
    wait(lambda: not scene.nonsense or bridge.exit_code is not None)
    scene.nonsense.clear()
    wait(lambda: scene.links.submit(_alive()).result(DEADLINE_S))
    assert bridge.exit_code is None or bridge.state.reason


async def _alive() -> bool:
    return True


def test_clients_go_on_meanwhile(scene: Scene) -> None:
    bridge = scene.attach()
    scene.nonsense = [os.urandom(64)]
    context: zmq.Context[Any] = zmq.Context()
    try:
        socket = context.socket(zmq.REQ)
        socket.connect(f"ipc://{bridge.exchange.endpoints.ip}-4")
        for _ in range(5):
            socket.send(b"ping")
            assert socket.poll(DEADLINE_S * 1000) and socket.recv() == b"ping"
    finally:
        context.destroy(linger=0)
