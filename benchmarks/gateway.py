"""The gateway beside aiohttp as a proxy and HAProxy: added time and requests per CPU second, in interleaved rounds.

The scoring process is the same small one for all. Its answers are checked. HAProxy has a key to compare and a limit of
requests by key; aiohttp passes on without any check. Without a program the figure has no line for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.lab_server import free_port

from .figure import Figure

ROUNDS, REQUESTS, CONNECTIONS = 7, 600, 16
LOAD = 4000
CHUNKS = 20_000
KEY = "a-key-of-the-callers"
BODY = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
ANSWER = b'{"predictions": [0]}'
#: The counts of the whole: requests, changes of weights, killed scorers, changes back.
ALL, CHANGES, KILLS, BACK = 100_000, 1000, 100, 20

SCORER = f"""
import asyncio, sys
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: {len(ANSWER)}\\r\\n\\r\\n" + {ANSWER!r}
class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        while True:
            head, found, rest = self.data.partition(b"\\r\\n\\r\\n")
            if not found:
                return
            length = [line[15:] for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            size = int(length[0]) if length else 0
            if len(rest) < size:
                return
            self.data = rest[size:]
            if b"/stream" in head:
                asyncio.ensure_future(self.stream())
            else:
                self.transport.write(ANSWER)
    async def stream(self):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n")
        for number in range({CHUNKS}):
            self.transport.write(b"10\\r\\ndata: %08d\\n\\n\\r\\n" % number)
            if number % 20 == 0:
                await asyncio.sleep(0)
        self.transport.write(b"0\\r\\n\\r\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", int(sys.argv[1]))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
AIOHTTP = """
import sys, aiohttp
from aiohttp import web
async def passed_on(request):
    session = request.app["session"]
    headers = {n: v for n, v in request.headers.items() if n.lower() not in ("host", "connection", "content-length")}
    body = await request.read()
    async with session.request(request.method, sys.argv[1] + request.path_qs, headers=headers, data=body) as found:
        answer = web.StreamResponse(status=found.status, headers={"X-Request-ID": "a"})
        if found.content_length is not None:
            answer.content_length = found.content_length
        await answer.prepare(request)
        async for part in found.content.iter_any():
            await answer.write(part)
        await answer.write_eof()
        return answer
async def session(app):
    app["session"] = aiohttp.ClientSession(auto_decompress=False)
    yield
    await app["session"].close()
app = web.Application(client_max_size=64 * 2**20)
app.cleanup_ctx.append(session)
app.router.add_route("*", "/{rest:.*}", passed_on)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)
"""
HAPROXY = """
global
    maxconn 2000
    nbthread 1
defaults
    mode http
    option http-no-delay
    option http-keep-alive
    http-reuse always
    timeout client 60s
    timeout server 60s
    timeout connect 3s
frontend callers
    bind 127.0.0.1:{port}
    stick-table type string len 64 size 1k expire 1m store http_req_rate(60s)
    http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str "Bearer {key}" }}
    http-request track-sc0 req.hdr(authorization)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000000 }}
    http-request set-header authorization "Bearer of-scorer"
    default_backend scorer
backend scorer
    server one 127.0.0.1:{scorer}
"""


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as ends:
        folder = Path(scratch)
        scorer_port = ends.enter_context(_scorer())[1]
        ways: dict[str, tuple[int, psutil.Process | None]] = {"direct": (scorer_port, None)}
        gateway = ends.enter_context(_gateway(folder))
        gateway.route([(scorer_port, 1)])
        ways["gateway"] = (gateway.port, psutil.Process(gateway.process.pid))
        for name, command in _peers(folder, scorer_port):
            port, process = ends.enter_context(_listening(*command))
            ways[name] = (port, psutil.Process(process.pid))
        yield from _requests(ways)
        yield from _streams(ways)
    with tempfile.TemporaryDirectory() as scratch:
        yield _lost(Path(scratch))


def _peers(folder: Path, scorer: int) -> Iterator[tuple[str, tuple[list[str], int]]]:
    with suppress(ImportError):
        import aiohttp  # noqa: F401

        port = free_port()
        yield "aiohttp", ([sys.executable, "-c", AIOHTTP, f"http://127.0.0.1:{scorer}", str(port)], port)
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program:
        port = free_port()
        (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, scorer=scorer, key=KEY))
        yield "haproxy", ([program, "-db", "-f", str(folder / "haproxy.cfg")], port)


def _requests(ways: dict[str, tuple[int, psutil.Process | None]]) -> Iterator[Figure]:
    medians: dict[str, list[float]] = {name: [] for name in ways}
    rates: dict[str, list[float]] = {name: [] for name in ways if name != "direct"}
    for _ in range(ROUNDS):
        for name, (port, process) in ways.items():
            medians[name].append(statistics.median(_latencies_ms(port)))
            if process is not None:
                before = _cpu_s(process)
                asyncio.run(_load(port))
                rates[name].append(LOAD / (_cpu_s(process) - before))
    added = {
        name: [each - direct for each, direct in zip(found, medians["direct"], strict=True)]
        for name, found in medians.items()
        if name != "direct"
    }
    for peer in [each for each in rates if each != "gateway"] or [""]:
        yield Figure(
            name=f"gateway added p50, beside {peer}", unit="ms", values=added["gateway"], target=0.2,
            baseline=peer, baseline_values=added.get(peer, ()),
            notes={"direct_p50_ms": round(statistics.median(medians["direct"]), 3)},
        )  # fmt: skip
        yield Figure(
            name=f"gateway requests per CPU second, beside {peer}", unit="1/s", values=rates["gateway"], baseline=peer,
            baseline_values=rates.get(peer, ()),
        )  # fmt: skip


def _streams(ways: dict[str, tuple[int, psutil.Process | None]]) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (port, _) in ways.items():
            rates[name].append(_chunks_per_s(port))
    shares = [each / direct for each, direct in zip(rates["gateway"], rates["direct"], strict=True)]
    yield Figure(
        name="gateway streamed chunks", unit="1/s", values=rates["gateway"], baseline="direct",
        baseline_values=rates["direct"], notes={"share_of_direct": round(statistics.median(shares), 3)},
    )  # fmt: skip


def _request(path: str) -> bytes:
    return (
        f"POST /digits{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nIdempotency-Key: a\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


def _latencies_ms(port: int) -> list[float]:
    """Return the times of requests, one after the other on a kept connection."""
    request, times = _request("/invocations"), []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(REQUESTS + 50):
            began = time.perf_counter()
            connection.sendall(request)
            found = b""
            while ANSWER not in found:
                part = connection.recv(65536)
                if not part or not found.startswith(b"HTTP/1.1 200"[: len(found)]):
                    raise RuntimeError(f"not an answer: {found + part!r}")
                found += part
            if number >= 50:
                times.append((time.perf_counter() - began) * 1000)
    return times


async def _load(port: int) -> None:
    """Send ``LOAD`` requests over ``CONNECTIONS`` connections as fast as they are answered."""
    request = _request("/invocations")

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(LOAD // CONNECTIONS):
            writer.write(request)
            await reader.readuntil(ANSWER)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


def _chunks_per_s(port: int) -> float:
    last = b"data: %08d" % (CHUNKS - 1)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(_request("/stream"))
        end, count = b"", 0
        while last not in end:
            part = connection.recv(1 << 16)
            if not part:
                raise RuntimeError("the stream ended early")
            count += len(part)
            end = (end + part)[-200:]
    return CHUNKS / (time.perf_counter() - began)


def _cpu_s(process: psutil.Process) -> float:
    found = process.cpu_times()
    return float(found.user + found.system)


def _lost(folder: Path) -> Figure:
    """Count failed requests over changes of weights, killed scorers and changes back to the first revision."""
    from tests.serving.callers import calling

    chance = random.Random(1)
    with _gateway(folder) as gateway, ExitStack() as ends:
        scorers = [ends.enter_context(_scorer()) for _ in range(2)]
        weights = [1, 0]

        def changed() -> None:
            gateway.route([(port, weight) for (_, port), weight in zip(scorers, weights, strict=True)])

        changed()
        with calling(gateway.port, "/digits/invocations", KEY, BODY, 4) as callers:
            for number in range(CHANGES):
                weights[:] = [chance.randint(0, 9), chance.randint(1, 9)]
                if number % (CHANGES // BACK) == 0:
                    weights[:] = [1, 0]
                changed()
                if number % (CHANGES // KILLS) == 5:
                    which = chance.randint(0, 1)
                    scorers[which][0].kill()
                    scorers[which] = ends.enter_context(_scorer())
                    changed()
                while callers.done < ALL * (number + 1) / CHANGES:
                    time.sleep(0.002)
        failed, done = list(callers.failed), callers.done
    return Figure(
        name="gateway failed requests", unit="requests", values=[len(failed)], target=0,
        notes={"requests": done, "weight_changes": CHANGES, "scorer_kills": KILLS, "rollbacks": BACK,
               "first_failures": failed[:3]},
    )  # fmt: skip


class _Gateway:
    """A gateway's process, and what one says to it."""

    def __init__(self, folder: Path) -> None:
        self._socket, self._generation = folder / "control.sock", 0
        (folder / "routes").mkdir()
        spec = {"folder": str(folder), "socket": str(self._socket), "routes": str(folder / "routes")}
        (folder / "spec.json").write_text(json.dumps(spec))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "genops_lab.serving.gateway", str(folder / "spec.json")],
            stderr=subprocess.DEVNULL,
        )
        self.port = 0
        while not self.port:
            time.sleep(0.05)
            with suppress(OSError):
                self.port = self._say({"op": "status"})["port"]

    def _say(self, asked: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile() as lines:
                return dict(json.loads(lines.readline()))

    def route(self, revisions: list[tuple[int, int]]) -> None:
        """Set the ports and weights."""
        self._generation += 1
        keys = [{"name": "default", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "limit": 10**9}]
        found = [
            {"id": at, "number": at, "port": port, "key": "of-scorer", "weight": weight}
            for at, (port, weight) in enumerate(revisions, 1)
        ]
        route = {"name": "digits", "generation": self._generation, "revisions": found, "keys": keys}
        answer = self._say({"op": "set", "route": route})
        if not answer.get("applied"):
            raise RuntimeError(f"the gateway did not take the route: {answer}")


@contextmanager
def _gateway(folder: Path) -> Iterator[_Gateway]:
    found = _Gateway(folder)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait(10)


@contextmanager
def _scorer() -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen([sys.executable, "-c", SCORER, "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@contextmanager
def _listening(command: list[str], port: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)
