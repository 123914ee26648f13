"""Logins out of the ordinary: several keys, other servers, shared connections, hosts with certificates."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest

from genops_lab.hosts.link.carrier import HostStream
from genops_lab.hosts.link.errors import ConfigurationUnusable, LinkError
from genops_lab.hosts.providers import route_of
from tests.hosts.link.stand_in import People, echo, try_once
from tests.support.sshd import Sshd, make_key, throwaway_user


@pytest.fixture(scope="module")
def module_host() -> Iterator[Sshd]:
    with Sshd() as host:
        yield host


@pytest.fixture
def host(module_host: Sshd) -> Sshd:
    module_host.write_config()
    return module_host


def test_the_process_that_forks_may_be_killed(host: Sshd, tmp_path: Path) -> None:
    """Its connections go on, and the next one starts another."""

    async def look(carriage: HostStream) -> bytes:
        fork_server = psutil.Process(carriage.pid).parent()
        assert fork_server is not None and fork_server.ppid() == os.getpid()
        fork_server.kill()
        await asyncio.to_thread(fork_server.wait, 60)
        return await echo(carriage, b"goes on")

    route = host.route(carrier="paramiko")
    assert try_once(route, tmp_path, then=look) == b"goes on"
    assert try_once(route, tmp_path) == b"hello"


def test_nothing_heavy_and_nothing_of_unix_alone_is_imported() -> None:
    """A Lab on Windows imports it too; what cannot work there fails when it is used."""
    program = (
        "import sys\nfor name in ('fcntl', 'pwd', 'grp', 'termios', 'resource', 'tty'): sys.modules[name] = None\n"
        "import genops_lab.hosts.link.carrier, genops_lab.hosts.providers.local\n"
        "import genops_lab.hosts.providers.ssh.openssh_carrier\n"
        "import genops_lab.hosts.providers.ssh.paramiko_carrier, genops_lab.hosts.providers.ssh.host_keys\n"
        "assert 'paramiko' not in sys.modules and 'cryptography' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("carrier", ["paramiko", "openssh"])
def test_the_second_key_is_taken_and_offered_first_the_next_time(
    host: Sshd, tmp_path: Path, carrier: str
) -> None:
    wrong = make_key(tmp_path / "wrong")
    right = make_key(tmp_path / "right", kind="rsa")
    host.authorized_keys.write_text(right.with_suffix(".pub").read_text())
    try:
        host.write_config(IdentityFile=f"{wrong}\n    IdentityFile {right}")
        for _ in range(2):
            assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
    finally:
        host.authorized_keys.write_text(host.user_key.with_suffix(".pub").read_text())
    refused = host.log().count(f"Failed publickey for {host.user}")
    if carrier == "paramiko":
        assert refused == 1


class OtherServer(paramiko.ServerInterface):
    """An SSH server that is no OpenSSH."""

    def __init__(self, banner: str, first_channel: int, home: Path) -> None:
        self.banner, self.first_channel, self.home = banner, first_channel, home
        self.key = paramiko.RSAKey.generate(2048)
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.transports: list[paramiko.Transport] = []
        self.programs: list[subprocess.Popen[bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(connection)
            transport.local_version = self.banner
            transport._channel_counter = self.first_channel  # type: ignore[attr-defined]
            transport.add_server_key(self.key)
            self.transports.append(transport)
            transport.start_server(event=threading.Event(), server=self)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: Any) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        program = subprocess.Popen(
            ["sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "HOME": str(self.home)},
        )
        self.programs.append(program)
        threading.Thread(target=self._up, args=(channel, program), daemon=True).start()
        threading.Thread(target=self._down, args=(channel, program), daemon=True).start()
        return True

    def _up(self, channel: Any, program: subprocess.Popen[bytes]) -> None:
        assert program.stdin is not None
        while data := channel.recv(65536):
            program.stdin.write(data)
            program.stdin.flush()
        program.stdin.close()

    def _down(self, channel: Any, program: subprocess.Popen[bytes]) -> None:
        assert program.stdout is not None
        while data := os.read(program.stdout.fileno(), 65536):
            channel.sendall(data)
        channel.send_exit_status(max(program.wait(), 0))
        channel.close()

    def close(self) -> None:
        self.listener.close()
        for transport in self.transports:
            transport.close()
        for program in self.programs:
            program.kill()
            program.wait()


@pytest.mark.parametrize(
    ("banner", "first", "connections"),
    [("SSH-2.0-Other_1", 3, 1), ("SSH-2.0-OpenSSH_9.9", 0, 1), ("SSH-2.0-OpenSSH_like", 3, 2)],
)
def test_servers_that_are_no_openssh(tmp_path: Path, banner: str, first: int, connections: int) -> None:
    """One that calls itself OpenSSH and numbers its channels otherwise is asked again, one thing at a time.

    It looks like a network that resets, so it is known as such a one from the second time on.
    """
    key = make_key(tmp_path / "key")
    server = OtherServer(banner, first, tmp_path)
    try:
        config = tmp_path / "config"
        config.write_text(
            f"Host box\n    HostName 127.0.0.1\n    Port {server.port}\n    IdentityFile {key}\n"
            "    IdentitiesOnly yes\n    IdentityAgent none\n    GlobalKnownHostsFile /dev/null\n"
            f"    UserKnownHostsFile {tmp_path}/kh\n"
        )
        route = route_of(target="box", host="box", ssh_config=str(config), carrier="paramiko")
        people = People(host_key="yes")
        assert try_once(route, tmp_path, people) == b"hello"
        assert people.kinds() == ["host_key"]
        assert people.asked[0].key_type == "ssh-rsa"
        assert server.connections == connections
        assert try_once(route, tmp_path, people) == b"hello"
        assert server.connections == 2 * connections
        assert try_once(route, tmp_path, people) == b"hello"
        assert server.connections == 2 * connections + 1
    finally:
        server.close()


def test_a_host_with_a_certificate(tmp_path: Path) -> None:
    with Sshd() as host:
        authority = make_key(tmp_path / "authority")
        subprocess.run(
            [
                "ssh-keygen",
                "-q",
                "-s",
                str(authority),
                "-I",
                "h",
                "-h",
                "-n",
                host.alias,
                f"{host.host_key}.pub",
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        host.extra = f"HostCertificate {host.folder}/host_key-cert.pub"
        host.stop()
        host.start()
        kind, text = authority.with_suffix(".pub").read_text().split()[:2]
        host.known_hosts.write_text(f"@cert-authority {host.alias} {kind} {text}\n")

        async def look(carriage: HostStream) -> str:
            await echo(carriage, b"x")
            return carriage.carrier

        people = People()
        assert try_once(host.route(), tmp_path, people, look) == "openssh"
        assert people.asked == []


def test_a_host_whose_algorithms_paramiko_lacks(tmp_path: Path) -> None:
    with Sshd(extra="Ciphers chacha20-poly1305@openssh.com") as host:

        async def look(carriage: HostStream) -> str:
            await echo(carriage, b"x")
            return carriage.carrier

        assert try_once(host.route(), tmp_path, then=look) == "openssh"
        with pytest.raises(ConfigurationUnusable):
            try_once(host.route(carrier="paramiko"), tmp_path)


def test_a_shared_connection(host: Sshd, tmp_path: Path) -> None:
    folder = tempfile.mkdtemp(prefix="gol-mux-")
    try:
        host.write_config(ControlMaster="auto", ControlPath=f"{folder}/m", ControlPersist="yes")
        before = host.log().count("Accepted publickey")
        for _ in range(3):
            assert try_once(host.route(), tmp_path) == b"hello"
        assert host.log().count("Accepted publickey") == before + 1
    finally:
        subprocess.run(
            ["ssh", "-F", str(host.config), "-O", "exit", host.alias], check=False, capture_output=True
        )
        shutil.rmtree(folder, ignore_errors=True)


def shown(pid: int, name: str) -> str:
    """What other processes can see of one."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):  # what another test has left has ended meanwhile
        return ""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("carrier", ["paramiko", "openssh"])
def test_secrets_stay_out_of_logs_arguments_environments_and_files(
    tmp_path: Path, carrier: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    passphrase = f"open-{os.urandom(8).hex()}"

    async def look(carriage: HostStream) -> None:
        await echo(carriage, b"x")
        for process in [
            psutil.Process(),
            *psutil.Process().children(recursive=True),
            psutil.Process(carriage.pid),
        ]:
            for name in ("cmdline", "environ"):
                seen.append(await asyncio.to_thread(shown, process.pid, name))

    with throwaway_user() as user, Sshd(user=user, methods="publickey,password") as host:
        host.folder.chmod(0o755)
        key = make_key(tmp_path / "locked", passphrase=passphrase)
        host.authorized_keys.write_text(key.with_suffix(".pub").read_text())
        host.authorized_keys.chmod(0o644)
        host.write_config(IdentityFile=key)
        host.known_hosts.write_text("")
        route = host.route(carrier=carrier, python="/usr/bin/python3")
        people = People(passphrase=passphrase, password=user.password, host_key="yes")
        try_once(route, tmp_path / "data", people, look)
        assert people.kinds() == ["host_key", "passphrase", "password"]
        with pytest.raises(LinkError) as caught:
            try_once(route, tmp_path / "data", People(passphrase=passphrase, password=f"not-{user.password}"))
        texts = [*seen, caplog.text, *capfd.readouterr(), repr(caught.value.info())]
        texts += [
            file.read_text(errors="replace") for file in (tmp_path / "data").rglob("*") if file.is_file()
        ]
        key_text = key.read_text().splitlines()[1]
        for secret in (passphrase, user.password, key_text):
            assert not any(secret in text for text in texts)
        assert any("genops" in text for text in seen)
