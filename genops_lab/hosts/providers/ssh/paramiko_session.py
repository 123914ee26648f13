"""Make one SSH connection with paramiko, over its jump hosts, up to the channel that runs the command.

Runs in the carrier's child only, one connection per process. Round trips beyond TCP's own: one for the key
exchange's proposals, one for the keys, and one for service, key, channel and command together where the
server is an OpenSSH. It takes two where a channel cannot be opened along with the login.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
from paramiko import common
from paramiko.message import Message

from ...link.errors import (
    CarrierEnded,
    ConfigurationUnusable,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    LinkError,
)
from ...link.questions import ACCEPT
from . import host_keys
from .paramiko_keys import identities
from .paramiko_login import Ask, Login, ended
from .ssh_config import Hop

#: Bytes that the host may send before an acknowledgement. They are passed on at once, never kept.
WINDOW_BYTES = 1 << 30
#: The largest packet that the host may send, in bytes (OpenSSH's own limit is 256 KiB per packet).
PACKET_BYTES = 128 * 1024
#: Bytes per read: for more, the system maps fresh memory each time, which costs more than a packet.
_PIECE_BYTES = 1 << 16
#: Seconds for a channel to open, or for a server to close one.
CHANNEL_S = 30.0

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_KEY_EXCHANGE = ("curve25519-sha256", "curve25519-sha256@libssh.org")

#: Receives a channel's bytes: called in the transport's thread with each packet's data.
Sink = Callable[[bytes], None]


class BufferedSocket:
    """A socket read in large pieces: paramiko reads 16 bytes, then the rest of each packet."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped
        self._buffer = b""
        self._at = 0
        self.send = wrapped.send
        self.close = wrapped.close

    def settimeout(self, seconds: float | None) -> None:
        """Ignore paramiko's timeout: it wakes up 10 times a second to check for a close, but here the process
        just ends."""
        self._wrapped.settimeout(None if seconds is None else max(seconds, 1.0))

    def recv(self, count: int) -> bytes:
        """Return at most ``count`` bytes."""
        if self._at >= len(self._buffer):
            self._buffer = self._wrapped.recv(_PIECE_BYTES)
            self._at = 0
        piece = self._buffer[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


class Session:
    """The connections of a plan. ``first_keys`` has the fingerprints of the keys accepted the last time, by
    hop."""

    def __init__(
        self, hops: list[Hop], folder: Path, ask: Ask, first_keys: dict[str, str], *, eager: bool
    ) -> None:
        self.hops = hops
        self.folder = folder
        self.ask = ask
        self.first_keys = first_keys
        self.eager = eager
        self.notes: list[str] = []
        self.transport: Any = None
        self.taken: dict[str, str] = {}
        self._transports: list[Any] = []
        self._proxy: subprocess.Popen[bytes] | None = None

    def open(self, command: str, data: Sink, errors: Sink) -> Any:
        """Connect, log in, and run the command. Returns its channel; output goes to the sinks. Raises
        LinkError."""
        through: Any = None
        for hop, following in itertools.pairwise(self.hops):
            transport = self._connect(hop, through)
            self._login(transport, hop, None)
            try:
                through = transport.open_channel(
                    "direct-tcpip", (following.hostname, following.port), ("127.0.0.1", 0), timeout=CHANNEL_S
                )
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise HostUnreachable(
                    f"{following.label} cannot be reached from {hop.label}: {error}",
                    hint="Check HostName and Port of the target as the jump host sees them, and that "
                    "the jump host allows forwarding.",
                ) from error
        hop = self.hops[-1]
        self.transport = self._connect(hop, through)
        eager = self.eager and "OpenSSH" in (self.transport.remote_version or "")
        execution = _Execution(self.transport, command, data, errors, eager=eager)
        login = self._login(self.transport, hop, execution.send if eager else None)
        try:
            if not login.eager_worked:
                execution.send()
            execution.confirmed(hop)
        except EOFError as error:  # the peer has closed the connection
            raise execution.ended(hop) from error
        return execution.channel

    # One connection

    def _connect(self, hop: Hop, through: Any) -> Any:
        known = host_keys.KnownHosts(map(Path, hop.known_hosts))
        wire = through if through is not None else self._reach(hop)
        try:
            transport = _transport(BufferedSocket(wire))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _unreachable(hop, error) from error
        self._transports.append(transport)
        transport.banner_timeout = transport.handshake_timeout = hop.connect_timeout_s
        _prefer(transport, known.types(hop.key_name))
        try:
            transport.start_client(timeout=hop.connect_timeout_s)
            if not transport.initial_kex_done:  # the call returns at the timeout as it does at success
                raise TimeoutError("timed out")
        except paramiko.ssh_exception.IncompatiblePeer as error:
            raise ConfigurationUnusable(
                f"{hop.label} and paramiko have no common algorithm: {error}",
                hint="Set the target's Connection to the system's ssh (openssh), or update the host's "
                "SSH server.",
                code="ssh_incompatible",
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _unreachable(hop, error) from error
        self._check_host_key(hop, known, transport.get_remote_server_key())
        return transport

    def _reach(self, hop: Hop) -> Any:
        if hop.proxy_command:
            near, far = socket.socketpair()
            with far:
                self._proxy = subprocess.Popen(  # noqa: S602 - the user's own ssh_config says so
                    f"exec {hop.proxy_command}",
                    shell=True,
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=subprocess.DEVNULL,
                )
            return near
        family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(hop.family, socket.AF_UNSPEC)
        try:
            found = socket.getaddrinfo(hop.hostname, hop.port, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise HostUnreachable(
                f"No address was found for {hop.hostname}: {getattr(error, 'strerror', None) or error}.",
                hint="Check the name, HostName in your ssh_config, and whether a VPN must be on.",
                code="host_unreachable",
            ) from error
        failure: OSError = OSError("no address")
        for kind, sort, protocol, _, address in found:
            wire = socket.socket(kind, sort, protocol)
            wire.settimeout(hop.connect_timeout_s)
            try:
                wire.connect(address)
            except OSError as error:
                wire.close()
                failure = error
                continue
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return wire
        raise _unreachable(hop, failure) from failure

    def _check_host_key(self, hop: Hop, known: host_keys.KnownHosts, key: Any) -> None:
        blob, kind = bytes(key.asbytes()), str(key.get_name())
        fingerprint = host_keys.fingerprint(blob)
        details = {"fingerprint": fingerprint, "key_type": kind, "name": hop.key_name}
        verdict, line = known.look(hop.key_name, blob)
        if verdict == "known":
            return
        if verdict != "unknown":
            assert line is not None
            said = "was revoked" if verdict == "revoked" else "has changed"
            raise HostKeyChanged(
                f"The host key of {hop.label} {said} ({kind} {fingerprint}; {line.file}, line {line.line}): nothing"
                " was sent. Somebody may be intercepting the connection.",
                hint="Ask the administrator of the host. If the key was changed on purpose, remove the "
                "old one:"
                f" ssh-keygen -R '{hop.key_name}' -f '{line.file}', and connect again "
                "to see the new fingerprint.",
                details={**details, "file": str(line.file)},
            )
        accepted = hop.asks_host_key and self.ask(
            kind="host_key",
            text=(
                f"{hop.label} is not known yet. Its {kind} key has the fingerprint {fingerprint}. Do "
                "you trust this host?"
            ),
            fingerprint=fingerprint,
            key_type=kind,
        )
        if accepted != ACCEPT:
            raise HostKeyUnknown(
                f"The host key of {hop.label} is not known ({kind} {fingerprint}), and nobody accepted it.",
                hint="Compare the fingerprint with the one from the host's owner, then connect again "
                "and accept it.",
                details=details,
            )
        with contextlib.suppress(OSError):  # the next connection asks again
            host_keys.remember(self.folder, hop.key_name, kind, blob)

    def _login(self, transport: Any, hop: Hop, then: Callable[[], None] | None) -> Login:
        keys = identities(hop, self.first_keys.get(hop.label, ""), self.notes.append)
        login = Login(transport, hop, self.ask, then)
        try:
            login.run(keys)
        except EOFError as error:  # the peer has closed the connection
            raise login.ended() from error
        except LinkError as error:
            if self.notes:
                error.message += f" Not usable: {'; '.join(self.notes)}."
            raise
        if login.taken:
            self.taken[hop.label] = host_keys.fingerprint(login.taken)
        return login

    def close(self) -> None:
        """End all connections."""
        for transport in reversed(self._transports):
            transport.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()


def _transport(wire: Any) -> Any:
    return paramiko.Transport(wire)


def _prefer(transport: Any, known_types: list[str]) -> None:
    """Prefer fast ciphers, no compression, a cheap key exchange, and the types of the known host keys."""
    ciphers = transport._cipher_info
    transport._preferred_ciphers = tuple(
        dict.fromkeys([*(name for name in _CIPHERS if name in ciphers), *transport._preferred_ciphers])
    )
    kex = transport._kex_info
    transport._preferred_kex = tuple(
        dict.fromkeys([*(name for name in _KEY_EXCHANGE if name in kex), *transport._preferred_kex])
    )
    wanted = [
        name
        for kind in known_types
        for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
    ]
    keys = transport._preferred_keys
    transport._preferred_keys = tuple(dict.fromkeys([*(name for name in wanted if name in keys), *keys]))


def _unreachable(hop: Hop, error: BaseException) -> LinkError:
    text = str(error) or type(error).__name__
    where = f"{hop.hostname}, port {hop.port}"
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachable(
            f"{where} refused the connection.",
            hint="Check the port, and that an SSH server runs on the host.",
        )
    if isinstance(error, TimeoutError) or "timeout" in text.lower() or "timed out" in text.lower():
        return HostUnreachable(
            f"{where} did not answer within {hop.connect_timeout_s:.0f} s.",
            hint="Check that the host is on, that a VPN is up where one is needed, and that no "
            "firewall blocks the port.",
        )
    if isinstance(error, EOFError) or "banner" in text.lower():
        return HostUnreachable(
            f"{where} answered, but is not an SSH server, or it closed the connection at once ({text}).",
            hint="Check the port. An overloaded server, or one that bans your address, also closes the "
            "connection.",
        )
    return HostUnreachable(
        f"{where} cannot be reached: {text}", hint="Check the name, the port and the network."
    )


class _Execution:
    """A session channel and its command, requested at once and answered later."""

    def __init__(self, transport: Any, command: str, data: Sink, errors: Sink, *, eager: bool) -> None:
        self.transport = transport
        self.command = command
        self.sinks = (data, errors)
        self.channel: Any = None
        self._opened = threading.Event()
        self._eager = eager
        table = dict(transport._channel_handler_table)
        table[common.MSG_CHANNEL_DATA] = self._data
        table[common.MSG_CHANNEL_EXTENDED_DATA] = self._extended
        transport._channel_handler_table = table

    def send(self) -> None:
        """Request a channel. An OpenSSH server gives the first one number 0, so the command can go along
        (``eager``)."""
        transport = self.transport
        with transport.lock:
            if (
                self.channel is not None
            ):  # the server ignored the first request, which came before the login's end
                transport._channels.delete(self.channel.chanid)
            number = transport._next_channel()
            channel: Any = paramiko.Channel(number)
            transport._channels.put(number, channel)
            self._opened = threading.Event()
            transport.channel_events[number] = self._opened
            transport.channels_seen[number] = True
            channel._set_transport(transport)
            channel._set_window(WINDOW_BYTES, PACKET_BYTES)
        self.channel = channel
        message = Message()
        message.add_byte(common.cMSG_CHANNEL_OPEN)
        message.add_string("session")
        for value in (number, WINDOW_BYTES, PACKET_BYTES):
            message.add_int(value)
        transport._send_message(message)
        if self._eager:
            self._ask_command(0)

    def _ask_command(self, remote_number: int) -> None:
        message = Message()
        message.add_byte(common.cMSG_CHANNEL_REQUEST)
        message.add_int(remote_number)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(self.command)
        self.transport._send_message(message)

    def confirmed(self, hop: Hop) -> None:
        """Wait until the channel is open. Raises CarrierEnded."""
        if not self._opened.wait(CHANNEL_S):
            raise CarrierEnded(
                f"{hop.label} opened no channel within {CHANNEL_S:.0f} s.",
                hint="Connect again.",
                code="not_opened",
            )
        if not self.channel.active:
            raise self.ended(hop)
        if not self._eager:
            self._ask_command(self.channel.remote_chanid)
        elif self.channel.remote_chanid != 0:
            raise CarrierEnded(
                f"{hop.label} uses its own channel numbers.",
                hint="Connect again.",
                code="not_opened",
            )

    def ended(self, hop: Hop) -> CarrierEnded:
        """Return why the connection ended."""
        return ended(
            self.transport,
            hop.label,
            f"{hop.label} opened no session",
            "The host may limit sessions (MaxSessions, pam_limits), or allow only forwarding.",
        )

    def _data(self, channel: Any, message: Message) -> None:
        if channel is not self.channel:
            channel._feed(message)
            return
        data = message.get_binary()
        self.sinks[0](data)
        self._taken(channel, len(data))

    def _extended(self, channel: Any, message: Message) -> None:
        if channel is not self.channel:
            channel._feed_extended(message)
            return
        message.get_int()
        data = message.get_binary()
        self.sinks[1](data)
        self._taken(channel, len(data))

    def _taken(self, channel: Any, count: int) -> None:
        channel.in_window_sofar += count
        # During a key exchange no such message may be sent, and this thread runs the key exchange.
        if channel.in_window_sofar > channel.in_window_threshold and self.transport.clear_to_send.is_set():
            message = Message()
            message.add_byte(common.cMSG_CHANNEL_WINDOW_ADJUST)
            message.add_int(channel.remote_chanid)
            message.add_int(channel.in_window_sofar)
            channel.in_window_sofar = 0
            self.transport._send_user_message(message)
