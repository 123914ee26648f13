"""Files on a channel of the stream, either way: how bytes move between a Lab and a host.

What travels is JSON documents, and bytes of files between them. A document asks for something, or says what follows;
nothing waits for an answer before the next, so that many small files cost one round trip together.

Who takes a file knows its size before it comes. It comes in parts of one length, of which the last has what is left:
the bytes, then ``{"to": where in the file they end, "sha256": the hash of the file up to there}``.
``{"lost": why}`` stands for what cannot come. So each part is checked before it counts, and over another channel the
file goes on behind the last of them: who asks for it says from where. The parts of a deflated file are raw deflate
streams without an end, which joined are one stream.

:func:`outgoing` makes parts, :class:`Receiver` checks them, both without a channel; :class:`TransferChannel` carries
them.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any, BinaryIO, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from .channels import Channel
from .threads import in_thread

END, DOCUMENT, DATA = 0, 1, 2
HEADER = struct.Struct("!BI")
#: Of the file, for one part, which is one parcel; and of a file that is deflated on its way.
PART_BYTES, DEFLATED_PART_BYTES = 256 * 1024, 1024 * 1024
#: Deflate makes nothing longer than by so much.
MAX_PARCEL_BYTES = DEFLATED_PART_BYTES + DEFLATED_PART_BYTES // 64
_RAW_DEFLATE = -15
_PORTION_BYTES = 262144

Parcel = Tuple[int, bytes]


class BadTransfer(ValueError):
    """The other side sent what this protocol does not allow."""


class Damaged(BadTransfer):
    """A part is not what the sender has read, or what it goes on behind is another file's."""


class Lost(Exception):
    """The sender gave a file up. The words say why."""


# Parcels


def document(body: Dict[str, Any]) -> bytes:
    """A document as bytes. Raises BadTransfer for one that is too long."""
    payload = json.dumps(body, separators=(",", ":")).encode()
    if len(payload) > MAX_PARCEL_BYTES:
        raise BadTransfer(f"A document of {len(payload)} bytes is too long.")
    return HEADER.pack(DOCUMENT, len(payload)) + payload


def data(payload: bytes) -> bytes:
    """Bytes of a file as bytes."""
    return HEADER.pack(DATA, len(payload)) + payload


def read_document(payload: bytes) -> Dict[str, Any]:
    """Raises BadTransfer for what is no JSON object."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadTransfer("A document cannot be read.")
    return found


class TransferReader:
    """Takes bytes in any portions, gives whole parcels."""

    def __init__(self) -> None:
        self._held: List[bytes] = []
        self._size, self._wanted = 0, HEADER.size

    def feed(self, portion: bytes) -> Iterator[Parcel]:
        """The parcels that are complete now. Raises BadTransfer on an impossible header."""
        self._held.append(portion)
        self._size += len(portion)
        if self._size < self._wanted:
            return
        buffer = b"".join(self._held)
        offset, size, self._wanted = 0, len(buffer), HEADER.size
        try:
            while size - offset >= HEADER.size:
                kind, length = HEADER.unpack_from(buffer, offset)
                if kind not in (DOCUMENT, DATA) or length > MAX_PARCEL_BYTES:
                    raise BadTransfer(f"A parcel of kind {kind} with {length} bytes is not allowed.")
                end = offset + HEADER.size + length
                if size < end:
                    self._wanted = end - offset
                    break
                start, offset = offset + HEADER.size, end
                yield kind, buffer[start:end]
        finally:
            self._held, self._size = [buffer[offset:]], size - offset


# One file


class Part(NamedTuple):
    """A part of a file: ``payload`` as it came, ``raw`` as it is in the file."""

    payload: bytes
    raw: bytes


def outgoing(
    stream: BinaryIO,
    size: int,
    start: int = 0,
    *,
    deflate: bool = False,
    exact: bool = False,
    digest: Any = None,
) -> Iterator[bytes]:
    """What sends the bytes of a file from ``start`` up to ``size``. Blocks while it reads; raises ValueError.

    ``exact``: a file that has become longer is lost, not cut. ``digest``: the hash that is to see all bytes; it
    has seen those before ``start``, where the stream is.
    """
    if not 0 <= start <= size:
        raise ValueError(f"a file of {size} bytes has none from {start} on")
    at, part = start, DEFLATED_PART_BYTES if deflate else PART_BYTES
    try:
        digest = digest_of(stream, start) if digest is None else digest
        while True:
            raw = _read(stream, min(part, size - at), digest)
            at += len(raw)
            if at == size and exact and stream.read(1):
                raise Lost("It became longer meanwhile.")
            payload = _deflated(raw) if deflate and raw else raw
            told = document({"to": at, "sha256": digest.hexdigest()})
            # In one go, for a part is long.
            yield b"".join((HEADER.pack(DATA, len(payload)), payload, told)) if payload else told
            if at == size:
                return
    except Lost as lost:
        yield document({"lost": str(lost)})
    except OSError as error:
        yield document({"lost": error.strerror or str(error)})


def digest_of(stream: BinaryIO, size: int) -> Any:
    """The hash that has seen so many bytes of a file. Blocks; raises Lost where there are fewer, OSError."""
    digest, left = hashlib.sha256(), size
    while left:
        left -= len(_read(stream, min(PART_BYTES, left), digest))
    return digest


def _read(stream: BinaryIO, size: int, digest: Any) -> bytes:
    raw = stream.read(size)
    if len(raw) != size:
        raise Lost("It became shorter meanwhile.")
    digest.update(raw)
    return raw


def _deflated(raw: bytes) -> bytes:
    """A stream that ends at a byte and without an end: another one may follow it."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, _RAW_DEFLATE)
    return squeezer.compress(raw) + squeezer.flush(zlib.Z_SYNC_FLUSH)


class Receiver:
    """A file that comes, of ``size`` bytes: ``done`` are there and checked."""

    def __init__(self, size: int, *, deflated: bool = False) -> None:
        self.size = size
        self._deflated = deflated
        self.resume(0, hashlib.sha256())
        self._payload = b""

    def resume(self, done: int, digest: Any) -> None:
        """So much is there, which the hash has seen. Without one nothing is compared: it cannot be kept here."""
        self.done, self._digest = done, digest

    @property
    def whole(self) -> bool:
        """Whether the last part has come; an empty file has one."""
        return self.done == self.size

    @property
    def sha256(self) -> str:
        """The hash of what is there, in hexadecimal."""
        return str(self._digest.hexdigest())

    def begin(self) -> None:
        """What comes now is behind ``done``: a part that was cut off comes again."""
        self._payload = b""

    def take(self, payload: bytes) -> None:
        """The bytes of the part that comes. Raises BadTransfer where they are none or too many."""
        if (
            not payload
            or self._payload
            or len(payload) > (MAX_PARCEL_BYTES if self._deflated else self._next)
        ):
            raise BadTransfer("more bytes of a file came than it has, or none")
        self._payload = payload

    @property
    def _next(self) -> int:
        return min(DEFLATED_PART_BYTES if self._deflated else PART_BYTES, self.size - self.done)

    def part(self, told: Dict[str, Any]) -> Part:
        """The part whose document this is. Raises Lost; BadTransfer, after which ``done`` is as before."""
        payload = self._payload
        self.begin()
        if "lost" in told:
            raise Lost(str(told["lost"]))
        raw = _inflated(payload) if self._deflated and payload else payload
        end = self.done + len(raw)
        if len(raw) != self._next or told.get("to") != end:
            raise BadTransfer(f"{len(raw)} bytes behind {self.done} of {self.size} are no part")
        if self._digest is not None:
            digest = self._digest.copy()
            digest.update(raw)
            if told.get("sha256") != digest.hexdigest():
                raise Damaged(f"the bytes up to {end} have another hash than was said")
            self._digest = digest
        self.done = end
        return Part(payload, raw)


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        raw = inflater.decompress(payload, DEFLATED_PART_BYTES + 1)
    except zlib.error as error:
        raise BadTransfer(f"a part is not packed as it should be: {error}") from None
    if len(raw) > DEFLATED_PART_BYTES or inflater.unconsumed_tail or inflater.eof:
        raise BadTransfer("a part is longer than it may be")
    return raw


def portions(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in few pieces: many small files are few turns of the loop."""
    held: List[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PORTION_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


# A channel


class TransferChannel:
    """Parcels over a channel, in its loop; what blocks runs in threads."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._reader = TransferReader()
        self._ready: List[Parcel] = []

    async def parcel(self) -> Parcel:
        """The next one, of the kind END where the other side has written all. Raises BadTransfer, ChannelReset."""
        while not self._ready:
            portion = await self._portion()
            if not portion:
                return END, b""
            self._ready = list(self._reader.feed(portion))[::-1]
        return self._ready.pop()

    async def _portion(self) -> bytes:
        return await self.channel.read(_PORTION_BYTES)

    async def document(self) -> Dict[str, Any]:
        """The next document; empty at the end. Raises BadTransfer, ChannelReset."""
        kind, payload = await self.parcel()
        if kind == DATA:
            raise BadTransfer("it sends bytes that were not asked for")
        return read_document(payload) if kind == DOCUMENT else {}

    async def heard(self) -> None:
        """Wait until something comes, or the end."""
        if not self._ready:
            self._ready.append(await self.parcel())

    async def send(self, pieces: Iterable[bytes], sent: Callable[[int], None] = lambda _: None) -> None:
        """Send pieces as fast as the other side takes them; making one may block. Raises ChannelReset."""
        made = portions(pieces)
        while True:
            portion = await in_thread(next, made, b"")
            if not portion:
                return
            self.channel.write(portion)
            await self.channel.drain()
            sent(len(portion))

    async def receive(
        self, receiver: Receiver, write: Callable[[Part], Any], came: Callable[[int], None] = lambda _: None
    ) -> None:
        """Take the rest of a file. ``write`` gets each part and may block; ``came`` hears how long it was in the file.

        Raises Lost, BadTransfer, ChannelReset and what ``write`` raises.
        """

        def checked(told: Dict[str, Any]) -> int:
            part = receiver.part(told)
            write(part)
            return len(part.raw)

        receiver.begin()
        while True:
            kind, payload = await self.parcel()
            if kind == DATA:
                receiver.take(payload)
                continue
            if kind == END:
                raise BadTransfer("a file ended too early")
            came(await in_thread(checked, read_document(payload)))
            if receiver.whole:
                return
