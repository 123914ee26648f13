"""Both carriers log in to a real sshd: host keys, keys, passwords, ways there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from genops_lab.hosts.link.carrier import HostStream
from genops_lab.hosts.link.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    LinkError,
    QuestionUnanswered,
)
from genops_lab.hosts.providers.ssh import host_keys
from tests.hosts.link.stand_in import People, failure, gone, run, try_once
from tests.support.sshd import Sshd, ThrowawayUser, make_key

# host keys


def test_an_unknown_host_key_is_shown_and_refused(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.known_hosts.write_text("")
    for people in (People(), People(host_key="no")):
        error = failure(host, tmp_path, people, carrier=carrier)
        assert isinstance(error, HostKeyUnknown) and error.step == "host_key"
        assert error.details["fingerprint"] == host.fingerprint()
        assert people.kinds() == ["host_key"]
        assert people.asked[0].fingerprint == host.fingerprint()
        assert people.asked[0].key_type == "ssh-ed25519"
        assert host.fingerprint() in people.asked[0].text
    assert not host_keys.own_file(tmp_path).exists() or not host_keys.own_file(tmp_path).read_text()


def test_an_accepted_host_key_is_remembered_apart(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.known_hosts.write_text("")
    people = People(host_key="yes")
    assert try_once(host.route(carrier=carrier), tmp_path, people) == b"hello"
    assert people.kinds() == ["host_key"]
    assert host.known_hosts.read_text() == ""
    assert host.alias in host_keys.own_file(tmp_path).read_text()
    for other in ("paramiko", "openssh"):
        again = People()
        assert try_once(host.route(carrier=other), tmp_path, again) == b"hello"
        assert again.asked == []


def test_a_strict_configuration_is_not_asked_about(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.write_config(StrictHostKeyChecking="yes")
    host.known_hosts.write_text("")
    people = People(host_key="yes")
    assert isinstance(failure(host, tmp_path, people, carrier=carrier), HostKeyUnknown)
    assert people.asked == []


@pytest.mark.parametrize(
    "strict", ["no", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("ask", "accept-new"))]
)
def test_a_changed_host_key_is_refused_with_no_question(
    host: Sshd, tmp_path: Path, carrier: str, strict: str
) -> None:
    host.write_config(StrictHostKeyChecking=strict)
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[:2]
    host.known_hosts.write_text(f"{host.alias} {' '.join(other)}\n")
    people = People(host_key="yes")
    error = failure(host, tmp_path, people, carrier=carrier)
    assert isinstance(error, HostKeyChanged) and error.step == "host_key"
    assert people.asked == []
    assert host.fingerprint() in error.message and error.details["file"] == str(host.known_hosts)


# questions


def test_a_locked_key_is_asked_for_and_asked_again(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with locked_key(host, tmp_path) as key:
        people = People(passphrase=["wrong", "open sesame"])
        assert try_once(host.route(carrier=carrier), tmp_path, people) == b"hello"
        assert people.kinds() == ["passphrase", "passphrase"]
        assert str(key) in people.asked[0].text and not people.asked[0].echo
        assert people.asked[0].text != people.asked[1].text
        wrong = People(passphrase="wrong")
        error = failure(host, tmp_path, wrong, carrier=carrier)
        assert isinstance(error, AuthenticationFailed)
        assert len(wrong.asked) == 3
        nobody = People()
        assert isinstance(failure(host, tmp_path, nobody, carrier=carrier), QuestionUnanswered)
        assert len(nobody.asked) == 1


class locked_key:
    """The host takes one key, which needs a passphrase."""

    def __init__(self, host: Sshd, tmp_path: Path) -> None:
        self.host = host
        self.key = make_key(tmp_path / "locked", passphrase="open sesame")

    def __enter__(self) -> Path:
        self.host.authorized_keys.write_text(self.key.with_suffix(".pub").read_text())
        self.host.write_config(IdentityFile=self.key)
        return self.key

    def __exit__(self, *_: object) -> None:
        self.host.authorized_keys.write_text(self.host.user_key.with_suffix(".pub").read_text())


#: Each carrier and each way daily, all of both with ``make test-all``.
@pytest.mark.parametrize(
    ("carrier", "method"),
    [
        ("paramiko", "password"),
        ("openssh", "keyboard-interactive"),
        pytest.param("paramiko", "keyboard-interactive", marks=pytest.mark.exhaustive),
        pytest.param("openssh", "password", marks=pytest.mark.exhaustive),
    ],
)
def test_a_password_is_asked_for(user: ThrowawayUser, tmp_path: Path, carrier: str, method: str) -> None:
    kind = method.replace("-", "_")
    with Sshd(user=user, methods=method) as host:
        people = People(**{kind: ["wrong", user.password]})
        route = host.route(carrier=carrier, python="/usr/bin/python3")
        assert try_once(route, tmp_path, people) == b"hello"
        assert people.kinds() == [kind, kind]
        assert not people.asked[0].echo and user.name in people.asked[0].text
        wrong = People(**{kind: "wrong"})
        error = failure(host, tmp_path, wrong, carrier=carrier, python="/usr/bin/python3")
        assert isinstance(error, AuthenticationFailed) and len(wrong.asked) == 3
        nobody = People()
        error = failure(host, tmp_path, nobody, carrier=carrier, python="/usr/bin/python3")
        assert isinstance(error, QuestionUnanswered)
        for asked in (people, wrong, nobody):
            assert all(user.password not in repr(question) for question in asked.asked)


def test_a_key_and_then_a_password(user: ThrowawayUser, tmp_path: Path, carrier: str) -> None:
    with Sshd(user=user, methods="publickey,password") as host:
        host.authorized_keys.chmod(0o644)
        host.folder.chmod(0o755)
        people = People(password=user.password)
        assert try_once(host.route(carrier=carrier, python="/usr/bin/python3"), tmp_path, people) == b"hello"
        assert people.kinds() == ["password"]


# the way there


def test_over_a_jump_host(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with Sshd(alias="gol-jump") as jump:
        host.write_config(ProxyJump="gol-jump", before=jump.config.read_text())
        assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
        assert "Accepted publickey" in jump.log()
        jump.known_hosts.write_text("")
        people = People()
        with pytest.raises(LinkError) as caught:
            try_once(host.route(carrier=carrier), tmp_path, people)
        assert isinstance(caught.value, HostKeyUnknown)
        assert people.asked[0].fingerprint == jump.fingerprint()


@pytest.mark.exhaustive
def test_over_two_jump_hosts(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with Sshd(alias="gol-one") as one, Sshd(alias="gol-two") as two:
        before = one.config.read_text() + two.config.read_text()
        host.write_config(ProxyJump="gol-one,gol-two", before=before)
        assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
        assert "Accepted publickey" in one.log() and "Accepted publickey" in two.log()


def test_a_proxy_command(host: Sshd, tmp_path: Path, carrier: str) -> None:
    relay = (
        "import socket,sys,threading,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "f=lambda:[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')];"
        "threading.Thread(target=f,daemon=True).start();"
        "[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')]"
    )
    program = tmp_path / "relay.py"
    program.write_text(relay)
    host.write_config(ProxyCommand=f"python3 {program} %h %p")
    assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"


def test_a_proxy_command_that_ignores_its_end_is_ended(host: Sshd, tmp_path: Path, carrier: str) -> None:
    """As netcat does in a black hole: one more with every reconnection."""
    program = tmp_path / "relay.py"
    program.write_text(
        "import socket,sys,threading,os,time;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "f=lambda:[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')];"
        "threading.Thread(target=f,daemon=True).start();"
        "[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')];time.sleep(3600)"
    )
    host.write_config(ProxyCommand=f"{sys.executable} {program} %h %p")

    def relays() -> list[int]:
        return [
            each.pid
            for each in psutil.process_iter(["cmdline"])
            if str(program) in (each.info["cmdline"] or ())
        ]

    async def seen(carriage: HostStream) -> list[int]:
        return relays()

    found = try_once(host.route(carrier=carrier), tmp_path, then=seen)
    assert found
    for pid in found:
        gone(pid)


def test_a_long_folder_for_temporary_files(
    host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a unix socket has a hundred bytes."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert try_once(host.route(carrier="openssh"), tmp_path) == b"hello"


def test_an_included_file_and_an_alias(host: Sshd, tmp_path: Path, carrier: str) -> None:
    part = tmp_path / "part"
    part.write_text(host.config.read_text().replace(f"Host {host.alias}\n", "Host box\n"))
    host.config.write_text(f"Include {part}\n")
    assert try_once(host.route(carrier=carrier, host="box"), tmp_path) == b"hello"


def test_a_certificate(host: Sshd, tmp_path: Path, carrier: str) -> None:
    import subprocess

    authority = make_key(tmp_path / "authority")
    key = make_key(tmp_path / "mine")
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", host.user, str(key) + ".pub"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    certificate = (tmp_path / "mine-cert.pub").rename(tmp_path / "elsewhere.pub")
    public = authority.with_suffix(".pub").read_text()
    host.authorized_keys.write_text(f"cert-authority {public}")
    try:
        host.write_config(IdentityFile=key, CertificateFile=certificate)
        assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
    finally:
        host.authorized_keys.write_text(host.user_key.with_suffix(".pub").read_text())


def test_an_agent_holds_the_key_and_is_not_forwarded(host: Sshd, tmp_path: Path, carrier: str) -> None:
    import shutil
    import subprocess
    import tempfile

    folder = tempfile.mkdtemp(prefix="gol-agent-")
    socket = f"{folder}/s"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not os.path.exists(socket) and time.monotonic() < deadline:
            time.sleep(0.02)
        environment = {**os.environ, "SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", str(host.user_key)], env=environment, check=True)
        host.write_config(IdentityFile="none", IdentityAgent=socket, IdentitiesOnly="no", ForwardAgent="yes")
        program = "import os\nos.write(1, b'\\0GENOPS1 {' + os.environ.get('SSH_AUTH_SOCK', 'none').encode() + b'}\\n')"
        from tests.hosts.link.stand_in import zipped

        async def work() -> bytes:
            from genops_lab.hosts.link.carrier import open_carriage

            carriage = await open_carriage(
                host.route(carrier=carrier), People(), tmp_path, payload=zipped(program)
            )
            line = await carriage.reader.readline()
            await carriage.close()
            return line

        assert run(work()) == b"\0GENOPS1 {none}\n"
    finally:
        agent.kill()
        agent.wait()
        shutil.rmtree(folder)
