"""Whatever happens between a keeper, its disk and a client: each record exactly once, in order, or a note says
that it was cut."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from genops_lab.agent import journal, records
from genops_lab.agent.journal import Journal
from genops_lab.agent.reader import JournalReader
from tests.support.exhaustive import examples

HEADER = b'{"msg_id": "1", "msg_type": "%s"}'


def message(number: int, output: bool, size: int) -> list[bytes]:
    kind = b"stream" if output else b"status"
    return [b"topic", b"<IDS|MSG>", b"sig", HEADER % kind, b"{}", b"{}", b"%d" % number + b"." * size]


class JournalMachine(RuleBasedStateMachine):
    """A keeper that appends, crashes and reopens; a client whose connection is cut at any byte."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_000_000.0
        self.numbers = 0
        self.said: dict[int, bytes] = {}  # seq -> payload, for records that the journal must give
        #: What may have been lost with a keeper whose disk was full: it comes as it was, or not at all.
        self.unsure: dict[int, bytes] = {}
        self.got: list[int] = []
        self.cut: list[tuple[int, int]] = []
        self.last_applied = 0
        self.acked = 0
        self.reader: JournalReader | None = None
        self.disk_takes = 1 << 40
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journal, "write_parts", self.write_parts)
        self.incoming = records.RecordReader([records.RECORD])

    def write_parts(self, descriptor: int, parts: Sequence[Any]) -> None:
        """A disk with room for so many bytes."""
        data = b"".join(parts)
        os.write(descriptor, data[: self.disk_takes])
        if len(data) > self.disk_takes:
            self.disk_takes = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        self.disk_takes -= len(data)

    @rule(room=st.sampled_from([0, 100, 700, 5000]))
    def disk_fills(self, room: int) -> None:
        self.disk_takes = room

    @rule()
    def disk_has_room(self) -> None:
        self.disk_takes = 1 << 40
        self.journal._next_try = 0.0

    @initialize(
        segment=st.sampled_from([200, 1000, 4000]),
        bound=st.sampled_from([2000, 20_000, 10_000_000]),
        tail=st.sampled_from([500, 4000, 100_000]),
        thins=st.booleans(),
    )
    def start(self, segment: int, bound: int, tail: int, thins: bool) -> None:
        self.limits: dict[str, Any] = {"segment_bytes": segment, "max_bytes": bound, "max_tail_bytes": tail}
        self.limits["thins"] = thins
        self.journal = self.opened()

    def opened(self) -> Journal:
        return Journal(self.folder.name, clock=lambda: self.now, **self.limits)

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.attach(True)
            self.send(1 << 30)
            self.disk_has_room()
            self.journal.note("last")
            self.send(1 << 30)
            self.everything_is_there()
            self.journal.close()
        self.patch.undo()
        self.folder.cleanup()

    @rule(
        batch=st.lists(st.tuples(st.booleans(), st.sampled_from([0, 10, 300, 3000])), min_size=1, max_size=12)
    )
    def append(self, batch: list[tuple[bool, int]]) -> None:
        messages = []
        for output, size in batch:
            self.numbers += 1
            self.now += 1
            frames = message(self.numbers, output, size)
            messages.append((records.IOPUB, self.now, frames))
            self.said[self.journal.last_seq + len(messages)] = records.pack(records.IOPUB, self.now, frames)
        self.journal.append(messages)

    @rule()
    def note(self) -> None:
        self.journal.note("lease", step="warned")

    @rule(resume=st.booleans())
    def attach(self, resume: bool) -> None:
        """The client is there again; it names the last record that it has applied."""
        self.incoming = records.RecordReader([records.RECORD])
        if self.reader is not None:
            self.reader.close()
        self.reader = self.journal.reader(self.last_applied if resume else min(self.last_applied, self.acked))

    @rule(limit=st.sampled_from([40, 150, 1000, 100_000]))
    def send(self, limit: int) -> None:
        """Up to ``limit`` bytes reach the client, then the connection may end within a record."""
        if self.reader is None:
            return
        while limit > 0 and (data := self.reader.read(min(limit, 1000))):
            limit -= len(data)
            for _, seq, payload in self.incoming.feed(data):
                self.receive(seq, payload)

    def receive(self, seq: int, payload: bytes) -> None:
        if seq <= self.last_applied:
            return
        self.last_applied = seq
        self.got.append(seq)
        channel, _, frames = records.unpack(payload)
        if channel == records.NOTE:
            note = json.loads(frames[0])
            if note["kind"] == "cut":
                self.cut.append((note["from_seq"], note["to_seq"]))
        else:
            assert payload in (self.said.get(seq), self.unsure.get(seq))

    @rule()
    def cut_connection(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    @rule(back=st.integers(0, 3))
    def acknowledge(self, back: int) -> None:
        self.acked = max(self.acked, self.last_applied - back)
        self.journal.acknowledge(self.acked)

    @rule(days=st.sampled_from([1, 8]))
    def days_pass(self, days: int) -> None:
        self.now += days * 86400
        self.journal.cut_old()

    @rule(torn=st.integers(0, 60), garbage=st.binary(max_size=40))
    def crash(self, torn: int, garbage: bytes) -> None:
        """The keeper dies; a write that was under way left something, or the disk nothing of its last record."""
        self.reader = None
        if self.journal.trouble:  # what the disk took neither itself nor as a note is gone with the memory
            unsure = {seq for seq, _ in self.journal._tail}
            for cut in (self.journal._lost, self.journal._cut, self.journal._unsure):
                unsure |= {seq for seq in self.said if cut.first <= seq <= cut.last}
            self.unsure.update({seq: self.said.pop(seq) for seq in unsure & set(self.said)})
        self.journal.close()
        newest = sorted(name for name in os.listdir(self.folder.name) if name.endswith(".rec"))[-1]
        path = os.path.join(self.folder.name, newest)
        with open(path, "ab") as stream:
            whole = records.record(records.RECORD, self.journal.last_seq + 1, garbage + bytes(60))
            stream.write(whole[: min(torn, len(whole) - 1)])
        acked = self.journal.acked_seq
        self.journal = self.opened()
        self.journal.acknowledge(acked)
        self.journal.skip_after_crash()

    @rule(claim=st.booleans(), torn=st.integers(0, 60))
    def evict(self, claim: bool, torn: int) -> None:
        """The pod is lost. On a claim, another pod serves the journal; else it is lost too, and the next kernel of
        this id counts anew."""
        if claim:
            self.crash(torn, b"")
            self.attach(True)
            return
        self.reader = None
        self.journal.close()
        self.folder.cleanup()
        self.folder = tempfile.TemporaryDirectory()
        self.said, self.unsure, self.got, self.cut = {}, {}, [], []
        self.last_applied = self.acked = 0
        self.journal = self.opened()

    @invariant()
    def in_order(self) -> None:
        if len(self.got) > 1:
            assert self.got[-1] > self.got[-2]

    def everything_is_there(self) -> None:
        got = set(self.got)
        assert len(got) == len(self.got)
        missing = [seq for seq in self.said if seq not in got]
        unexplained = [seq for seq in missing if not any(a <= seq <= b for a, b in self.cut)]
        assert not unexplained


TestJournalGivesExactlyOnce = JournalMachine.TestCase
TestJournalGivesExactlyOnce.settings = settings(
    max_examples=examples(150),
    report_multiple_bugs=False,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
