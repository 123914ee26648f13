"""The service ``engine``: a trace on this host, read beside it by the Lab's engine, or sent to the Lab.

The Lab names the trace as ``path``; the host says what it has. Then the Lab gives orders, until it ends the channel:
``analyze`` with the parts that the engine is made of, by hash (those that are not here are asked for and follow),
answered by bytes and a document, ``{"ended": exit code}``; and ``send``, the trace itself ``from`` a place in it on
(:mod:`.file_parts`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
import zipfile
from typing import Any, Callable, Dict, List, Tuple, TypeVar

from .channels import Channel, ChannelReset
from .file_parts import is_packed, send, send_parts
from .paths import private_folder, state_folder
from .probe import distribution_version
from .transfer import DATA, DOCUMENT, BadTransfer, TransferReader, document, read_document

_PORTION_BYTES = 262144
_MAX_PART_BYTES = 256 * 1024 * 1024
_SAID_BYTES = 4000
_UNUSED_S = 30 * 24 * 3600.0
_SHA = re.compile(r"[0-9a-f]{64}\Z")
T = TypeVar("T")


async def serve(channel: Channel) -> None:
    """Until the Lab has left. Raises ChannelReset for a file that cannot be read."""
    channel.bulk = True
    path, talk = _absolute(str(channel.params.get("path"))), _Talk(channel)
    try:
        channel.write(document(await _in_thread(lambda: _seen(path))))
        while True:
            order = await talk.document()
            if not order:
                break
            if order.get("op") == "send":
                await send_parts(channel, path, int(order["from"]))
            else:
                folders = await _parts(talk, list(order["parts"]))
                await _analyze(talk, folders, path)
        channel.write_eof()
    except (BadTransfer, KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"engine: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise ChannelReset("failed", f"{path}: {why}.", "Look at it on the host.") from error


def _absolute(path: str) -> str:
    return os.path.join(os.path.expanduser("~"), os.path.expanduser(path))


def _seen(path: str) -> Dict[str, Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ChannelReset(
            "not_found", f"{path} cannot be read on the host: {error.strerror}.", "Check the path there."
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ChannelReset("invalid", f"{path} is no plain file.", "Give the path of a trace on the host.")
    return {
        "path": os.path.realpath(path),
        "size": found.st_size,
        "changed_ns": found.st_mtime_ns,
        "packed": is_packed(path),
        "python": list(sys.version_info[:2]),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else "",
        "has": {name: distribution_version(name, name) for name in ("numpy", "msgspec")},
    }


# The engine


async def _parts(talk: "_Talk", parts: List[Dict[str, Any]]) -> List[str]:
    """The folders of the parts, after those that were not here have come. Raises ValueError, OSError."""
    if not all(isinstance(part, dict) and _SHA.match(str(part["sha"])) for part in parts):
        raise ValueError("a part has no hash")
    root = await _in_thread(_root)
    there = set(await _in_thread(lambda: os.listdir(root)))
    needed = [part for part in parts if part["sha"] not in there]
    talk.channel.write(document({"need": [part["sha"] for part in needed]}))
    for part in needed:
        await _take(talk, root, str(part["sha"]), int(part["size"]))
    folders = [os.path.join(root, str(part["sha"])) for part in parts]
    await _in_thread(lambda: _note_use(root, folders))
    return folders


def _root() -> str:
    return private_folder(os.path.join(state_folder()[0], "engine"))


def _note_use(root: str, folders: List[str]) -> None:
    """Remove what no analysis has used for long: parts of other versions, and what was cut off."""
    for folder in folders:
        os.utime(folder)
    for entry in os.scandir(root):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S:
            shutil.rmtree(entry.path, ignore_errors=True)


async def _take(talk: "_Talk", root: str, sha: str, size: int) -> None:
    """Unpack a part that comes now, once its hash is right: under its name it is whole or not there."""
    if not 0 < size <= _MAX_PART_BYTES:
        raise ValueError(f"a part of {size} bytes")
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(dir=root) as file:
        while size:
            portion = await talk.portion()
            size -= len(portion)
            if size < 0 or not portion:
                raise ValueError("a part has another size than was said")
            digest.update(portion)
            file.write(portion)
        if digest.hexdigest() != sha:
            raise ChannelReset("damaged", "A part of the engine did not arrive as it was sent.", "Try again.")
        await _in_thread(lambda: _unpack(file, root, sha))


def _unpack(file: Any, root: str, sha: str) -> None:
    aside = tempfile.mkdtemp(prefix=".", dir=root)
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(aside)
        with contextlib.suppress(OSError):  # another connection was quicker, else it is told below
            os.rename(aside, os.path.join(root, sha))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not os.path.isdir(os.path.join(root, sha)):
        raise OSError(f"{sha} could not be put into {root}")


async def _analyze(talk: "_Talk", folders: List[str], path: str) -> None:
    """Run the engine; its answer goes to the Lab. It ends with the channel."""
    channel, root = talk.channel, os.path.dirname(folders[0])
    folder = await _in_thread(lambda: tempfile.mkdtemp(prefix=".work-", dir=root))
    answer = os.path.join(folder, "answer.tar.gz")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from genops_lab.profiling.remote_analysis.host import main; main()", path, answer,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "TMPDIR": folder},
    )  # fmt: skip
    ending = asyncio.ensure_future(process.communicate())
    left = asyncio.ensure_future(talk.heard())  # the Lab says nothing meanwhile, unless it leaves
    try:
        await asyncio.wait([ending, left], return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            return
        said = ending.result()[1].decode(errors="replace")[-_SAID_BYTES:]
        if process.returncode == 0:
            await _send_file(channel, answer)
        channel.write(document({"ended": process.returncode, "said": said}))
    finally:
        left.cancel()
        if process.returncode is None:
            process.kill()
        await asyncio.gather(ending, left, return_exceptions=True)
        await _in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))


# The talk


async def _send_file(channel: Channel, path: str) -> None:
    with await _in_thread(lambda: open(path, "rb")) as stream:
        while True:
            payload = await _in_thread(lambda: stream.read(_PORTION_BYTES))
            if not payload:
                break
            await send(channel, payload)


class _Talk:
    """What the Lab sends, one parcel after the other."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._reader = TransferReader()
        self._ready: List[Tuple[int, bytes]] = []

    async def document(self) -> Dict[str, Any]:
        """The next order; empty at the end. Raises BadParcel."""
        kind, payload = await self._parcel()
        if kind == DATA:
            raise BadTransfer("Bytes came that were not asked for.")
        return read_document(payload) if payload else {}

    async def portion(self) -> bytes:
        """The next portion of what was asked for. Raises BadParcel."""
        kind, payload = await self._parcel()
        if kind == DOCUMENT:
            raise BadTransfer("A part of the engine ended too early.")
        return payload

    async def heard(self) -> None:
        """Wait until something comes, or the end."""
        if not self._ready:
            self._ready.append(await self._parcel())

    async def _parcel(self) -> Tuple[int, bytes]:
        while not self._ready:
            portion = await self.channel.read(_PORTION_BYTES)
            if not portion:
                return DOCUMENT, b""
            self._ready = list(self._reader.feed(portion))[::-1]
        return self._ready.pop()


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)
