"""Let the Lab's engine read a trace on this host, or send the trace to the Lab (service ``engine``).

The Lab names the trace as ``path``, and the host answers with what it has. Then the Lab sends orders, until
it ends the channel. ``analyze`` lists the parts of the engine by hash; the host asks for missing ones, and
they follow. The answer is ``{"ended": exit code}`` and a file of the given ``size``. ``send`` asks for the
trace itself, ``from`` a position on. :mod:`.transfer` defines how files travel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
import zipfile
from typing import Any, Dict, List

from .channels import Channel, ChannelReset
from .paths import private_folder, state_folder
from .probe import distribution_version
from .threads import in_thread
from .transfer import BadTransfer, Lost, Receiver, TransferChannel, document, outgoing

_MAX_PART_BYTES = 256 * 1024 * 1024
_SAID_BYTES = 4000
_UNUSED_S = 30 * 24 * 3600.0
_SHA = re.compile(r"[0-9a-f]{64}\Z")


async def serve(channel: Channel) -> None:
    """Serve until the Lab has left. Raises ChannelReset for an unreadable file."""
    channel.bulk = True
    path, talk = _absolute(str(channel.params.get("path"))), TransferChannel(channel)
    try:
        seen = await in_thread(lambda: _seen(path))
        channel.write(document(seen))
        while True:
            order = await talk.document()
            if not order:
                break
            if order.get("op") == "send":
                with await in_thread(lambda: open(path, "rb")) as stream:
                    start, deflate = int(order["from"]), not seen["packed"]
                    await talk.send(outgoing(stream, seen["size"], start, deflate=deflate, exact=True))
            else:
                folders = await _parts(talk, list(order["parts"]))
                await _analyze(talk, folders, path)
        channel.write_eof()
    except (BadTransfer, Lost, KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"engine: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise ChannelReset("failed", f"{path}: {why}.", "Check it on the host.") from error


def _absolute(path: str) -> str:
    return os.path.join(os.path.expanduser("~"), os.path.expanduser(path))


def _is_gzip(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _seen(path: str) -> Dict[str, Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ChannelReset(
            "not_found",
            f"{path} cannot be read on the host: {error.strerror}.",
            "Check the path on the host.",
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ChannelReset("invalid", f"{path} is not a plain file.", "Give the path of a trace on the host.")
    return {
        "path": os.path.realpath(path),
        "size": found.st_size,
        "changed_ns": found.st_mtime_ns,
        "packed": _is_gzip(path),
        "python": list(sys.version_info[:2]),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else "",
        "has": {name: distribution_version(name, name) for name in ("numpy", "msgspec")},
    }


# The engine


async def _parts(talk: TransferChannel, parts: List[Dict[str, Any]]) -> List[str]:
    """Return the folders of the parts, after the missing ones have arrived. Raises ValueError, OSError."""
    if not all(isinstance(part, dict) and _SHA.match(str(part["sha"])) for part in parts):
        raise ValueError("a part has no hash")
    root = await in_thread(_root)
    there = set(await in_thread(lambda: os.listdir(root)))
    needed = [part for part in parts if part["sha"] not in there]
    talk.channel.write(document({"need": [part["sha"] for part in needed]}))
    for part in needed:
        await _take(talk, root, str(part["sha"]), int(part["size"]))
    folders = [os.path.join(root, str(part["sha"])) for part in parts]
    await in_thread(lambda: _note_use(root, folders))
    return folders


def _root() -> str:
    return private_folder(os.path.join(state_folder()[0], "engine"))


def _note_use(root: str, folders: List[str]) -> None:
    """Remove parts that no analysis has used for a long time: those of other versions, and incomplete ones."""
    for folder in folders:
        os.utime(folder)
    for entry in os.scandir(root):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S:
            shutil.rmtree(entry.path, ignore_errors=True)


async def _take(talk: TransferChannel, root: str, sha: str, size: int) -> None:
    """Unpack an arriving part once its hash is right: a part with its name is complete."""
    if not 0 < size <= _MAX_PART_BYTES:
        raise ValueError(f"a part of {size} bytes")
    receiver = Receiver(size)
    with tempfile.TemporaryFile(dir=root) as file:
        await talk.receive(receiver, lambda part: file.write(part.raw))
        if receiver.sha256 != sha:
            raise ChannelReset("damaged", "A part of the engine was damaged on its way.", "Try again.")
        await in_thread(lambda: _unpack(file, root, sha))


def _unpack(file: Any, root: str, sha: str) -> None:
    aside = tempfile.mkdtemp(prefix=".", dir=root)
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(aside)
        with contextlib.suppress(OSError):  # another connection was quicker, or the error below
            os.rename(aside, os.path.join(root, sha))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not os.path.isdir(os.path.join(root, sha)):
        raise OSError(f"{sha} cannot be written into {root}")


async def _analyze(talk: TransferChannel, folders: List[str], path: str) -> None:
    """Run the engine and send its answer to the Lab. The engine ends with the channel."""
    channel, root = talk.channel, os.path.dirname(folders[0])
    folder = await in_thread(lambda: tempfile.mkdtemp(prefix=".work-", dir=root))
    answer = os.path.join(folder, "answer.tar.gz")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from genops_lab.profiling.remote_analysis.host import main; main()", path, answer,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "TMPDIR": folder},
    )  # fmt: skip
    ending = asyncio.ensure_future(process.communicate())
    left = asyncio.ensure_future(talk.heard())  # the Lab sends nothing meanwhile, unless it leaves
    try:
        await asyncio.wait([ending, left], return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            return
        said = ending.result()[1].decode(errors="replace")[-_SAID_BYTES:]
        if process.returncode != 0:
            channel.write(document({"ended": process.returncode, "said": said}))
            return
        with await in_thread(lambda: open(answer, "rb")) as stream:
            size = os.fstat(stream.fileno()).st_size
            channel.write(document({"ended": 0, "size": size}))
            await talk.send(outgoing(stream, size))
    finally:
        left.cancel()
        if process.returncode is None:
            process.kill()
        await asyncio.gather(ending, left, return_exceptions=True)
        await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
