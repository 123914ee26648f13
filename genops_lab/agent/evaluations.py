"""Take the files of an evaluation onto this host, and give its predictions to the Lab (service ``evaluation``).

The Lab names the session as ``id``; the host answers with what its Python has. Then the Lab sends orders, until it ends
the channel. ``place`` lists files of the session by path, hash and size; the host asks for those that it does not have,
from where a broken connection left them. The answer has the command that predicts (:mod:`.evaluate`). ``fetch`` asks
for a file of the session. ``remove`` deletes the session. :mod:`.transfer` defines how files travel.

Files are kept by their hash, so a model that was sent before is not sent again. A session has copies: a model may write
into its own folder.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from typing import Any, Dict, List, NamedTuple

from .channels import Channel, ChannelReset
from .paths import private_folder, state_folder, unit_id_is_valid
from .starter import agent_command
from .threads import in_thread
from .transfer import BadTransfer, Damaged, Lost, Receiver, TransferChannel, digest_of, document, outgoing

_SHA = re.compile(r"[0-9a-f]{64}\Z")
_UNUSED_S = 30 * 24 * 3600.0


class _File(NamedTuple):
    path: str
    sha: str
    size: int


async def serve(channel: Channel) -> None:
    """Serve until the Lab has left. Raises ChannelReset."""
    channel.bulk = True
    session, talk = channel.params.get("id"), TransferChannel(channel)
    if not unit_id_is_valid(session):
        raise ChannelReset("invalid", "The id of the evaluation cannot be the name of a folder.")
    try:
        place = await in_thread(_Place, str(session))
        channel.write(document(await in_thread(_python)))
        while True:
            order = await talk.document()
            if not order:
                break
            if order.get("op") == "place":
                await place.receive(talk, [_file(each) for each in order["files"]])
            elif order.get("op") == "fetch":
                await place.send(talk, _relative(str(order["path"])))
            else:
                await in_thread(place.remove)
                channel.write(document({"removed": True}))
        channel.write_eof()
    except (BadTransfer, Lost, KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"evaluation: {error}") from error
    except OSError as error:
        raise ChannelReset(
            "failed",
            f"The files of the evaluation cannot be kept on the host: {error.strerror or error}.",
            "Free some disk space on the host.",
        ) from error


def _python() -> Dict[str, Any]:
    """Return the version of this Python, the values of environment markers, and the versions of its packages."""
    from importlib import metadata

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages: Dict[str, str] = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]
        if name:  # a broken distribution has none; the first on the path is the one that is imported
            packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
    return {
        "executable": sys.executable,
        "version": version,
        "packages": packages,
        "markers": {
            "implementation_name": sys.implementation.name,
            "implementation_version": platform.python_version(),
            "os_name": os.name,
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "platform_release": platform.release(),
            "platform_system": platform.system(),
            "platform_version": platform.version(),
            "python_full_version": platform.python_version(),
            "python_version": version,
            "sys_platform": sys.platform,
        },
    }


def _file(given: Any) -> _File:
    path, sha, size = _relative(str(given["path"])), str(given["sha"]), int(given["size"])
    if not _SHA.match(sha) or size < 0:
        raise ValueError(f"{path} has no hash")
    return _File(path, sha, size)


def _relative(path: str) -> str:
    """Return the path if it stays in its folder. Raises ValueError."""
    if os.path.isabs(path) or ".." in path.split("/") or "\0" in path or os.path.normpath(path) in (".", ""):
        raise ValueError(f"{path[:200]!r} is no path in a session")
    return os.path.normpath(path)


class _Place:
    """The folder of a session, and the files by their hash."""

    def __init__(self, session: str) -> None:
        root = private_folder(os.path.join(state_folder()[0], "evaluations"))
        self._files = private_folder(os.path.join(root, "files"))
        sessions = private_folder(os.path.join(root, "sessions"))
        self._session = session
        self.folder = os.path.join(sessions, session)
        _remove_unused(sessions)
        _remove_unused(self._files)

    async def receive(self, talk: TransferChannel, files: List[_File]) -> None:
        """Ask for missing files, then copy all into the session. Raises ChannelReset for a damaged one."""
        needed = await in_thread(self._needed, files)
        talk.channel.write(document({"need": [{"sha": sha, "from": there} for sha, there in needed.items()]}))
        sizes = {each.sha: each.size for each in files}
        for sha, there in needed.items():
            await self._take(talk, sha, sizes[sha], there)
        await in_thread(self._copy, files)
        talk.channel.write(document({"command": agent_command(sys.executable, ["evaluate", self.folder])}))

    async def send(self, talk: TransferChannel, path: str) -> None:
        """Send a file of the session."""
        with await in_thread(lambda: open(os.path.join(self.folder, path), "rb")) as stream:
            size = os.fstat(stream.fileno()).st_size
            talk.channel.write(document({"size": size}))
            await talk.send(outgoing(stream, size, exact=True))

    def remove(self) -> None:
        """Delete the session, and what arrived only in part."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in os.listdir(self._files):
            if name.startswith(".") and name.endswith(f".{self._session}"):
                os.unlink(os.path.join(self._files, name))

    def _part(self, sha: str) -> str:
        return os.path.join(self._files, f".{sha}.{self._session}")

    def _needed(self, files: List[_File]) -> Dict[str, int]:
        """Return the hashes of the files that are not here, and how many bytes of each are."""
        needed: Dict[str, int] = {}
        for each in files:
            if os.path.exists(os.path.join(self._files, each.sha)):
                continue
            part = self._part(each.sha)
            there = os.path.getsize(part) if os.path.exists(part) else 0
            needed[each.sha] = there if there <= each.size else 0
        return needed

    async def _take(self, talk: TransferChannel, sha: str, size: int, there: int) -> None:
        part, receiver = self._part(sha), Receiver(size)
        with await in_thread(lambda: open(part, "r+b") if there else open(part, "wb")) as stream:
            receiver.resume(there, await in_thread(digest_of, stream, there))
            try:
                await talk.receive(receiver, lambda each: stream.write(each.raw))
            except Damaged:
                os.unlink(part)
                raise
        if receiver.sha256 != sha:
            os.unlink(part)
            raise _damaged()
        os.replace(part, os.path.join(self._files, sha))

    def _copy(self, files: List[_File]) -> None:
        private_folder(self.folder)
        os.utime(self.folder)
        for each in files:
            target = os.path.join(self.folder, each.path)
            if os.path.exists(target) and _hash_of(target) == each.sha:
                continue  # an earlier connection placed it, and the models may run
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            source = os.path.join(self._files, each.sha)
            shutil.copyfile(source, f"{target}.part")
            if _hash_of(f"{target}.part") != each.sha:
                os.unlink(source)
                raise _damaged()
            os.utime(source)
            os.replace(f"{target}.part", target)


def _hash_of(path: str) -> str:
    with open(path, "rb") as stream:
        return str(digest_of(stream, os.path.getsize(path)).hexdigest())


def _damaged() -> ChannelReset:
    return ChannelReset("damaged", "A file of the evaluation was damaged on the host.", "Evaluate again.")


def _remove_unused(folder: str) -> None:
    for entry in os.scandir(folder):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
