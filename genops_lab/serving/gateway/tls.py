"""Listen for other machines too, by TLS, beside the port on loopback.

``tls`` of ``spec.json`` has ``certificate`` and ``key`` (paths of PEM files), and the ``host`` and ``port`` by which
others reach this machine. The three files are looked at each second: new content counts for new connections, and those
that are open stay.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK_S = 1.0
HANDSHAKE_S = 5.0


class TlsPort:
    """The port for other machines. ``problem`` is why it does not listen, or which certificate it goes on with."""

    def __init__(
        self, spec: Path, connection: Callable[[], asyncio.Protocol], log: Callable[[str], None]
    ) -> None:
        self._spec, self._connection, self._log = spec, connection, log
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.AbstractServer | None = None
        self._seen: tuple[Any, ...] = ()
        self._listens_to = 0
        #: The name in requests of other machines; empty without a port for them.
        self.host = ""
        self.problem = ""

    async def keep(self) -> None:
        """Look at the files until cancelled, then listen no more."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            self._close()

    async def _look(self) -> None:
        given = _read(self._spec)
        files = [Path(str(given[name])) for name in ("certificate", "key")] if given else []
        stamps = (json.dumps(given), *(_stamp(each) for each in files))
        if stamps == self._seen:
            return
        problem = ""
        try:
            if given:
                await self._listen(given, *files)
            else:
                self._close()
        except (
            OSError,
            ValueError,
        ) as error:  # such as while one file is new and the other is not: it is tried again
            problem = f"Cannot answer at port {given.get('port')} with {given.get('certificate')}: {error}."
        else:
            self._seen = stamps
        if problem and problem != self.problem:
            self._log(problem)
        self.problem = problem

    async def _listen(self, given: dict[str, Any], certificate: Path, key: Path) -> None:
        _context().load_cert_chain(certificate, key, password=_no_password)
        if self._context is None:
            self._context = _context()
        self._context.load_cert_chain(certificate, key, password=_no_password)
        port = int(given["port"])
        if self._server is None or self._listens_to != port:
            self._close()
            self._server = await asyncio.get_running_loop().create_server(
                self._connection, None, port, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
            self._listens_to = port
        self.host = str(given["host"]).lower()
        self._log(f"running: https://{self.host}:{port}")

    def _close(self) -> None:
        server, self._server = self._server, None
        self.host = ""
        if server is not None:
            server.close()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    raise ValueError("its key needs a password, and nobody is asked for it")


def _read(spec: Path) -> dict[str, Any]:
    try:
        found = json.loads(spec.read_bytes()).get("tls")
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_ino
