"""List the keys that a login may offer: of files, certificates and an agent, those that ask least first.

Runs in the carrier's child only.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
from paramiko.message import Message

from .ssh_config import Hop

_CERTIFICATE = "-cert-v01@openssh.com"
#: Seconds for the agent to answer: some ask a person before they sign.
_AGENT_S = 60.0
_AGENT_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class WrongPassphrase(Exception):
    """The passphrase does not open the key file."""


class Identity:
    """One key to offer. ``blob`` is its public part (a certificate, where it has one); ``name`` is for
    messages."""

    def __init__(self, name: str, blob: bytes, sign: Callable[[bytes, str], bytes] | None) -> None:
        self.name = name
        self.blob = blob
        self._sign = sign
        self.file: Path | None = None

    @property
    def key_type(self) -> str:
        """Return ``ssh-ed25519``, ``ssh-rsa-cert-v01@openssh.com``, ..."""
        return str(Message(self.blob).get_text())

    @property
    def locked(self) -> bool:
        """Return whether the key needs a passphrase before it can sign."""
        return self._sign is None

    def algorithm(self, server_takes: str) -> str:
        """Return the signature's algorithm. ``server_takes`` is the server's list, "" where it sent none."""
        kind = self.key_type
        if not kind.startswith("ssh-rsa"):
            return kind
        taken = server_takes.split(",") if server_takes else ["rsa-sha2-512"]
        chosen = next((name for name in ("rsa-sha2-512", "rsa-sha2-256") if name in taken), "rsa-sha2-512")
        return chosen + (_CERTIFICATE if kind.endswith(_CERTIFICATE) else "")

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """Return the signature in its wire format."""
        assert self._sign is not None
        return self._sign(data, algorithm.replace(_CERTIFICATE, "") if "rsa" in algorithm else algorithm)

    def unlock(self, passphrase: str) -> None:
        """Make the key able to sign. Raises WrongPassphrase."""
        assert self.file is not None
        self._sign = _signer(_load(self.file, passphrase))


def _signer(key: Any) -> Callable[[bytes, str], bytes]:
    def sign(data: bytes, algorithm: str) -> bytes:
        plain = algorithm.replace(_CERTIFICATE, "")
        return bytes(key.sign_ssh_data(data, plain if plain.startswith("rsa-") else None).asbytes())

    return sign


def _load(file: Path, passphrase: str | None) -> Any:
    """Load a private key. Raises WrongPassphrase, and ValueError for a key that paramiko cannot use."""
    secret = None if passphrase is None else passphrase.encode()
    try:
        key = paramiko.PKey.from_path(file, secret)  # type: ignore[arg-type]
    except (TypeError, paramiko.PasswordRequiredException) as error:
        raise WrongPassphrase(str(file)) from error
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        if passphrase is not None:
            raise WrongPassphrase(str(file)) from error
        raise ValueError(str(error)) from error
    key.public_blob = None  # this module matches certificates, not paramiko by the file's name
    return key


def identities(hop: Hop, first: str, note: Callable[[str], None]) -> list[Identity]:
    """Return all keys for this connection, best first.

    ``first`` is the fingerprint of the key that was accepted the last time. Calls ``note`` with each key that
    cannot be used.
    """
    agent = Agent(hop.agent, note)
    in_agent = list(agent.identities())
    files = [found for file in hop.identity_files if (found := _of_file(Path(file), note)) is not None]
    wanted = {identity.blob for identity in files}
    certificates = list(_certificates(hop, note))
    named = [identity for identity in in_agent if _plain(identity.blob) in wanted]
    others = [] if hop.identities_only else [identity for identity in in_agent if identity not in named]
    known = {_plain(identity.blob) for identity in in_agent}
    open_files = [identity for identity in files if not identity.locked and identity.blob not in known]
    locked = [identity for identity in files if identity.locked and identity.blob not in known]
    middle = [*others, *open_files] if hop.default_identities else [*open_files, *others]
    offered: list[Identity] = []
    for identity in [*named, *middle, *locked]:
        offered += _with_certificates(identity, certificates)
    offered.sort(key=lambda identity: _fingerprint(identity.blob) != first)
    return offered


def _fingerprint(blob: bytes) -> str:
    from .host_keys import fingerprint

    return fingerprint(blob)


def _with_certificates(identity: Identity, certificates: list[bytes]) -> list[Identity]:
    """Return the identity's certificates, then the identity."""
    found = []
    for blob in certificates:
        if identity.blob != blob and _plain(blob) == identity.blob:
            certified = Identity(f"{identity.name} (certificate)", blob, identity._sign)
            certified.file = identity.file
            found.append(certified)
    return [*found, identity]


def _plain(blob: bytes) -> bytes:
    """Return the public key inside a certificate; the blob itself where it is no certificate."""
    message = Message(blob)
    kind = message.get_text()
    if not kind.endswith(_CERTIFICATE):
        return blob
    message.get_binary()  # nonce
    fields = {"ssh-ed25519": 1, "ssh-rsa": 2}.get(kind.removesuffix(_CERTIFICATE), 2)
    plain = Message()
    plain.add_string(kind.removesuffix(_CERTIFICATE))
    for _ in range(fields):
        plain.add_string(message.get_binary())
    return bytes(plain.asbytes())


def _of_file(file: Path, note: Callable[[str], None]) -> Identity | None:
    try:
        text = file.read_text(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        note(f"{file}: {error.strerror}")
        return None
    try:
        key = _load(file, None)
    except WrongPassphrase:
        blob = _public_blob(file, text)
        if blob is None:
            note(f"{file}: its public part is unknown; add {file.name}.pub next to it")
            return None
        identity = Identity(str(file), blob, None)
    except ValueError:
        note(f"{file}: not a usable private key")
        return None
    else:
        identity = Identity(str(file), bytes(key.asbytes()), _signer(key))
    identity.file = file
    return identity


def _public_blob(file: Path, text: str) -> bytes | None:
    """Return the public part of a locked key: OpenSSH's format has it in clear, other formats need the
    ``.pub``."""
    with contextlib.suppress(ValueError, IndexError, struct.error):
        lines = [line for line in text.splitlines() if line and not line.startswith("-----")]
        data = base64.b64decode("".join(lines))
        if data.startswith(b"openssh-key-v1\0"):
            message = Message(data[15:])
            for _ in range(3):
                message.get_binary()
            message.get_int()
            return bytes(message.get_binary())
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(Path(f"{file}.pub").read_text().split()[1])
    return None


def _certificates(hop: Hop, note: Callable[[str], None]) -> Iterator[bytes]:
    named = [Path(file) for file in hop.certificate_files]
    beside = [Path(f"{file}-cert.pub") for file in hop.identity_files]
    for file in [*named, *beside]:
        try:
            yield base64.b64decode(file.read_text().split()[1])
        except FileNotFoundError:
            if file in named:
                note(f"{file}: no such file")
        except (OSError, ValueError, IndexError):
            note(f"{file}: not a readable certificate")


class Agent:
    """The user's ssh-agent lists keys and signs; it is never forwarded. ``path`` "": none."""

    def __init__(self, path: str, note: Callable[[str], None]) -> None:
        self._socket: socket.socket | None = None
        if not path:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_AGENT_S)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            note(f"ssh-agent at {path}: {error.strerror}")
        else:
            self._socket = connection

    def _ask(self, request: bytes) -> Message:
        assert self._socket is not None
        self._socket.sendall(struct.pack(">I", len(request)) + request)
        size = struct.unpack(">I", self._take(4))[0]
        return Message(self._take(size))

    def _take(self, count: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise OSError("the ssh-agent ended")
            data += piece
        return data

    def identities(self) -> Iterator[Identity]:
        """Yield the agent's keys."""
        if self._socket is None:
            return
        try:
            answer = self._ask(b"\x0b")
            if answer.get_byte() != b"\x0c":
                return
            for _ in range(answer.get_int()):
                blob = bytes(answer.get_binary())
                comment = answer.get_text()
                yield Identity(f"{comment} (ssh-agent)", blob, self._signer(blob))
        except OSError:
            return

    def _signer(self, blob: bytes) -> Callable[[bytes, str], bytes]:
        def sign(data: bytes, algorithm: str) -> bytes:
            request = Message()
            request.add_byte(b"\x0d")
            request.add_string(blob)
            request.add_string(data)
            request.add_int(_AGENT_FLAGS.get(algorithm.replace(_CERTIFICATE, ""), 0))
            answer = self._ask(request.asbytes())
            if answer.get_byte() != b"\x0e":
                raise OSError("the ssh-agent did not sign")
            return bytes(answer.get_binary())

        return sign
