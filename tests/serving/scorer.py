"""A scoring process without a model: uvicorn, as the real one has it. ``python scorer.py NAME KEY`` prints its port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any

import uvicorn

NAME, KEY = sys.argv[1], sys.argv[2].encode()
seen: list[str] = []
#: Headers that change what browsers and proxies do; callers get none of them.
DROPPED = [
    b"set-cookie", b"nel", b"report-to", b"reporting-endpoints", b"alt-svc", b"service-worker-allowed",
    b"x-accel-redirect", b"strict-transport-security", b"access-control-allow-origin", b"location", b"x-unknown",
]  # fmt: skip


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do what the path says."""
    headers = dict(scope["headers"])
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    path = scope["path"]
    status = 200 if headers.get(b"authorization") == b"Bearer " + KEY else 401
    if path == "/stream":
        await _stream(headers, receive, send)
        return
    text = body
    if path == "/slow":
        await asyncio.sleep(float(body or b"60"))
        seen.append("slow ended")
    elif path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif path == "/headers":
        text = b"\n".join(b"%b: %b" % pair for pair in scope["headers"])
    elif path == "/seen":
        text = "\n".join(seen).encode()
    elif path == "/client":
        text = str(scope["client"][1]).encode()
    elif path == "/large":
        text = b"x" * 8_000_000
    elif path == "/who":
        await asyncio.sleep({"late": 0.1, "hangs": 60.0}.get(NAME, 0.0))
        text = NAME.encode()
    if path == "/half":
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await asyncio.sleep(0.2)  # it is sent by then
        os.kill(os.getpid(), signal.SIGKILL)
    own = [
        (b"content-length", str(len(text)).encode()),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"x-ratelimit-remaining", b"2"),
        (b"x-genops-revision", b"9"),
        *((each, b"a") for each in DROPPED),
    ]
    await send(
        {"type": "http.response.start", "status": status, "headers": own if path != "/who" else own[:1]}
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})


async def _stream(headers: Any, receive: Any, send: Any) -> None:
    """Say a line each 0.1 s: as many as ``x-lines`` says, then end or, with ``x-dies``, be killed."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    gone = asyncio.ensure_future(receive())
    for number in range(int(headers.get(b"x-lines", b"3"))):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.1)
        if gone.done():
            seen.append("caller left")
            return
    if b"x-dies" in headers:
        os.kill(os.getpid(), signal.SIGKILL)
    gone.cancel()
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Listen on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0))
        listener.listen(128)
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, log_level="critical", timeout_keep_alive=30, lifespan="off", server_header=False
        )
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
