"""Take the files of an evaluation onto this host, and give its results to the Lab (service ``evaluation``).

The Lab names the session as ``id`` and its ``program``, ``evaluate`` or ``answers``; the host answers with what its
Python has. Then the Lab sends orders, until it ends the channel. ``place`` lists files of the session by path, hash and
size; the host asks for those that it does not have, from where a broken connection left them. The answer has the
command that works with them (:mod:`.evaluate`, :mod:`.run_evaluation`). ``list`` asks for the paths of the files of a
folder of the session, and ``fetch`` for a file. ``remove`` deletes the session. :mod:`.transfer` says how files travel.

Files are kept by their hash, so a model that was sent before is not sent again. A session has copies: a model may write
into its own folder. The files ``own`` are in the session alone, and end with it. Those of ``absent`` too, and they are
left out where the session has such a file: it is newer.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from typing import Any, Dict, List

from .channels import Channel, ChannelReset
from .paths import private_folder, state_folder, unit_id_is_valid
from .placing import FileStore, PlacedFile, placed_file, relative, remove_unused
from .starter import agent_command
from .threads import in_thread
from .transfer import BadTransfer, Lost, TransferChannel, document, outgoing

PROGRAMS = ("evaluate", "answers")


async def serve(channel: Channel) -> None:
    """Serve until the Lab has left. Raises ChannelReset."""
    channel.bulk = True
    session, talk = channel.params.get("id"), TransferChannel(channel)
    program = str(channel.params.get("program") or PROGRAMS[0])
    if not unit_id_is_valid(session):
        raise ChannelReset("invalid", "The id of the evaluation cannot be the name of a folder.")
    if program not in PROGRAMS:
        raise ChannelReset("invalid", "The host has no such program for evaluations.")
    try:
        place = await in_thread(_Place, str(session), program)
        channel.write(document(await in_thread(python_here)))
        while True:
            order = await talk.document()
            if not order:
                break
            if order.get("op") == "place":
                await place.receive(talk, *(_listed(order, name) for name in ("files", "own", "absent")))
            elif order.get("op") == "fetch":
                await place.send(talk, relative(str(order["path"])))
            elif order.get("op") == "list":
                found = await in_thread(place.listed, relative(str(order["path"])))
                channel.write(document({"files": found}))
            elif order.get("op") == "remove":
                await in_thread(place.remove)
                channel.write(document({"removed": True}))
            else:
                raise ValueError("the order is unknown")
        channel.write_eof()
    except (BadTransfer, Lost, KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"evaluation: {error}") from error
    except OSError as error:
        raise ChannelReset(
            "failed",
            f"The files of the evaluation cannot be kept on the host: {error.strerror or error}.",
            "Free some disk space on the host.",
        ) from error


def python_here() -> Dict[str, Any]:
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


def _listed(order: Dict[str, Any], name: str) -> List[PlacedFile]:
    return [placed_file(each) for each in order.get(name) or ()]


class _Place:
    """The folder of a session."""

    def __init__(self, session: str, program: str) -> None:
        self._program, self._owner = program, session
        self._store = self._files()
        root = private_folder(os.path.join(state_folder()[0], "evaluations"))
        sessions = private_folder(os.path.join(root, "sessions"))
        self.folder = os.path.join(sessions, session)
        remove_unused(sessions)

    def _files(self, folder: str = "") -> FileStore:
        return FileStore(self._owner, "the evaluation", "Evaluate again.", folder)

    async def receive(
        self, talk: TransferChannel, files: List[PlacedFile], own: List[PlacedFile], absent: List[PlacedFile]
    ) -> None:
        """Ask for missing files, then copy all into the session. Raises ChannelReset for a damaged one."""
        await self._store.receive(talk, files, self.folder)
        if own or absent:
            more = await in_thread(lambda: [each for each in absent if not self._has(each.path)])
            arriving = os.path.join(self.folder, ".arriving")
            await (await in_thread(self._files, arriving)).receive(talk, [*own, *more], self.folder)
            await in_thread(shutil.rmtree, arriving, True)
        talk.channel.write(document({"command": agent_command(sys.executable, [self._program, self.folder])}))

    async def send(self, talk: TransferChannel, path: str) -> None:
        """Send a file of the session, or say that there is none."""
        if not await in_thread(self._has, path):
            talk.channel.write(document({"size": None}))
            return
        with await in_thread(lambda: open(os.path.join(self.folder, path), "rb")) as stream:
            size = os.fstat(stream.fileno()).st_size
            talk.channel.write(document({"size": size}))
            await talk.send(outgoing(stream, size, exact=True))

    def listed(self, path: str) -> List[str]:
        """Return the paths of the files in a folder of the session and below it."""
        return sorted(
            os.path.relpath(os.path.join(folder, name), self.folder)
            for folder, _folders, names in os.walk(os.path.join(self.folder, path))
            for name in names
        )

    def _has(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.folder, path))

    def remove(self) -> None:
        """Delete the session, and what arrived only in part."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._store.remove_parts()
