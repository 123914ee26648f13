"""Look into zip and tar archives and compressed files within bounds. Nothing is unpacked to the disk."""

from __future__ import annotations

import bz2
import lzma
import posixpath
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .judged import PICKLE, TORCH, Judged, code, data, refused, unknown, worse
from .models import VERDICTS
from .source import Cursor, Damaged, Memory, Part, Source, TooLarge
from .texts import MAX_JSON_BYTES, parse_json

MAX_DEPTH = 3
MAX_ENTRIES = 20_000
MAX_DIRECTORY = 16_000_000
#: An entry that expands more than this, to over 10 MB, is a bomb. Compressed zeros reach 1,000.
MAX_RATIO = 200
RATIO_FROM = 10_000_000
#: Entries up to this size are unpacked in memory to be judged; of larger ones only the beginning.
WHOLE_ENTRY = 4_000_000
_HEAD = 65_536
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s5HL2L2H")
_STORED, _DEFLATED = 0, 8
_UNSET = 0xFFFFFFFF
_UNSETS = (0xFFFF, _UNSET, _UNSET)
#: Modules of Keras whose classes hold layers and numbers. Others, such as ``keras.utils``, have functions that do more.
_KERAS = re.compile(
    r"keras(\.src)?(\.(activations|constraints|dtype_policies|initializers|layers|losses|metrics|models|optimizers"
    r"|quantizers|regularizers)(\.\w+)*)?"
)
_CLASS = re.compile(r"[A-Z]\w*")
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")

Judge = Callable[[Source, str, int], Judged]


@dataclass(frozen=True)
class Member:
    """An entry of an archive: a range of it, perhaps compressed."""

    name: str
    size: int
    packed_size: int
    offset: int
    method: int = _STORED
    mode: int = 0
    crc: int = 0
    flags: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a folder."""
        return self.name.endswith("/")


def judge_zip(source: Source, depth: int, judge: Judge) -> Judged:
    """Judge a zip archive of any kind: PyTorch, skops, NumPy, Keras, or plain. Raises Damaged and TooLarge."""
    members = _members(source)
    names = {posixpath.basename(each.name) for each in members}
    tops = {each.name for each in members}
    if "data.pkl" in names or "constants.pkl" in names:
        return code(
            TORCH,
            "It is a PyTorch file with a pickle: loading it can run any code.",
            pickle=True,
        )
    if "archive_format" in names and any(each.name.endswith("models/model.json") for each in members):
        return code(
            "PyTorch export",
            "It is an exported PyTorch program: PyTorch evaluates expressions that the file holds.",
        )
    if "schema.json" in tops:
        return _judge_skops(source, members, depth, judge)
    if {"config.json", "metadata.json"} <= tops and any(name.endswith(".weights.h5") for name in tops):
        return _judge_keras(source, members)
    return _judge_members(source, members, depth, judge)


def _judge_skops(source: Source, members: list[Member], depth: int, judge: Judge) -> Judged:
    from . import skops

    schema = next(each for each in members if each.name == "schema.json")
    found = skops.judge(parse_json(_content(source, schema)), source.budget)
    others = [each for each in members if each is not schema]
    inner = _judge_members(source, others, depth, judge)
    return found if inner.verdict == "data" else replace(inner, format=skops.FORMAT)


def _judge_keras(source: Source, members: list[Member]) -> Judged:
    config = parse_json(_content(source, next(each for each in members if each.name == "config.json")))
    pending = [config]
    while pending:
        source.budget.step()
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(node.values())
            module, chosen = node.get("module"), node.get("class_name")
            if chosen == "Lambda" or "__lambda__" in (chosen, node.get("type")):
                return code(
                    "Keras", "It has a Lambda layer, which is Python code that runs when the model is loaded."
                )
            if isinstance(module, str) and not (_KERAS.fullmatch(module) and _CLASS.fullmatch(str(chosen))):
                return code("Keras", f"It loads {str(chosen)[:60]!r} of the module {module[:60]!r}.")
    return data("Keras")


def _judge_members(source: Source, members: list[Member], depth: int, judge: Judge) -> Judged:
    """Judge each entry: the worst is the verdict, and its name the reason."""
    if depth >= MAX_DEPTH:
        return unknown("archive", f"It is an archive below {MAX_DEPTH} others and was not opened.")
    worst: tuple[Member, Judged] | None = None
    formats: set[str] = set()
    pickle = False
    for member in members:
        if member.is_folder:
            continue
        try:
            found = judge(_open(source, member), member.name, depth + 1)
        except TooLarge as error:
            found = unknown("archive", str(error))
        except Damaged as error:
            found = refused("archive", str(error))
        formats.add(found.format)
        pickle = pickle or found.pickle
        if worst is None or VERDICTS.index(found.verdict) > VERDICTS.index(worst[1].verdict):
            worst = (member, found)
    kind = "NumPy" if formats == {"NumPy"} else "archive"
    if worst is None or worst[1].verdict == "data":
        return data(kind)
    member, found = worst
    reason = f"It has {member.name[:80]!r} inside. {found.reason}"
    return Judged(format=kind, verdict=found.verdict, reason=reason, pickle=pickle)


def _content(source: Source, member: Member) -> bytes:
    """Return an entry of up to 4 MB. Raises Damaged and TooLarge."""
    if member.size > MAX_JSON_BYTES:
        raise TooLarge(
            f"Its entry {member.name[:60]!r} was not read: it is over {MAX_JSON_BYTES // 1_000_000} MB."
        )
    opened = _open(source, member)
    return opened.read(0, opened.size)


def _open(source: Source, member: Member) -> Source:
    """Return an entry as a source: in place, or unpacked in memory up to a bound."""
    local = _LOCAL.unpack(source.read(member.offset, _LOCAL.size))
    start = member.offset + _LOCAL.size + local[-2] + local[-1]
    if member.method == _STORED:
        return Part(source, start, member.size)
    if member.method != _DEFLATED:
        raise TooLarge(f"Its entry {member.name[:60]!r} has a compression that was not unpacked.")
    wanted = member.size if member.size <= WHOLE_ENTRY else _HEAD
    packed = source.read(start, min(member.packed_size, wanted * 2 + 1024))
    found = _inflated(packed, wanted, source, -zlib.MAX_WBITS)
    if len(found) < min(wanted, member.size):
        raise Damaged(f"Its entry {member.name[:60]!r} is damaged.")
    return Memory(found, source.budget)


def _inflated(packed: bytes, limit: int, source: Source, wbits: int) -> bytes:
    source.budget.unpack(limit)
    try:
        return zlib.decompressobj(wbits).decompress(packed, max(limit, 1))[:limit]
    except zlib.error as error:
        raise Damaged("Its compressed part is damaged.") from error


def _members(source: Source) -> list[Member]:
    """Return the entries of a zip archive by its directory, checked against what lies before each entry."""
    tail_size = min(source.size, _END.size + 65_535)
    tail = source.read(source.size - tail_size, tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise Damaged("It is a zip archive without a directory.")
    _, disk, start_disk, here, count, length, offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise Damaged("It has bytes behind the end of the zip archive.")
    end = source.size - tail_size + at
    large = _zip64(source, end)
    if large is not None:  # PyTorch writes this record always
        if any(
            small not in (same, unset)
            for small, same, unset in zip((count, length, offset), large[:3], _UNSETS, strict=True)
        ):
            raise Damaged("Its two zip directories differ.")
        count, length, offset, end = large
    elif count == 0xFFFF or _UNSET in (length, offset):
        raise Damaged("Its zip directory has no place.")
    elif disk or start_disk or here != count:
        raise Damaged("It is a part of a zip archive.")
    if count > MAX_ENTRIES or length > MAX_DIRECTORY:
        raise TooLarge(f"It is a zip archive of {count:,} entries and was not looked at.")
    if offset + length != end:
        raise Damaged("Its zip directory is not where the archive says: something lies before or behind it.")
    members = list(_central(Cursor(source, offset, offset + length), count))
    _check(source, members, offset)
    return members


def ends_as_zip(source: Source) -> bool:
    """Return whether a file ends like a zip archive, whatever it begins with."""
    tail_size = min(source.size, _END.size + 65_535)
    tail = source.read(source.size - tail_size, tail_size)
    at = tail.rfind(b"PK\x05\x06")
    return 0 <= at <= len(tail) - _END.size and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail)


def _zip64(source: Source, end: int) -> tuple[int, int, int, int] | None:
    """Return entries, length and place of the directory, and where it must end, of a large archive; else None."""
    locator = source.read(end - 20, 20) if end >= 20 else b""
    if locator[:4] != b"PK\x06\x07":
        return None
    place = int.from_bytes(locator[8:16], "little")
    record = source.read(place, 56)
    if record[:4] != b"PK\x06\x06" or place + 56 != end - 20:
        raise Damaged("Its zip directory has no place.")
    count, length, offset = (int.from_bytes(record[at : at + 8], "little") for at in (32, 40, 48))
    return count, length, offset, place


def _central(cursor: Cursor, count: int) -> Iterator[Member]:
    for _ in range(count):
        cursor.source.budget.step()
        found = _CENTRAL.unpack(cursor.take(_CENTRAL.size))
        if found[0] != b"PK\x01\x02":
            raise Damaged("Its zip directory is damaged.")
        flags, method = found[5], found[6]
        crc, packed, size, name_size, extra_size, comment_size = found[9:15]
        mode, offset = found[17], found[18]
        name = cursor.take(name_size).decode("utf-8", "surrogateescape")
        extra = cursor.take(extra_size)
        cursor.skip(comment_size)
        if _UNSET in (size, packed, offset):
            size, packed, offset = _large(extra, size, packed, offset)
        yield Member(name, size, packed, offset, method, mode >> 16, crc, flags)
    if cursor.offset != cursor.end:
        raise Damaged("Its zip directory has more entries than it claims.")


def _large(extra: bytes, *values: int) -> tuple[int, int, int]:
    """Return size, packed size and offset, with those from the zip64 field that did not fit."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            found = []
            for value in values:
                if value == _UNSET:
                    if len(field) < 8:
                        raise Damaged("Its zip directory is damaged.")
                    value, field = int.from_bytes(field[:8], "little"), field[8:]
                found.append(value)
            return found[0], found[1], found[2]
        at += 4 + length
    raise Damaged("Its zip directory is damaged.")


def _check(source: Source, members: list[Member], directory: int) -> None:
    """Raise Damaged for names, sizes and places with which an archive misleads who reads it."""
    seen: set[str] = set()
    for member in members:
        check_name(member.name)
        if member.name in seen:
            raise Damaged(f"It has two entries {member.name[:60]!r}.")
        seen.add(member.name)
        if stat.S_ISLNK(member.mode):
            raise Damaged(f"Its entry {member.name[:60]!r} is a link.")
        if member.flags & 1:
            raise Damaged(f"Its entry {member.name[:60]!r} is encrypted.")
        check_ratio(member.size, member.packed_size)
        if member.method == _STORED and member.size != member.packed_size:
            raise Damaged(f"Its entry {member.name[:60]!r} has two sizes.")
    at = 0
    for member in sorted(members, key=lambda each: each.offset):
        if member.offset < at:
            raise Damaged("Its entries overlap.")
        if at == 0 and member.offset:
            raise Damaged("It has bytes before the zip archive.")
        at = _local_end(source, member)
    if at > directory:
        raise Damaged("Its entries overlap with its directory.")


def _local_end(source: Source, member: Member) -> int:
    """Return where an entry ends. Raises Damaged if its own header differs from the directory."""
    found = _LOCAL.unpack(source.read(member.offset, _LOCAL.size))
    name_size, extra_size = found[-2], found[-1]
    flags, method, crc, packed, size = found[2], found[3], found[6], found[7], found[8]
    name = source.read(member.offset + _LOCAL.size, name_size).decode("utf-8", "surrogateescape")
    streamed = bool(flags & 8) and (crc, packed, size) == (0, 0, 0)
    large = _UNSET in (packed, size)
    same = (name, method) == (member.name, member.method) and (
        streamed or large or (crc, packed, size) == (member.crc, member.packed_size, member.size)
    )
    if found[0] != ZIP_STARTS[0] or not same:
        raise Damaged(
            f"Its entry {member.name[:60]!r} differs between the zip directory and the entry itself."
        )
    return int(member.offset + _LOCAL.size + name_size + extra_size + member.packed_size)


def check_name(name: str) -> None:
    """Raise Damaged for a name that leaves the folder, or misleads who reads it."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        raise Damaged(f"Its entry {name[:60]!r} would be written outside of the folder.")
    if not name or not name.isprintable():
        raise Damaged(f"Its entry {name[:60]!r} has control characters in its name.")


def check_ratio(size: int, packed: int) -> None:
    """Raise Damaged for what expands like a bomb."""
    if size > RATIO_FROM and size > packed * MAX_RATIO:
        raise Damaged(f"It would expand {packed:,} bytes to {size:,}: a decompression bomb.")


def is_tar(head: bytes) -> bool:
    """Return whether this begins with the header of a tar archive."""
    if len(head) < 512 or head[:1] == b"\0":
        return False
    try:
        checksum = int(head[148:156].strip(b"\0 ") or b"-1", 8)
    except ValueError:
        return False
    return checksum == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def judge_tar(source: Source, depth: int, judge: Judge) -> Judged:
    """Judge a tar archive. Raises Damaged and TooLarge."""
    members: list[Member] = []
    at = 0
    while at + 512 <= source.size:
        source.budget.step()
        header = source.read(at, 512)
        if not header.strip(b"\0"):
            break
        if not is_tar(header):
            raise Damaged("It is a damaged tar archive.")
        size = _octal(header[124:136])
        name = header[:100].split(b"\0")[0].decode("utf-8", "surrogateescape")
        kind = header[156:157]
        if kind in (b"1", b"2", b"3", b"4", b"6"):
            raise Damaged(f"Its entry {name[:60]!r} is a link or a special file.")
        if kind in (b"0", b"\0", b"7"):
            check_name(name)
            members.append(Member(name, size, size, at + 512))
            if len(members) > MAX_ENTRIES:
                raise TooLarge("It is a tar archive of too many entries.")
        elif kind not in (b"5", b"x", b"g", b"L", b"K"):
            raise Damaged(f"Its entry {name[:60]!r} is of an unknown kind.")
        at += 512 + -(-size // 512) * 512
    return _judge_tar_members(source, members, depth, judge)


def _judge_tar_members(source: Source, members: list[Member], depth: int, judge: Judge) -> Judged:
    if depth >= MAX_DEPTH:
        return unknown("archive", f"It is an archive below {MAX_DEPTH} others and was not opened.")
    worst = data("archive")
    for member in members:
        found = judge(Part(source, member.offset, member.size), member.name, depth + 1)
        if worse(found.verdict, worst.verdict) != worst.verdict:
            reason = f"It has {member.name[:80]!r} inside. {found.reason}"
            worst = Judged(format="archive", verdict=found.verdict, reason=reason, pickle=found.pickle)
    return worst


def _octal(field: bytes) -> int:
    if field[:1] in (b"\x80", b"\xff"):
        raise TooLarge("It is a tar archive with an entry of over 8 GB.")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError as error:
        raise Damaged("It is a damaged tar archive.") from error


#: How streams of the compressions begin that Python has.
COMPRESSED: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}
#: How streams begin that are not looked into.
SEALED: dict[bytes, str] = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}


def compression(head: bytes) -> str:
    """Return the compression of a stream that begins so; empty for none."""
    return next((name for start, name in COMPRESSED.items() if head.startswith(start)), "")


def judge_compressed(source: Source, name: str, kind: str, depth: int, judge: Judge) -> Judged:
    """Judge a compressed stream by its first 64 kB. Raises Damaged and TooLarge."""
    if depth >= MAX_DEPTH:
        return unknown(kind, f"It is compressed below {MAX_DEPTH} archives and was not opened.")
    packed = source.head(_HEAD)
    source.budget.unpack(_HEAD)
    try:
        if kind in ("gzip", "zlib"):
            beginning = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(packed, _HEAD)
        elif kind == "bzip2":
            beginning = bz2.BZ2Decompressor().decompress(packed, _HEAD)
        else:
            beginning = lzma.LZMADecompressor(memlimit=1 << 27).decompress(packed, _HEAD)
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
        return unknown(kind, f"It looks like a {kind} stream that cannot be unpacked.")
    try:
        inner = judge(Memory(beginning, source.budget), posixpath.splitext(name)[0], depth + 1)
    except (Damaged, TooLarge):
        inner = unknown(kind, "")
    if inner.pickle:
        reason = f"It is a compressed pickle ({kind}): loading it can run any code."
        return code("joblib pickle" if kind == "zlib" else PICKLE, reason, pickle=True)
    if inner.verdict == "code":
        return code(kind, f"It is compressed with {kind}. {inner.reason}")
    return unknown(kind, f"It is compressed with {kind}; only its beginning was looked at.")
