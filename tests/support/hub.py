"""A stand-in for the Hugging Face hub on loopback: as much of its API as huggingface_hub needs for models.

The real hub cannot be reached from tests. The stand-in speaks what the library sends (repository, files with hashes,
ranges, tokens, gated repositories, commits); it cannot show what the real hub changes tomorrow.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

#: Files of this size and more are large files of git.
LARGE = 1000
TOKEN = "hf_of_the_tests"


@lru_cache(maxsize=64)
def _hashes(content: bytes) -> tuple[str, str]:
    """The hash of git and the SHA-256. Once for each content: hashing 200 MB for each request outlasts the patience of
    the hub's client on a busy machine."""
    blob = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    blob.update(content)
    return blob.hexdigest(), hashlib.sha256(content).hexdigest()


@dataclass
class Repository:
    """A repository's files by path, and who may read it."""

    files: dict[str, bytes]
    private: bool = False
    gated: bool = False
    #: Files whose content differs from the announced hash.
    lying: set[str] = field(default_factory=set)

    @property
    def commit(self) -> str:
        listing = "".join(path + _hashes(content)[1] for path, content in sorted(self.files.items()))
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def sibling(self, path: str) -> dict[str, Any]:
        content = self.files[path]
        blob, sha256 = _hashes(content)
        found: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": blob}
        if len(content) >= LARGE:
            found["lfs"] = {
                "sha256": sha256, "size": len(content), "pointerSize": 100,
            }  # fmt: skip
        return found


@dataclass
class Hub:
    """The stand-in: its address, its repositories, and the requests for files (path, first byte)."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    #: The bytes of files that were sent.
    sent: int = 0
    #: Bytes after which the next answer with a file is cut off.
    cut_after: int | None = None
    stored: dict[str, bytes] = field(default_factory=dict)
    #: Large files (by hash) whose uploads stand still, and whether one does.
    held_uploads: set[str] = field(default_factory=set)
    is_holding: threading.Event = field(default_factory=threading.Event)
    #: The hashes of the large files that arrived, in order.
    uploads: list[str] = field(default_factory=list)


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """Run the stand-in."""
    found = Hub()

    class Handler(_Handler):
        state = found

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        parts = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        if parts is not None:
            self._tell(parts[1], parts[2] or "main")
            return
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if file is not None:
            self._give(file[1], file[3], body=body)
            return
        self._error(404, "EntryNotFound")

    def _allowed(self, name: str) -> Repository | None:
        found = self.state.repositories.get(name)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or (found.private and not known):
            self._error(404, "RepoNotFound")
            return None
        if found.gated and not known:
            self._error(403, "GatedRepo")
            return None
        return found

    def _tell(self, name: str, revision: str) -> None:
        found = self._allowed(name)
        if found is None:
            return
        if revision not in ("main", found.commit):
            self._error(404, "RevisionNotFound")
            return
        siblings = [found.sibling(path) for path in sorted(found.files)]
        self._json({"id": name, "sha": found.commit, "siblings": siblings, "private": found.private})

    def _give(self, name: str, path: str, *, body: bool) -> None:
        found = self._allowed(name)
        if found is None:
            return
        content = found.files.get(path)
        if content is None:
            self._error(404, "EntryNotFound")
            return
        sibling = found.sibling(path)
        start, end = 0, len(content)
        if given := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start = int(given[1])
            end = min(int(given[2]) + 1, end) if given[2] else end
        if body:
            self.state.asked.append((path, start))
            self.state.sent += end - start
        if path in found.lying:
            content = bytes(len(content))
        part = start > 0 or end < len(content)
        self.send_response(206 if part else 200)
        self.send_header("ETag", f'"{sibling.get("lfs", {}).get("sha256", sibling["blobId"])}"')
        self.send_header("X-Repo-Commit", found.commit)
        self.send_header("Accept-Ranges", "bytes")
        if part:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        content = content[:end]
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if not body:
            return
        if self.state.cut_after is not None and len(content) - start > self.state.cut_after:
            self.wfile.write(content[start : start + self.state.cut_after])
            self.state.cut_after = None
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def do_PUT(self) -> None:
        name = self.path.rpartition("/")[2]
        if name in self.state.held_uploads:
            self.state.is_holding.set()
            while self.rfile.read(1):  # until the client is gone
                time.sleep(0.001)
            self.close_connection = True
            return
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.state.stored[name] = content
        self.state.uploads.append(name)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(401, "")
            return
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in self.state.repositories:
                self._json({"url": f"{self.state.url}/{name}", "error": "exists"}, 409)
                return
            self.state.repositories[name] = Repository(
                {}, private=asked.get("visibility") == "private" or bool(asked.get("private"))
            )
            self._json({"url": f"{self.state.url}/{name}", "name": name})
        elif path.startswith("/api/models/") and "/preupload/" in path:
            asked = json.loads(body)
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for each in asked["files"]
            ]
            self._json({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {"oid": each["oid"], "size": each["size"]}
                | (
                    {}  # there already
                    if each["oid"] in self.state.stored
                    else {"actions": {"upload": {"href": f"{self.state.url}/lfs/{each['oid']}", "header": {}}}}
                )
                for each in json.loads(body)["objects"]
            ]  # fmt: skip
            self._json({"transfer": "basic", "objects": objects})
        elif path.startswith("/api/models/") and "/commit/" in path:
            name = "/".join(path.split("/")[3:5])
            found = self.state.repositories[name]
            files = dict(found.files)
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                elif entry["key"] == "lfsFile":
                    files[entry["value"]["path"]] = self.state.stored[entry["value"]["oid"]]
            found.files = files
            self._json(
                {"commitOid": found.commit, "commitUrl": f"{self.state.url}/{name}/commit/{found.commit}"}
            )
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._error(404, f"unknown {path} {parse_qs(urlsplit(self.path).query)}")

    def _json(self, answer: Any, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
