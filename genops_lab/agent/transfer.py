"""Move files on a channel of the stream, either way between a Lab and a host.

A channel carries JSON documents, and bytes of files between them. A document asks for something, or announces
what follows. Nothing waits for an answer before the next request, so that many small files share one round
trip.

The receiver of a file knows its size before. The file comes in parts of one length, and the last part has the
rest. A part is its bytes, then ``{"to": where in the file they end, "sha256": the hash of the file up to
there}``. ``{"lost": why}`` replaces a part that cannot come.

Each part is checked before it counts. On another channel the file continues after the last checked part: the
request names the position. The parts of a deflated file are raw deflate streams without an end, which joined
are one stream.

:func:`outgoing` makes parts, :class:`Receiver` checks them, both without a channel; :class:`TransferChannel`
carries them.
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
#: Bytes of the file per part, which is one parcel; and for a file that is deflated on its way.
PART_BYTES, DEFLATED_PART_BYTES = 256 * 1024, 1024 * 1024
#: Deflate makes data longer by at most this share.
MAX_PARCEL_BYTES = DEFLATED_PART_BYTES + DEFLATED_PART_BYTES // 64
_RAW_DEFLATE = -15
_PORTION_BYTES = 262144

Parcel = Tuple[int, bytes]


class BadTransfer(ValueError):
    """The other side broke the protocol."""


class Damaged(BadTransfer):
    """A part differs from what the sender has read, or the earlier bytes belong to another file."""


class Lost(Exception):
    """The sender gave a file up, for the reason in the message."""


# Parcels


def document(body: Dict[str, Any]) -> bytes:
    """Return a document as bytes. Raises BadTransfer for one that is too long."""
    payload = json.dumps(body, separators=(",", ":")).encode()
    if len(payload) > MAX_PARCEL_BYTES:
        raise BadTransfer(f"A document of {len(payload)} bytes is too long.")
    return HEADER.pack(DOCUMENT, len(payload)) + payload


def data(payload: bytes) -> bytes:
    """Return bytes of a file as a parcel."""
    return HEADER.pack(DATA, len(payload)) + payload


def read_document(payload: bytes) -> Dict[str, Any]:
    """Return the JSON object. Raises BadTransfer for an invalid one."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadTransfer("A document is invalid.")
    return found


class TransferReader:
    """Takes bytes in any portions, returns whole parcels."""

    def __init__(self) -> None:
        self._held: List[bytes] = []
        self._size, self._wanted = 0, HEADER.size

    def feed(self, portion: bytes) -> Iterator[Parcel]:
        """Return the parcels that are complete now. Raises BadTransfer on an impossible header."""
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
    """Yield the bytes of a file from ``start`` up to ``size``. Blocks while it reads; raises ValueError.

    ``exact``: a file that has grown is lost, not cut. ``digest``: the hash of all bytes; it already has those
    before ``start``, the stream's position.
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
            trailer = document({"to": at, "sha256": digest.hexdigest()})
            # At once, for a part is long.
            yield b"".join((HEADER.pack(DATA, len(payload)), payload, trailer)) if payload else trailer
            if at == size:
                return
    except Lost as lost:
        yield document({"lost": str(lost)})
    except OSError as error:
        yield document({"lost": error.strerror or str(error)})


def digest_of(stream: BinaryIO, size: int) -> Any:
    """Return the hash of the first bytes of a file. Blocks; raises Lost where there are fewer, OSError."""
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
    """Return a deflate stream that ends at a byte and without an end: another one may follow it."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, _RAW_DEFLATE)
    return squeezer.compress(raw) + squeezer.flush(zlib.Z_SYNC_FLUSH)


class Receiver:
    """A file that is received, of ``size`` bytes: ``done`` are here and checked."""

    def __init__(self, size: int, *, deflated: bool = False) -> None:
        self.size = size
        self._deflated = deflated
        self.resume(0, hashlib.sha256())
        self._payload = b""

    def resume(self, done: int, digest: Any) -> None:
        """Continue after ``done`` bytes, which are in the hash. Without a hash nothing is compared: the file
        cannot be kept."""
        self.done, self._digest = done, digest

    @property
    def whole(self) -> bool:
        """Whether the last part has come; an empty file has one."""
        return self.done == self.size

    @property
    def sha256(self) -> str:
        """The hash of the received bytes, in hexadecimal."""
        return str(self._digest.hexdigest())

    def begin(self) -> None:
        """Start a channel: the next bytes follow ``done``, and a part that was cut off comes again."""
        self._payload = b""

    def take(self, payload: bytes) -> None:
        """Take bytes of the current part. Raises BadTransfer for none or too many."""
        if (
            not payload
            or self._payload
            or len(payload) > (MAX_PARCEL_BYTES if self._deflated else self._next)
        ):
            raise BadTransfer("a part has no bytes, or more bytes than the file")
        self._payload = payload

    @property
    def _next(self) -> int:
        return min(DEFLATED_PART_BYTES if self._deflated else PART_BYTES, self.size - self.done)

    def part(self, trailer: Dict[str, Any]) -> Part:
        """Return the part that this document ends. Raises Lost; BadTransfer, after which ``done`` is as
        before."""
        payload = self._payload
        self.begin()
        if "lost" in trailer:
            raise Lost(str(trailer["lost"]))
        raw = _inflated(payload) if self._deflated and payload else payload
        end = self.done + len(raw)
        if len(raw) != self._next or trailer.get("to") != end:
            raise BadTransfer(f"{len(raw)} bytes after {self.done} of {self.size} are not a part")
        if self._digest is not None:
            digest = self._digest.copy()
            digest.update(raw)
            if trailer.get("sha256") != digest.hexdigest():
                raise Damaged(f"the bytes up to {end} have another hash than announced")
            self._digest = digest
        self.done = end
        return Part(payload, raw)


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        raw = inflater.decompress(payload, DEFLATED_PART_BYTES + 1)
    except zlib.error as error:
        raise BadTransfer(f"a part is not compressed correctly: {error}") from None
    if len(raw) > DEFLATED_PART_BYTES or inflater.unconsumed_tail or inflater.eof:
        raise BadTransfer("a part is too long")
    return raw


def portions(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the same bytes in few pieces: many small files take few turns of the loop."""
    buffered: List[bytes] = []
    size = 0
    for piece in pieces:
        buffered.append(piece)
        size += len(piece)
        if size >= _PORTION_BYTES:
            yield b"".join(buffered)
            buffered, size = [], 0
    if buffered:
        yield b"".join(buffered)


# A channel


class TransferChannel:
    """Parcels over a channel, in its loop; blocking work runs in threads."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._reader = TransferReader()
        self._ready: List[Parcel] = []

    async def parcel(self) -> Parcel:
        """Return the next parcel, of the kind END where the other side has written all. Raises BadTransfer,
        ChannelReset."""
        while not self._ready:
            portion = await self._portion()
            if not portion:
                return END, b""
            self._ready = list(self._reader.feed(portion))[::-1]
        return self._ready.pop()

    async def _portion(self) -> bytes:
        return await self.channel.read(_PORTION_BYTES)

    async def document(self) -> Dict[str, Any]:
        """Return the next document; empty at the end. Raises BadTransfer, ChannelReset."""
        kind, payload = await self.parcel()
        if kind == DATA:
            raise BadTransfer("it sends bytes that were not requested")
        return read_document(payload) if kind == DOCUMENT else {}

    async def heard(self) -> None:
        """Wait until data comes, or the end."""
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
        """Receive the rest of a file. ``write`` gets each part and may block; ``came`` gets its length in the
        file.

        Raises Lost, BadTransfer, ChannelReset and the errors of ``write``.
        """

        def checked(trailer: Dict[str, Any]) -> int:
            part = receiver.part(trailer)
            write(part)
            return len(part.raw)

        receiver.begin()
        while True:
            kind, payload = await self.parcel()
            if kind == DATA:
                receiver.take(payload)
                continue
            if kind == END:
                raise BadTransfer("a file is incomplete")
            came(await in_thread(checked, read_document(payload)))
            if receiver.whole:
                return
