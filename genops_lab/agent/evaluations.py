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
from typing import Any, Dict, List

from .channels import Channel, ChannelReset
from .paths import private_folder, state_folder, unit_id_is_valid
from .placing import FileStore, PlacedFile, placed_file, relative, remove_unused
from .starter import agent_command
from .threads import in_thread
from .transfer import BadTransfer, Lost, TransferChannel, document, outgoing


async def serve(channel: Channel) -> None:
    """Serve until the Lab has left. Raises ChannelReset."""
    channel.bulk = True
    session, talk = channel.params.get("id"), TransferChannel(channel)
    if not unit_id_is_valid(session):
        raise ChannelReset("invalid", "The id of the evaluation cannot be the name of a folder.")
    try:
        place = await in_thread(_Place, str(session))
        channel.write(document(await in_thread(python_here)))
        while True:
            order = await talk.document()
            if not order:
                break
            if order.get("op") == "place":
                await place.receive(talk, [placed_file(each) for each in order["files"]])
            elif order.get("op") == "fetch":
                await place.send(talk, relative(str(order["path"])))
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


class _Place:
    """The folder of a session."""

    def __init__(self, session: str) -> None:
        self._store = FileStore(session, "the evaluation", "Evaluate again.")
        root = private_folder(os.path.join(state_folder()[0], "evaluations"))
        sessions = private_folder(os.path.join(root, "sessions"))
        self.folder = os.path.join(sessions, session)
        remove_unused(sessions)

    async def receive(self, talk: TransferChannel, files: List[PlacedFile]) -> None:
        """Ask for missing files, then copy all into the session. Raises ChannelReset for a damaged one."""
        await self._store.receive(talk, files, self.folder)
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
        self._store.remove_parts()
