"""A host fetches files from a hub: redirects, mirrors without ranges, a hub that is away, a fetch that is ended."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.hub_fetch import Hub, HubFile, Unreachable, look

CONTENT = bytes(range(256)) * 4096
TOKEN = "hf_of_a_person"


class Mirror(ThreadingHTTPServer):
    """Sends :data:`CONTENT` and knows no ranges. ``/to/URL`` is a redirect."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, *_given: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        away = self.path.startswith("/to/")
        self.send_response(302 if away else 200)
        if away:
            self.send_header("Location", self.path[len("/to/") :])
        self.send_header("Content-Length", "0" if away else str(len(CONTENT)))
        self.end_headers()
        if not away:
            self.wfile.write(CONTENT)


@pytest.fixture(scope="module")
def mirrors() -> Iterator[tuple[Mirror, Mirror]]:
    found = Mirror(), Mirror()
    yield found
    for each in found:
        each.shutdown()
        each.server_close()


def file_at(url: str, part: Path, content: bytes = CONTENT) -> HubFile:
    return HubFile(url, hashlib.sha256(content).hexdigest(), len(content), str(part))


def test_the_token_is_for_the_hub_and_not_for_where_it_redirects(
    mirrors: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    own, other = mirrors
    Hub(TOKEN).fetch(file_at(f"{own.url}/to/{own.url}/renamed", tmp_path / "a"))
    Hub(TOKEN).fetch(file_at(f"{own.url}/to/{other.url}/stored", tmp_path / "b"))
    bearer = f"Bearer {TOKEN}"
    assert own.asked[1] == ("/renamed", bearer) and {token for _, token in own.asked} == {bearer}
    assert other.asked == [("/stored", "")]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == CONTENT


def test_what_cannot_be_fetched_says_why_and_keeps_its_part(
    mirrors: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    own, part = mirrors[0], tmp_path / "part"
    part.write_bytes(CONTENT[:1000])
    hub = Hub("")
    hub.stopping.set()
    with pytest.raises(Unreachable, match="cancelled"):
        hub.fetch(file_at(f"{own.url}/x", part, CONTENT + b"more"))
    part.write_bytes(b"wrong")
    hub = Hub("")
    hub.fetch(file_at(f"{own.url}/x", part))
    assert part.read_bytes() == CONTENT and hub.done == len(CONTENT), "without ranges it begins again"
    part.write_bytes(b"")
    with pytest.raises(Unreachable, match="a larger file"):
        Hub("").fetch(file_at(f"{own.url}/x", part, CONTENT[:1000]))
    part.unlink()
    with pytest.raises(Unreachable, match="another content"):
        Hub("").fetch(file_at(f"{own.url}/x", part, CONTENT[::-1]))
    assert not part.exists(), "what is wrong must not be continued"
    told = look([file_at("http://127.0.0.1:9/x", part)], "")
    assert told["missing_bytes"] == len(CONTENT) and "refused" in told["problem"]
    assert look([file_at(f"{own.url}/x", part)], "")["bytes_per_s"] > 0
    assert "neither http" in look([file_at("file:///etc/passwd", part)], "")["problem"]
