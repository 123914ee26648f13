"""The carrier for features that only the system's ssh has: security tokens, certificates of hosts, shared
connections.

ssh reads the user's own configuration. Its questions come through SSH_ASKPASS over a unix socket in a folder
of this user, and are asked in the Lab. This includes an unknown host key: ssh never accepts one by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from ...link.carrier import End
from ...link.errors import ConfigurationUnusable, HostKeyUnknown, LinkError, QuestionUnanswered
from ...link.questions import ACCEPT, Asker, Kind, Question
from ..process_stream import ProcessCarriage
from . import host_keys, openssh_askpass, openssh_errors, ssh_config
from .config import SshRoute
from .paramiko_carrier import UNWANTED

_HOST_KEY = re.compile(r"(\S+) key fingerprint is:?\s+(SHA256:[A-Za-z0-9+/]+)")
_PASSPHRASE = re.compile(r"Enter passphrase for (?:key )?'?(.+?)'?: *$")
_PASSWORD = re.compile(r"^(?:(.+)'s )?password: *$", re.IGNORECASE)
_ON_BEHALF = re.compile(r"^\((.+?)\) (.*)", re.DOTALL)
#: Bytes of the folder's path: the path of a unix socket in it has at most 103 bytes.
_MAX_FOLDER_BYTES = 80
#: ssh's own exit code
_FAILED = 255


class OpensshCarriage(ProcessCarriage):
    """A connection of the system's ssh."""

    carrier = "openssh"
    _grace_s = 1.0

    def __init__(self, route: SshRoute, plan: ssh_config.Plan, asker: Asker) -> None:
        super().__init__(route)
        self._label = plan.hops[-1].label
        self._asker = asker
        self._refused: LinkError | None = None
        self._prompts: list[str] = []
        self._asking = 0
        self._folder = ""
        self._server: asyncio.AbstractServer | None = None

    @classmethod
    async def start(
        cls, route: SshRoute, plan: ssh_config.Plan, asker: Asker, folder: Path, command: str
    ) -> OpensshCarriage:
        """Start ssh. Whether it connects shows when the stream is read. Raises ConfigurationUnusable."""
        self = cls(route, plan, asker)
        program = ssh_config.ssh_program() or "ssh"
        try:
            socket = await asyncio.to_thread(self._make_folder, folder)
            self._server = await asyncio.start_unix_server(self._prompted, socket)
            await self.spawn(
                [program, *_options(route, plan, folder), "--", route.host, command],
                self._environment(socket),
            )
        except OSError as error:
            await self._clear()
            raise ConfigurationUnusable(
                f"{program} cannot be started for {route.target}: {error.strerror}.",
                hint="Check that OpenSSH's client is installed, and that the folder for temporary "
                "files is writable.",
            ) from error
        except BaseException:
            await self._clear()
            raise
        return self

    @property
    def asking(self) -> bool:
        return self._asking > 0

    # prompts

    def _make_folder(self, folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        long = len(os.fsencode(tempfile.gettempdir())) > _MAX_FOLDER_BYTES
        self._folder = tempfile.mkdtemp(prefix="genops-ask-", dir="/tmp" if long else None)  # noqa: S108
        program = Path(self._folder) / "ask"
        words = [sys.executable, "-I", "-S", openssh_askpass.__file__]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o700)
        return str(Path(self._folder) / "s")

    def _environment(self, socket: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
        return {
            "DISPLAY": ":0",  # before 8.4, ssh starts no askpass program without DISPLAY
            **kept,
            "SSH_ASKPASS": str(Path(self._folder) / "ask"),
            "SSH_ASKPASS_REQUIRE": "force",
            "GENOPS_ASKPASS": socket,
        }

    async def _prompted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking += 1
        try:
            asked = json.loads(await reader.readline())
            if (
                asked["sort"] == "none"
            ):  # ssh shows a text (touch the token), and ends this program when it is done
                await reader.read()
                return
            question = self._question(asked["prompt"])
            self._prompts.append(asked["prompt"])
            answer = await self._asker.ask(question)
            if answer is None or (question.kind == "host_key" and answer != ACCEPT):
                self._refuse(question)
            else:
                writer.write(json.dumps({"text": answer}).encode())
                await writer.drain()
        except (OSError, ValueError, KeyError):
            return  # ssh has ended meanwhile
        finally:
            self._asking -= 1
            writer.close()

    def _question(self, prompt: str) -> Question:
        """Return the prompt as a question, in the other carrier's words."""
        kind: Kind = "keyboard_interactive"
        text, fingerprint, key_type = prompt.strip(), "", ""
        again = "Wrong answer. " if prompt in self._prompts else ""
        if found := _HOST_KEY.search(prompt):
            kind, key_type, fingerprint, again = "host_key", f"ssh-{found[1].lower()}", found[2], ""
            text = (
                f"{self._label} is not known yet. Its {key_type} key has the fingerprint {fingerprint}."
                " Do you trust this host?"
            )
            if self._label.rpartition("@")[2].partition(":")[0] not in prompt:
                text = prompt.strip()  # a jump host's
        elif found := _PASSPHRASE.search(prompt):
            kind, text = "passphrase", f"Passphrase of the key {found[1]}"
        elif found := _PASSWORD.search(prompt):
            kind, text = "password", f"Password of {found[1] or self._label}"
        elif prompt.startswith("Enter PIN"):
            kind = "passphrase"
        elif found := _ON_BEHALF.match(prompt):
            text = f"{found[1]}: {found[2].strip()}"
        return Question(
            id=secrets.token_hex(8),
            target=self.route.target,
            kind=kind,
            text=again + text,
            fingerprint=fingerprint,
            key_type=key_type,
        )

    def _refuse(self, question: Question) -> None:
        if question.kind == "host_key":
            self._refused = HostKeyUnknown(
                f"The host key of {self._label} is not known ({question.key_type} {question.fingerprint}), and nobody"
                " accepted it.",
                hint="Compare the fingerprint with the one from the host's owner, then connect again "
                "and accept it.",
                details={"fingerprint": question.fingerprint, "key_type": question.key_type},
            )
        else:
            self._refused = QuestionUnanswered(
                f"{self._label} asked, and nobody answered: {question.text}",
                hint="Connect again and answer in the Lab, or set up a key that asks nothing (ssh-agent).",
            )
        self._kill()

    # the end

    def _kill(self) -> None:
        """Kill ssh and its helpers (such as a ProxyCommand): they are one session."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> End:
        end = await super().end()
        if self._refused is not None:
            end.error = self._refused
        elif end.exit_code == _FAILED and not self.established:
            end.error = openssh_errors.explain(end.stderr, self._label)
        if end.error is None and end.exit_code == _FAILED:
            end.error = openssh_errors.cut(end.stderr, self.route.target, self.established)
        return end

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(_end_session, self._process.pid, time.time())
        await self._clear()

    async def _clear(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _end_session(leader: int, until: float) -> None:
    """Kill what ssh left of its session, such as a ProxyCommand that does not notice the end.

    ``until``: when ssh ended (seconds since 1970). A process that began later has the session's number by
    chance.
    """
    import psutil  # at the end of a connection, in a thread

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.create_time() <= until:
                process.kill()


def _options(route: SshRoute, plan: ssh_config.Plan, folder: Path) -> list[str]:
    hop = plan.hops[-1]
    files = [str(host_keys.own_file(folder)), *(file for file in hop.known_hosts)]
    quoted = " ".join('"{}"'.format(file.replace("%", "%%")) for file in dict.fromkeys(files))
    settings = {
        "BatchMode": "no",
        "RequestTTY": "no",
        "RemoteCommand": "none",
        "PermitLocalCommand": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "Tunnel": "no",
        "EscapeChar": "none",
        "LogLevel": "INFO",
        "StrictHostKeyChecking": "ask" if hop.asks_host_key else "yes",
        "UserKnownHostsFile": quoted,
        "CheckHostIP": "no",
        "UpdateHostKeys": "no",
        "ConnectTimeout": str(int(hop.connect_timeout_s)),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
    }
    words = ["-T"]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    return [*words, *ssh_config.arguments(route)]
