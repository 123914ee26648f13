"""Fetch files of a model from its hub, so that the Lab need not send them. Standard library alone.

A file that arrived in part goes on by a range. The token of a gated repository is a header for the hub itself, and for
no server that the hub redirects to. It is in no argument, file or log.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import os
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .threads import in_thread
from .transfer import TransferChannel, digest_of, document

#: Seconds without a byte, and tries without one, after which the hub counts as out of reach.
TIMEOUT_S, TRIES = 15.0, 2
TOLD_S = 1.0
_CHUNK = 1 << 18
#: A look at the speed reads at most so many bytes, for so long.
_LOOK_BYTES, _LOOK_S = 4 << 20, 2.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Unreachable(Exception):
    """The hub does not give a file. The argument says why."""


class HubFile(NamedTuple):
    """A file of a hub: its address, its SHA-256, its size in bytes, and where it arrives."""

    url: str
    sha: str
    size: int
    part: str


class Hub:
    """Fetches files, one after another, until ``stopping``. ``done`` counts the bytes that are here."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._opener = build_opener(_Redirects)
        self.stopping = threading.Event()
        self.done = 0

    def fetch(self, file: HubFile) -> None:
        """Fetch a file, from where its part ends. Raises Unreachable; OSError for a full disk. Blocks."""
        before, tries = self.done, 0
        while True:
            there = _size(file.part)
            self.done = before + there
            if there >= file.size:
                break
            try:
                self._more(file, there)
            except HTTPError as error:
                raise Unreachable(f"it answered {error.code}") from error
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise
                tries = 0 if _size(file.part) > there else tries + 1
                if tries == TRIES:
                    raise Unreachable(str(getattr(error, "reason", error))[:200]) from error
                self.stopping.wait(1)
        with open(file.part, "rb") as stream:
            if there != file.size or digest_of(stream, there).hexdigest() != file.sha:
                os.unlink(file.part)
                raise Unreachable("it gave another content")

    def speed(self, file: HubFile) -> float:
        """Return the bytes a second of the beginning of a file. Raises Unreachable. Blocks."""
        read = 0
        try:
            with self._opener.open(self._request(file.url, 0, _LOOK_BYTES), timeout=TIMEOUT_S) as answer:
                began = time.monotonic()
                while chunk := answer.read(_CHUNK):
                    read += len(chunk)
                    if read >= _LOOK_BYTES or time.monotonic() - began > _LOOK_S:
                        break
        except HTTPError as error:
            raise Unreachable(f"it answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(getattr(error, "reason", error))[:200]) from error
        return read / max(time.monotonic() - began, 0.001)

    def _more(self, file: HubFile, there: int) -> None:
        with self._opener.open(self._request(file.url, there), timeout=TIMEOUT_S) as answer:
            begins = there if answer.status == 206 else 0  # a mirror may know no ranges
            with open(file.part, "r+b" if begins else "wb") as stream:
                stream.seek(begins)
                while True:
                    chunk = answer.read(_CHUNK)
                    if not chunk:
                        break
                    if self.stopping.is_set():
                        raise Unreachable("the fetch was cancelled")
                    if begins + len(chunk) > file.size:
                        raise Unreachable("it gave a larger file")
                    stream.write(chunk)
                    begins += len(chunk)
                    self.done += len(chunk)
        if begins < file.size:
            raise ConnectionError("the answer was cut off")

    def _request(self, url: str, start: int, count: Optional[int] = None) -> Request:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Unreachable("its address is neither http nor https")
        headers = {"Accept-Encoding": "identity", "User-Agent": "genops-lab"}
        request = Request(url, headers=headers)  # noqa: S310 - the scheme was checked
        if start or count:
            request.add_header("Range", f"bytes={start}-{start + count - 1 if count else ''}")
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return request


class _Redirects(HTTPRedirectHandler):
    """Keeps the token where a renamed repository is redirected to the same server."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[Request]:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.get_header("Authorization")
        if found is not None and token and urlsplit(newurl)[:2] == urlsplit(req.full_url)[:2]:
            found.add_unredirected_header("Authorization", token)
        return found


async def fetch_from_hub(talk: TransferChannel, files: List[HubFile], token: str) -> List[HubFile]:
    """Return the files that were fetched, and tell the Lab meanwhile. The Lab sends the others.

    Raises ChannelReset when the Lab has left: parts stay for the next time.
    """
    hub, fetched, every = Hub(token), list(files[:0]), sum(each.size for each in files)
    try:
        for each in files:
            work = asyncio.ensure_future(in_thread(hub.fetch, each))
            work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            while not (await asyncio.wait({work}, timeout=TOLD_S))[0]:
                await _send_progress(talk, {"done": hub.done, "all": every})
            try:
                await work
            except Unreachable as error:
                await _send_progress(talk, {"done": hub.done, "all": every, "problem": str(error)})
                return fetched
            fetched.append(each)
        await _send_progress(talk, {"done": hub.done, "all": every})
        return fetched
    finally:
        hub.stopping.set()


async def _send_progress(talk: TransferChannel, progress: Dict[str, Any]) -> None:
    talk.channel.write(document({"hub": progress}))
    await talk.channel.drain()


def look(files: List[HubFile], token: str) -> Dict[str, Any]:
    """Return the missing bytes, and how fast the hub gives them or why not. Blocks."""
    missing = sum(each.size for each in files)
    if not files:
        return {"missing_bytes": 0}
    try:
        speed = Hub(token).speed(max(files, key=lambda each: each.size))
    except Unreachable as error:
        return {"missing_bytes": missing, "problem": str(error)}
    return {"missing_bytes": missing, "bytes_per_s": speed}


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0
