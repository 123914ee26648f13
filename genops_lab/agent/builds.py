"""Start, follow and cancel builds of environments on this host, for ``attach``.

A build belongs to no connection: after a cut the Lab sends the same order again, and reads on where it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any, Dict, List, Optional

from . import environments, survival
from .build_messages import disk_words
from .build_state import LOG, end_leftovers, read_state
from .channels import Channel, ChannelReset
from .environments import Place, Refused
from .paths import state_folder
from .starter import agent_command
from .state_file import FolderLock
from .threads import in_thread

_LOOK_S = 0.1
_BEGIN_S = 60.0
_CANCEL_S = 30.0
_MAX_ORDER_BYTES = 32 * 1024 * 1024
_PORTION_BYTES = 65536
_KINDS = ("uv", "pylock", "requirements", "none")


class Builds:
    """The service ``build`` and the call ``builds.cancel``."""

    async def serve(self, channel: Channel) -> None:
        """Read an order, start it unless it already runs, and send its events from ``after`` on, then its
        end."""
        order = _checked(await _read_order(channel))
        try:
            place = await in_thread(_place, order)
            found = await in_thread(_made, order, place)
            if found is None:
                after = await self._begin(order, place, int(channel.params.get("after") or 0))
                # Another order's id where a build with the same contents was joined.
                joined = {"id": read_state(place.work).get("id", order["id"]), "at": after}
                channel.write(json.dumps({"progress": joined}).encode() + b"\n")
                found = await self._follow(channel, place, after)
        except Refused as refused:
            raise ChannelReset(refused.code, refused.message, refused.hint) from None
        except OSError as error:
            words = disk_words(error, str(order.get("folder") or environments.root()))
            raise ChannelReset("disk", words["message"], words["hint"]) from None
        channel.write(json.dumps({"result": found}).encode() + b"\n")
        channel.write_eof()

    async def cancel(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``builds.cancel`` once the build ``id`` has left nothing; return whether there was
        something."""
        state, _ = await in_thread(state_folder)
        for work in await in_thread(_works, state):
            recorded = read_state(work)
            if recorded.get("id") != params["id"] or not await in_thread(_is_held, work):
                continue
            os.kill(int(recorded["pid"]), signal.SIGTERM)
            for _ in range(int(_CANCEL_S / _LOOK_S)):
                if not await in_thread(_is_held, work):
                    return {"cancelled": True}
                await asyncio.sleep(_LOOK_S)
            raise ChannelReset(
                "unresponsive",
                "The build does not end.",
                "Log in to the host and check what the build waits for.",
            )
        return {"cancelled": False}

    async def _begin(self, order: Dict[str, Any], place: Place, after: int) -> int:
        """Return where this order's events begin, or continue, in the log."""
        recorded = read_state(place.work)
        if recorded.get("id") == order["id"]:  # by this very order, earlier
            return after
        survives = await in_thread(survival.look)
        command = agent_command(sys.executable, ["build"])
        if survives.through_systemd:
            command = survival.in_own_unit(command, f"genops-build-{os.path.basename(place.work)}")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        given = {**order, "folder": place.folder, "work": place.work, "env": dict(os.environ)}
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(given).encode())
            process.stdin.close()
            line = (await asyncio.wait_for(process.stdout.readline(), _BEGIN_S)).strip()
        except (asyncio.TimeoutError, ConnectionError):
            line = b""
        if line == b"begun":
            return 0
        if line == b"busy":
            if read_state(place.work).get("digest") == order["digest"]:
                return after
            raise ChannelReset(
                "building",
                f"Another build at {place.folder} is running.",
                "Wait until it ends, cancel it, or give another name.",
            )
        words = (
            json.loads(line) if line.startswith(b"{") else {"message": "The build did not start.", "hint": ""}
        )
        raise ChannelReset("start_failed", words["message"], words["hint"])

    async def _follow(self, channel: Channel, place: Place, after: int) -> Dict[str, Any]:
        path, rest = os.path.join(place.work, LOG), b""
        while True:
            running = await in_thread(_is_held, place.work)
            data = await in_thread(_read, path, after + len(rest))
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                after += len(line) + 1
                event = _event(line)
                if "end" in event:
                    end: Dict[str, Any] = event["end"]
                    return end
                channel.write(json.dumps({"progress": {**event, "at": after}}).encode() + b"\n")
                await channel.drain()
            if not data:
                if not running:
                    return await in_thread(_abandoned, place)
                await asyncio.sleep(_LOOK_S)


async def _read_order(channel: Channel) -> Dict[str, Any]:
    pieces: List[bytes] = []
    size = 0
    while data := await channel.read():
        pieces.append(data)
        size += len(data)
        if size > _MAX_ORDER_BYTES:
            raise ChannelReset("too_large", "The project's files are too large.", "Send only a lock file.")
    try:
        found = json.loads(b"".join(pieces))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ChannelReset("invalid", "The order is invalid.")
    return found


def _checked(order: Dict[str, Any]) -> Dict[str, Any]:
    """Return the complete order. Raises ChannelReset."""
    source = dict(order.get("source") or {"kind": "none"})
    files = source.get("files") or {}
    packages = [str(each) for each in order.get("packages") or []]
    # A package that begins with a dash would be an option.
    good = source.get("kind") in _KINDS and isinstance(files, dict) and packages
    if (
        not good
        or any(not each[:1].isalnum() for each in packages)
        or str(order.get("python") or "").startswith("-")
    ):
        raise ChannelReset(
            "invalid", "The order is invalid.", "The Lab may have another version than the agent."
        )
    checked = {
        "id": str(order.get("id") or ""),
        "adds": bool(order.get("adds")),
        "folder": str(order.get("folder") or ""),
        "project": str(order.get("project") or ""),
        "packages": packages,
        "python": str(order.get("python") or ""),
        "source": {
            "kind": source["kind"],
            "main": os.path.basename(str(source.get("main") or "")),
            "files": {str(name): str(text) for name, text in files.items()},
        },
    }
    return {**checked, "digest": environments.digest_of(checked)}


def _place(order: Dict[str, Any]) -> Place:
    if order["adds"]:
        return Place(sys.prefix, environments.work_folder(sys.prefix))
    return environments.place_of(order)


def _made(order: Dict[str, Any], place: Place) -> Optional[Dict[str, Any]]:
    """Return the end of an order that was already carried out."""
    if order["adds"] or read_state(place.work).get("id") == order["id"]:
        return None
    return environments.made_before(place.folder, order["digest"])


def _works(state: str) -> List[str]:
    root = os.path.join(state, "builds")
    return [os.path.join(root, name) for name in os.listdir(root)] if os.path.isdir(root) else []


def _is_held(work: str) -> bool:
    lock = FolderLock(work)
    if not lock.take():
        return True
    lock.release()
    return False


def _read(path: str, offset: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read(_PORTION_BYTES)
    except FileNotFoundError:
        return b""


def _event(line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # a full disk cut off a part of it
        found = None
    return found if isinstance(found, dict) else {"line": ""}


def _abandoned(place: Place) -> Dict[str, Any]:
    """Return the end of a build whose process disappeared."""
    lock = FolderLock(place.work)
    if lock.take():
        try:
            end_leftovers(place.work)
            environments.remove(place.folder)
        except OSError as error:
            return {"state": "failed", "code": "gone", **disk_words(error, place.folder)}
        finally:
            lock.release()
    return {
        "state": "failed",
        "code": "gone",
        "message": "The build was killed, or the host was restarted.",
        "hint": "No files of it are left. Start the build again.",
    }
