"""known_hosts as OpenSSH reads it, and what of an ssh_config decides the way to a host."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from genops_lab.hosts.link.errors import ConfigurationUnusable
from genops_lab.hosts.providers import route_of
from genops_lab.hosts.providers.ssh import host_keys, ssh_config
from genops_lab.hosts.providers.ssh.config import SshRoute
from genops_lab.hosts.providers.ssh.host_keys import KnownHosts, entry_name, fingerprint
from genops_lab.hosts.providers.ssh.provider import chosen_carrier
from tests.hosts.link.stand_in import run
from tests.support.sshd import make_key


def public(path: Path) -> tuple[str, str, bytes]:
    """Type, base64 and bytes of a new key."""
    kind, text = make_key(path).with_suffix(".pub").read_text().split()[:2]
    return kind, text, base64.b64decode(text)


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    _, _, blob = public(tmp_path / "key")
    done = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True)
    assert fingerprint(blob) in done.stdout.split()


def test_names_patterns_ports_and_hashes(tmp_path: Path) -> None:
    kind, text, blob = public(tmp_path / "key")
    other, another, other_blob = public(tmp_path / "other")
    file = tmp_path / "known_hosts"
    file.write_text(
        f"# a comment\n\nbroken line\nplain {kind} not-base64!\n"
        f"plain,10.0.0.1 {kind} {text} comment\n"
        f"*.example.org,!bad.example.org {kind} {text}\n"
        f"[plain]:2222 {other} {another}\n"
        f"@revoked * {kind} {another}\n"
        f"hidden {kind} {text}\n"
    )
    known = KnownHosts([file, tmp_path / "missing"])
    assert known.look("plain", blob)[0] == "known"
    assert known.look("PLAIN", blob)[0] == "known"
    assert known.look("10.0.0.1", blob)[0] == "known"
    assert known.look("a.example.org", blob)[0] == "known"
    assert known.look("bad.example.org", blob)[0] == "unknown"
    assert known.look("elsewhere", blob)[0] == "unknown"
    assert known.look(entry_name("plain", 2222), blob)[0] == "changed"
    assert known.look(entry_name("10.0.0.1", 2222), blob)[0] == "known"
    assert known.look("anything", other_blob)[0] == "revoked"
    verdict, line = known.look("hidden", blob[:-1] + b"\0")
    assert verdict == "changed" and line is not None and (line.file, line.line) == (file, 9)
    assert known.types("plain") == [kind]
    file.write_text(f"hidden {kind} {text}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    hashed = KnownHosts([file])
    assert "hidden" not in file.read_text()
    assert hashed.look("hidden", blob)[0] == "known"
    assert hashed.look("hidden2", blob)[0] == "unknown"


def test_another_type_than_the_known_one_is_a_change(tmp_path: Path) -> None:
    kind, text, _ = public(tmp_path / "key")
    file = tmp_path / "known_hosts"
    file.write_text(f"host {kind} {text}\n")
    rsa = make_key(tmp_path / "rsa", kind="rsa").with_suffix(".pub").read_text().split()[1]
    assert KnownHosts([file]).look("host", base64.b64decode(rsa))[0] == "changed"


def test_what_is_remembered_is_known_and_private(tmp_path: Path) -> None:
    kind, _, blob = public(tmp_path / "key")
    folder = tmp_path / "data"
    host_keys.remember(folder, "[Host]:2222", kind, blob)
    host_keys.remember(folder, "second", kind, blob)
    file = host_keys.own_file(folder)
    assert file.stat().st_mode & 0o777 == 0o600
    known = KnownHosts([file])
    assert known.look("[host]:2222", blob)[0] == "known" and known.look("second", blob)[0] == "known"


def test_a_line_that_was_never_finished_does_not_take_the_next_with_it(tmp_path: Path) -> None:
    kind, _, blob = public(tmp_path / "key")
    host_keys.own_file(tmp_path).write_text("[broken]:22 ssh-ed255")  # by a disk that was full
    host_keys.remember(tmp_path, "second", kind, blob)
    assert KnownHosts([host_keys.own_file(tmp_path)]).look("second", blob)[0] == "known"


# ssh_config


@pytest.fixture(params=["ssh", "paramiko"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the system's ssh to read the configuration, and without one."""
    if request.param == "ssh" and shutil.which("ssh") is None:
        pytest.skip("no ssh on this machine")
    if request.param == "paramiko":
        monkeypatch.setattr(ssh_config, "ssh_program", lambda: None)
    return str(request.param)


def planned(tmp_path: Path, text: str, **route: Any) -> ssh_config.Plan:
    file = tmp_path / "config"
    file.write_text(text)
    fields = {"target": "t", "host": "box", "ssh_config": str(file), **route}
    return run(ssh_config.plan(SshRoute(**fields), tmp_path))


@pytest.mark.usefixtures("reader")
def test_without_an_agent_none_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert planned(tmp_path, "Host box\n    User me\n").hops[-1].agent == ""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert planned(tmp_path, "Host box\n    User me\n").hops[-1].agent == "/run/agent"


@pytest.mark.usefixtures("reader")
def test_options_of_a_host(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host box\n    Port 2200\n    ConnectTimeout 7\n")
    plan = planned(
        tmp_path,
        f"Include {tmp_path}/more\nHost box\n    HostName real.invalid\n    User me\n    IdentityFile /k/one%%\n"
        "    IdentityFile /k/two\n    IdentitiesOnly yes\n    UserKnownHostsFile /kh/one /kh/two\n"
        "    GlobalKnownHostsFile /dev/null\n    IdentityAgent /run/agent\n    CertificateFile /k/cert.pub\n"
        "    StrictHostKeyChecking yes\n    ProxyCommand relay %h %p %r %%\n    PasswordAuthentication no\n",
    )
    hop = plan.hops[-1]
    assert (hop.hostname, hop.port, hop.user, hop.connect_timeout_s) == ("real.invalid", 2200, "me", 7.0)
    assert hop.key_name == "[real.invalid]:2200"
    assert hop.identity_files == ["/k/one%", "/k/two"] and hop.identities_only and not hop.default_identities
    assert hop.known_hosts == ["/kh/one", "/kh/two", "/dev/null", str(host_keys.own_file(tmp_path))]
    assert hop.agent == "/run/agent" and hop.certificate_files == ["/k/cert.pub"]
    assert hop.proxy_command == "relay real.invalid 2200 me %"
    assert hop.methods == ["publickey", "keyboard-interactive"] and not hop.asks_host_key
    assert plan.needs_openssh == ""


@pytest.mark.usefixtures("reader")
def test_the_route_goes_before_the_configuration(tmp_path: Path) -> None:
    mine = tmp_path / "my 100% key"
    mine.write_text("")
    plan = planned(
        tmp_path,
        "Host box\n    User other\n    Port 1\n    IdentityFile /k/other\n",
        user="me",
        port=2222,
        identity_file=str(mine),
    )
    hop = plan.hops[-1]
    assert (hop.user, hop.port, hop.identity_files[0]) == ("me", 2222, str(mine))
    with pytest.raises(ConfigurationUnusable, match="missing"):
        planned(tmp_path, "", identity_file=str(tmp_path / "missing"))


@pytest.mark.usefixtures("reader")
def test_jump_hosts_in_their_order_each_as_its_own_entry_says(tmp_path: Path) -> None:
    text = (
        "Host box\n    ProxyJump first,me@second:2022,[2001:db8::1]:23\n"
        "Host first\n    HostName one.invalid\n    ProxyJump zero\nHost second\n    HostKeyAlias known-as\n"
        "Host *\n    User all\n"
    )
    plan = planned(tmp_path, text)
    assert [(hop.hostname, hop.port, hop.user) for hop in plan.hops] == [
        ("zero", 22, "all"),
        ("one.invalid", 22, "all"),
        ("second", 2022, "me"),
        ("2001:db8::1", 23, "all"),
        ("box", 22, "all"),
    ]
    assert plan.hops[2].key_name == "known-as"


@pytest.mark.usefixtures("reader")
def test_a_jump_host_for_all_is_none_for_itself(tmp_path: Path) -> None:
    plan = planned(tmp_path, "Host gate\n    HostName gate.invalid\nHost *\n    ProxyJump gate\n")
    assert [hop.hostname for hop in plan.hops] == ["gate.invalid", "box"]


def test_a_loop_of_jump_hosts_is_an_error(tmp_path: Path) -> None:
    text = "Host box\n    ProxyJump a\nHost a\n    ProxyJump b\nHost b\n    ProxyJump a\n"
    with pytest.raises(ConfigurationUnusable, match="more than"):
        planned(tmp_path, text)


NEEDS = {
    "    ControlMaster auto\n    ControlPath /tmp/never-%C\n": "ControlPath",
    "    GSSAPIAuthentication yes\n": "GSSAPI",
    "    PKCS11Provider /usr/lib/none.so\n": "smart card",
    "    KnownHostsCommand /bin/true\n": "KnownHostsCommand",
    "    BindAddress 127.0.0.1\n": "BindAddress",
    "    IdentityFile {folder}/token\n": "FIDO",
    "    UserKnownHostsFile {folder}/authority\n": "@cert-authority",
    "    ProxyJump gate\nHost gate\n    GSSAPIAuthentication yes\n": "GSSAPI",
}


@pytest.mark.parametrize("lines", NEEDS, ids=NEEDS.values())
def test_what_paramiko_lacks_gets_the_systems_ssh(tmp_path: Path, lines: str) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh on this machine")
    (tmp_path / "token").write_text("")
    (tmp_path / "token.pub").write_text("sk-ssh-ed25519@openssh.com AAAA\n")
    kind, text, _ = public(tmp_path / "ca")
    (tmp_path / "authority").write_text(f"@cert-authority * {kind} {text}\n")
    file = tmp_path / "config"
    file.write_text("Host box\n" + lines.format(folder=tmp_path))
    route = route_of(target="t", host="box", ssh_config=str(file))
    carrier, why = run(chosen_carrier(route, tmp_path))
    assert carrier == "openssh" and NEEDS[lines] in why
    wanted = route_of(target="t", host="box", ssh_config=str(file), carrier="paramiko")
    assert run(chosen_carrier(wanted, tmp_path))[0] == "paramiko"


def test_without_ssh_what_only_it_can_do_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_config, "ssh_program", lambda: None)
    file = tmp_path / "config"
    file.write_text("Host box\n    GSSAPIAuthentication yes\n")
    with pytest.raises(ConfigurationUnusable, match="GSSAPI"):
        run(chosen_carrier(route_of(target="t", host="box", ssh_config=str(file)), tmp_path))


def test_the_default_is_paramiko(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("")
    assert (
        run(chosen_carrier(route_of(target="t", host="box", ssh_config=str(file)), tmp_path))[0] == "paramiko"
    )
