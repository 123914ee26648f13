"""Both carriers where no connection can be had: each reason has its error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.link.carrier import HostStream
from genops_lab.hosts.link.errors import (
    AgentRefused,
    AuthenticationFailed,
    ConfigurationUnusable,
    HostUnreachable,
    LinkError,
    NoPython,
)
from tests.hosts.link.stand_in import connect, failure, run, try_once
from tests.support.faults import closed_port, silent_port, unanswered_port
from tests.support.sshd import Sshd, make_key


def test_wrong_key(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.write_config(IdentityFile=make_key(tmp_path / "other"))
    error = failure(host, tmp_path, carrier=carrier)
    assert isinstance(error, AuthenticationFailed) and error.step == "login"
    assert "publickey" in error.message


def test_unknown_name(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.write_config(HostName="no-such-host.invalid")
    error = failure(host, tmp_path, carrier=carrier)
    assert isinstance(error, HostUnreachable) and error.step == "reachable"
    assert "no-such-host.invalid" in error.message


def test_refused_port(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with closed_port() as port:
        error = failure(host, tmp_path, carrier=carrier, port=port)
    assert isinstance(error, HostUnreachable) and "refused" in error.message


@pytest.mark.parametrize("port_of", [unanswered_port, silent_port], ids=["dropped", "silent"])
def test_black_hole_at_connect(host: Sshd, tmp_path: Path, carrier: str, port_of: Any) -> None:
    with port_of() as port:
        host.write_config(port=port, ConnectTimeout=2)
        error = failure(host, tmp_path, carrier=carrier)
    assert isinstance(error, HostUnreachable), error.message


def test_no_ssh_server_there(host: Sshd, tmp_path: Path, carrier: str) -> None:
    async def work() -> LinkError:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(LinkError) as caught:
                await connect(host.route(carrier=carrier, port=port), tmp_path)
            return caught.value

    assert isinstance(run(work()), HostUnreachable)


def test_no_such_python(host: Sshd, tmp_path: Path, carrier: str) -> None:
    error = failure(host, tmp_path, carrier=carrier, python="python-that-is-not-there")
    assert isinstance(error, NoPython) and error.step == "python"
    assert "python-that-is-not-there" in error.message


def test_configuration_that_cannot_be_read(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.config.write_text("Host *\n    NoSuchOption yes\n")
    error = failure(host, tmp_path, carrier=carrier)
    assert isinstance(error, ConfigurationUnusable)
    missing = failure(host, tmp_path, carrier=carrier, ssh_config=str(tmp_path / "missing"))
    assert isinstance(missing, ConfigurationUnusable) and "missing" in missing.message


def test_what_would_be_an_option_is_no_host(host: Sshd, tmp_path: Path, carrier: str) -> None:
    for changes in ({"host": "-oProxyCommand=touch x"}, {"user": "-l"}, {"host": "a b"}, {"host": "$(id)"}):
        with pytest.raises(InvalidRequest):
            try_once(host.route(carrier=carrier, **changes), tmp_path)


def test_an_agent_that_ends_leaves_its_last_words(host: Sshd, tmp_path: Path, carrier: str) -> None:
    async def die(carriage: HostStream) -> LinkError:
        carriage.writer.write(b"die")
        assert await carriage.reader.read() == b""
        return await carriage.why(30)

    error = try_once(host.route(carrier=carrier), tmp_path, then=die)
    assert isinstance(error, AgentRefused)
    assert "exit code 9" in error.message and "these are my last words" in error.message
