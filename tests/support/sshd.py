"""A real sshd on loopback, with throwaway keys, configuration and home, for one test or module.

    with Sshd() as host:
        route = host.route(python=sys.executable)         # a Route that connects without any question
        host.kill_sessions()                              # SIGKILL to every connection's sshd
        host.log()                                        # what sshd said

Everything lies in a temporary folder. A login's HOME is ``host.home`` and never the real one, so that
``~/.cache`` and rc files there are the test's. ``host.config`` is an ssh_config with the alias ``host.alias``;
``host.known_hosts`` knows its key under that alias, whatever port or proxy leads there.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers import route_of
from tests.minutes.processes import MARK

from .homes import without_debugger
from .processes import end_those_of

#: Seconds that anything here may take before it counts as broken.
DEADLINE_S = 60.0


def sshd_program() -> str:
    """Where sshd is; skips the test, by name, where there is none."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no sshd on this machine")
    return found


def _understands_penalties(program: str) -> bool:
    done = subprocess.run([program, "-V"], capture_output=True, text=True).stderr
    version = re.search(r"OpenSSH_(\d+)\.(\d+)", done)
    return version is not None and (int(version[1]), int(version[2])) >= (9, 8)


def make_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new key pair at ``path`` and ``path.pub``."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


class Sshd:
    """One sshd.

    ``shell``: the program that runs the command (``zsh``), in place of the account's login shell.
    ``user``: the account to log in to (made by :func:`throwaway_user`); "" is who runs the tests.
    ``methods``: sshd's AuthenticationMethods (``publickey``, ``password``, ``keyboard-interactive``).
    ``extra``: lines of sshd_config that go before ours. ``environment``: variables of every session.
    ``debugger``: whether kernels there import debugpy, as a user's do.
    """

    def __init__(
        self,
        *,
        alias: str = "gol-host",
        shell: str = "",
        user: ThrowawayUser | None = None,
        methods: str = "publickey",
        extra: str = "",
        environment: dict[str, str] | None = None,
        debugger: bool = False,
    ) -> None:
        self.program = sshd_program()
        self.alias = alias
        self.user = user.name if user else getpass.getuser()
        self.shell, self.methods, self.extra = shell, methods, extra
        self.folder = Path(tempfile.mkdtemp(prefix="gol-sshd-"))
        self.home = user.home if user else self.folder / "home"
        self.home.mkdir(exist_ok=True)
        if user is None and not debugger:
            without_debugger(self.home / ".ipython")
        mark = {MARK: os.environ[MARK]} if MARK in os.environ else {}
        self.environment = {"HOME": str(self.home), **mark, **(environment or {})}
        self.host_key = make_key(self.folder / "host_key")
        self.user_key = make_key(self.folder / "user_key")
        self.authorized_keys = self.folder / "authorized_keys"
        self.authorized_keys.write_text(self.user_key.with_suffix(".pub").read_text())
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(self.known_hosts_line())
        self.config = self.folder / "ssh_config"
        self.port = 0
        #: What processes of the host read as its boot id; None: this machine's.
        self._boot_id: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what the client needs

    def known_hosts_line(self) -> str:
        """This host's line of a known_hosts file."""
        kind, key = (self.host_key.with_suffix(".pub")).read_text().split()[:2]
        return f"{self.alias} {kind} {key}\n"

    def fingerprint(self) -> str:
        """``SHA256:...`` of the host's key, as ssh-keygen prints it."""
        done = subprocess.run(
            ["ssh-keygen", "-lf", str(self.host_key) + ".pub"], capture_output=True, text=True, check=True
        )
        return done.stdout.split()[1]

    def write_config(self, *, port: int = 0, before: str = "", **options: Any) -> Path:
        """Write ``host.config`` anew: the alias, with ``options`` added or changed (None leaves one out)."""
        settings: dict[str, Any] = {
            "HostName": "127.0.0.1",
            "Port": port or self.port,
            "User": self.user,
            "IdentityFile": self.user_key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": self.alias,
            **options,
        }
        lines = [f"    {name} {value}\n" for name, value in settings.items() if value is not None]
        self.config.write_text(f"{before}Host {self.alias}\n{''.join(lines)}")
        return self.config

    def route(self, **changes: Any) -> Route:
        """A route that needs no answers. ``port=proxy.port`` leads through a proxy."""
        fields: dict[str, Any] = {"target": self.alias, "host": self.alias, "ssh_config": str(self.config)}
        return route_of(**{**fields, **changes})

    # the server

    def start(self) -> None:
        """Start, on the port it had before if there was one."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        for _ in range(20):
            self.port = self.port or _free_port()
            self._write_server_config()
            with (self.folder / "sshd.log").open("ab") as log:
                process = subprocess.Popen(
                    [*self._namespace(), self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            if self._answers(process):
                self._process = process
                self.write_config()
                return
            process.kill()
            process.wait()
            if "Address already in use" not in self.log():
                break
            self.port = 0
        raise RuntimeError(f"sshd did not start:\n{self.log()}")

    def own_boot_id(self) -> bool:
        """Give the host a boot id of its own from its next start on; False where nobody may mount a file."""
        self._boot_id = self.folder / "boot_id"
        self.boots_again()
        done = subprocess.run([*self._namespace(), "true"], capture_output=True)
        if done.returncode != 0:
            self._boot_id = None
        return done.returncode == 0

    @property
    def has_boot_id(self) -> bool:
        """Whether :meth:`boots_again` changes what the host's processes read."""
        return self._boot_id is not None

    def boots_again(self) -> None:
        """Change the host's boot id, as a restart does. Its processes are ended by the test."""
        assert self._boot_id is not None
        self._boot_id.write_text(f"{uuid.uuid4()}\n")

    def _namespace(self) -> list[str]:
        """The program that has mounts of its own, with the boot id among them."""
        if self._boot_id is None:
            return []
        mount = f'mount --bind {self._boot_id} /proc/sys/kernel/random/boot_id && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, "sh"]

    def _write_server_config(self) -> None:
        interactive = "yes" if "keyboard" in self.methods else "no"
        lines = [
            self.extra,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.authorized_keys}",
            f"AuthenticationMethods {self.methods}",
            f"PasswordAuthentication {'yes' if 'password' in self.methods else 'no'}",
            f"KbdInteractiveAuthentication {interactive}",
            f"UsePAM {interactive}",
            "PermitRootLogin yes",
            "StrictModes no",
            "PidFile none",
            "UseDNS no",
            "LogLevel VERBOSE",
            "PrintMotd no",
            "MaxStartups 500",
            "MaxSessions 100",
            "MaxAuthTries 20",
            "LoginGraceTime 60",
            "Subsystem sftp internal-sftp",
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in self.environment.items()),
        ]
        if _understands_penalties(self.program):
            lines.append("PerSourcePenalties no")
        if self.shell:
            lines.append(f'ForceCommand exec {shutil.which(self.shell)} -c "$SSH_ORIGINAL_COMMAND"')
        (self.folder / "sshd_config").write_text("\n".join([*lines, ""]))

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as found:
                if found.recv(4) == b"SSH-":
                    return True
            time.sleep(0.02)
        return False

    def log(self) -> str:
        """What sshd wrote so far."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    def sessions(self) -> list[psutil.Process]:
        """The sshd processes of connections (not what runs inside them)."""
        if self._process is None:
            return []
        found = []
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name().startswith("sshd"):
                    found.append(child)
        return found

    def kill_sessions(self) -> int:
        """SIGKILL to the sshd of every connection: what ran in it is orphaned. Returns how many processes."""
        found = self.sessions()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(found)

    def stop(self) -> None:
        """End the listener and all connections; ``start()`` brings it back on the same port."""
        if self._process is None:
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE_S)
        self._process = None
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name().startswith("sshd"):
                    child.kill()

    def close(self) -> None:
        """End it, and what still runs out of its folders or with its home; remove them."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.stop()
        end_those_of(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class ThrowawayUser:
    """An account of this machine, made for a test. Its home is a temporary folder."""

    name: str
    password: str
    home: Path


@contextmanager
def throwaway_user() -> Iterator[ThrowawayUser]:
    """An account with a password; removed afterwards. Skips, by name, when the tests do not run as root."""
    if os.getuid() != 0 or not (shutil.which("useradd") and shutil.which("chpasswd")):
        pytest.skip("needs root, to make an account with a password")
    name = f"gol{secrets.token_hex(4)}"
    password = f"pw-{secrets.token_hex(12)}"
    home = Path(tempfile.mkdtemp(prefix="gol-user-"))
    subprocess.run(
        ["useradd", "-M", "-d", str(home), "-s", "/bin/bash", name], check=True, capture_output=True
    )
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True, capture_output=True)
        shutil.chown(home, name)
        yield ThrowawayUser(name, password, home)
    finally:
        for process in psutil.process_iter(["username"]):
            if process.info["username"] == name:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        subprocess.run(["userdel", "-f", name], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
