"""Other machines reach the gateway by TLS; a new certificate is read without a lost connection."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.lab_server import free_port
from tests.support.rooms import eventually

from .conftest import KEY, GatewayProcess, Scorer


@pytest.fixture
def own(folder: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(folder)
    yield gateway
    gateway.end()


def test_a_certificate_is_used_and_read_again_while_connections_are_open(
    own: GatewayProcess, one: Scorer, folder: Path
) -> None:
    authority, port = Authority(folder), free_port()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    first = authority.signed(certificate, key)
    own.route((one, 1))
    tls = {"certificate": str(certificate), "key": str(key), "host": "localhost", "port": port}
    own.spec.write_text(json.dumps({**json.loads(own.spec.read_bytes()), "tls": tls}))
    context = ssl.create_default_context(cafile=str(authority.file))

    def opened() -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        connection.connect()
        return connection

    def ask(connection: http.client.HTTPSConnection, **headers: str) -> tuple[int, bytes]:
        given = {"Authorization": f"Bearer {KEY}", **headers}
        connection.request("POST", "/digits/who", b"1", given)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def serial() -> int:
        try:
            connection = opened()
        except OSError:
            return 0
        found = connection.sock.getpeercert()
        connection.close()
        return int(str(found["serialNumber"]), 16) if found else 0

    eventually(serial, lambda number: number == first, 20)
    kept = opened()
    assert kept.sock.version() in ("TLSv1.2", "TLSv1.3") and ask(kept) == (200, b"one")
    assert ask(opened(), Host="evil.example.org")[0] == 403
    assert ask(opened(), Authorization="Bearer wrong")[0] == 401
    assert own.ask("/who").body == b"one", "the port on loopback stays as it is"
    with pytest.raises(ssl.SSLError):
        http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context()).connect()
    second = authority.signed(certificate, key)
    eventually(serial, lambda number: number == second, 20)
    assert ask(kept) == (200, b"one"), "an open connection is not lost"
    authority.signed(folder / "other.pem", key)  # a key without its certificate
    eventually(
        lambda: str(own.status().get("tls_problem", "")), lambda text: "KEY_VALUES_MISMATCH" in text, 20
    )
    assert serial() == second and ask(kept) == (200, b"one"), "it goes on with the one before"
    third = authority.signed(certificate, key)
    eventually(serial, lambda number: number == third, 20)
    assert own.status()["tls_problem"] == ""
    kept.close()
