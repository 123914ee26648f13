"""Find the ports that programs of this user listen on, and carry connections to them.

A port belongs to a kernel if a process of the kernel listens on it. Linux alone says who listens; elsewhere a port is
carried only if a person named the host and not a kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import stat
import struct
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import processes
from .channels import Channel, ChannelReset
from .kernels import Kernels
from .socket_forwarding import pipe
from .threads import in_thread

_LISTEN = "0A"
_CONNECT_S = 10.0
#: The first byte of a ZeroMQ socket, sent to whoever connects (ZMTP 3.1), and the longest wait for it.
_ZMQ, _ZMQ_S = b"\xff", 0.2
_WORDS = 200


class Listener(NamedTuple):
    """A TCP socket that listens: the address to connect to, the user and the number of the socket."""

    address: str
    port: int
    uid: int
    inode: int


async def call_list(kernels: Kernels, params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Answer ``ports.list``: the ports of a kernel's processes, or without ``kernel_id`` those of this user."""
    found = await in_thread(_listed, await _pid_of(kernels, params))
    return [each.row() for each in found if not await _is_of_ipykernel(each)]


async def call_check(kernels: Kernels, params: Dict[str, Any]) -> Dict[str, Any]:
    """Answer ``ports.check``: nothing if the port can be carried now. Raises ChannelReset."""
    (await _connection(kernels, params)).close()
    return {}


async def serve(channel: Channel, kernels: Kernels) -> None:
    """Carry one connection to ``port``, a number or the path of a unix socket. Raises ChannelReset."""
    await pipe(channel, await _connection(kernels, channel.params))


async def _connection(kernels: Kernels, params: Dict[str, Any]) -> socket.socket:
    pid, port = await _pid_of(kernels, params), str(params.get("port", ""))
    if port.startswith("/"):
        return await _to_socket(port, pid)
    if port.isdigit() and 0 < int(port) < 65536:
        return await _to_port(int(port), pid)
    raise ChannelReset(
        "invalid", f"{port[:_WORDS]!r} is not a port.", "Give a number, or the path of a socket."
    )


async def _pid_of(kernels: Kernels, params: Dict[str, Any]) -> int:
    """Return the first process of the kernel in question; 0 without one. Raises ChannelReset."""
    kernel_id = params.get("kernel_id")
    if not kernel_id:
        return 0
    info = await kernels.info({"kernel_id": kernel_id})
    if info["state"] != "running":
        raise ChannelReset("ended", f"The kernel {kernel_id} has ended.", "Open a port of another kernel.")
    return int(info["pid"])


class Listed(NamedTuple):
    """A port, and the process that listens on it."""

    listener: Listener
    pid: int
    command: str

    def row(self) -> Dict[str, Any]:
        """Return what ``ports.list`` answers for it."""
        return {"port": str(self.listener.port), "pid": self.pid, "command": self.command}


def _listed(pid: int) -> List[Listed]:
    owners = _owners(_members(pid) if pid else _own_processes())
    found: Dict[int, Listed] = {}
    for each in listeners():
        if each.inode in owners and each.port not in found:
            process = owners[each.inode]
            found[each.port] = Listed(each, process, _command(process))
    return [found[port] for port in sorted(found)]


async def _is_of_ipykernel(listed: Listed) -> bool:
    """Return whether ipykernel reads the output of child processes there. A Gradio of the kernel is no such port."""
    if "ipykernel" not in listed.command:
        return False
    loop = asyncio.get_running_loop()
    try:
        with contextlib.closing(
            await _to_address(listed.listener.address, listed.listener.port)
        ) as connection:
            return await asyncio.wait_for(loop.sock_recv(connection, 1), _ZMQ_S) == _ZMQ
    except (OSError, asyncio.TimeoutError):
        return False


async def _to_port(port: int, pid: int) -> socket.socket:
    try:
        return await _to_address(await in_thread(_address, port, pid), port)
    except OSError as error:
        raise _silent(f"Port {port}") from error


async def _to_address(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return await _connected(socket.socket(family, socket.SOCK_STREAM), (address, port))


async def _to_socket(path: str, pid: int) -> socket.socket:
    name = path[:_WORDS]
    try:
        found = await in_thread(os.stat, path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise _anothers(f"{name} is no socket of yours on this host.")
        connection = await _connected(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)
    except OSError as error:
        raise _silent(name) from error
    peer, uid = _peer(connection)
    if uid != os.getuid() or (pid and peer not in await in_thread(_members, pid)):
        connection.close()
        raise _anothers(
            f"No process of the kernel listens on {name}." if pid else f"{name} belongs to another user."
        )
    return connection


async def _connected(connection: socket.socket, address: Any) -> socket.socket:
    """Return the socket, connected. Raises OSError."""
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await asyncio.wait_for(loop.sock_connect(connection, address), _CONNECT_S)
    except asyncio.TimeoutError:
        connection.close()
        raise OSError("it does not accept connections") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _silent(what: str) -> ChannelReset:
    return ChannelReset(
        "refused",
        f"{what} does not answer on this host.",
        "Start the program that listens on it, then reload.",
    )


def _anothers(message: str) -> ChannelReset:
    return ChannelReset("not_yours", message, "List the ports of the kernel: genops ports list KERNEL")


def _address(port: int, pid: int) -> str:
    """Return the address to connect to. Raises ChannelReset if the port is not the kernel's, or not this user's."""
    if not os.path.isdir("/proc/self"):
        if pid:
            raise _anothers(f"This host does not say which process listens on port {port}.")
        return "127.0.0.1"
    found = [each for each in listeners() if each.port == port]
    if not found:
        raise _silent(f"Port {port}")
    own = [each for each in found if each.uid == os.getuid()]
    if not own:
        raise _anothers(f"Port {port} of this host belongs to another user.")
    if pid:
        owners = _owners(_members(pid))
        own = [each for each in own if each.inode in owners]
        if not own:
            raise _anothers(f"No process of the kernel listens on port {port}.")
    return own[0].address


def listeners(proc: str = "/proc") -> List[Listener]:
    """Return the TCP sockets that listen on an address of this machine alone, or on all."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"{proc}/net/{name}", encoding="ascii") as stream:
            for line in stream.readlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    address, _, port = fields[1].partition(":")
                    reached = _reached(address)
                    if reached:
                        found.append(Listener(reached, int(port, 16), int(fields[7]), int(fields[9])))
    return found


def _reached(raw: str) -> str:
    """Return the loopback address for an address as /proc writes it; empty if loopback does not lead there.

    >>> _reached("0100007F"), _reached("00000000"), _reached("0500000A")
    ('127.0.0.1', '127.0.0.1', '')
    """
    words = [struct.pack("=I", int(raw[at : at + 8], 16)) for at in range(0, len(raw), 8)]
    address: Any = ipaddress.ip_address(b"".join(words))
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address) if address.is_loopback else ""


def _members(pid: int) -> Set[int]:
    """Return the processes of a kernel."""
    return set(processes.trees([pid])[pid])


def _own_processes() -> Iterator[int]:
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if os.stat(f"/proc/{name}").st_uid == os.getuid():
                    yield int(name)


def _owners(pids: Iterable[int]) -> Dict[int, int]:
    """Return the process of each socket of these processes, by the socket's number."""
    found: Dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{name}")
                    if target.startswith("socket:["):
                        found.setdefault(int(target[8:-1]), pid)
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as stream:
        words = stream.read(4096).decode("utf-8", "replace").split("\0")
        return " ".join(words).strip()[:_WORDS]
    return ""


def _peer(connection: socket.socket) -> Tuple[Optional[int], int]:
    """Return the process and the user that listen on a unix socket; this user where the system does not say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None, os.getuid()
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return pid, uid
