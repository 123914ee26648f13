"""Read the user's ssh_config for a host and its jump hosts.

The system's own ``ssh -G`` reads it where installed, so that Include, Match, tokens and defaults mean the
same. Otherwise paramiko's reader does.
"""

from __future__ import annotations

import asyncio
import getpass
import glob
import os
import re
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec

from ...configuration import check
from ...link.errors import ConfigurationUnusable
from . import host_keys
from .config import SshRoute

Settings = dict[str, list[str]]

#: Seconds for a host to answer, where the configuration does not say.
DEFAULT_CONNECT_TIMEOUT_S = 15.0
_MAX_HOPS = 8
_DEFAULT_IDENTITIES = re.compile(r"id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$")


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One SSH connection. ``key_name`` is the host's name in known_hosts; files are absolute."""

    alias: str
    hostname: str
    port: int
    user: str
    key_name: str
    known_hosts: list[str]
    identity_files: list[str]
    default_identities: bool
    certificate_files: list[str]
    identities_only: bool
    agent: str
    methods: list[str]
    prompts: int
    connect_timeout_s: float
    asks_host_key: bool
    family: str = "any"
    proxy_command: str = ""

    @property
    def label(self) -> str:
        """Return the host's name for messages."""
        port = "" if self.port == host_keys.DEFAULT_PORT else f":{self.port}"
        return f"{self.user}@{self.hostname}{port}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The connections to make, one through the other; the last is the target.

    ``needs_openssh`` names the option that only the system's ssh supports; "" where paramiko supports all.
    """

    hops: list[Hop]
    needs_openssh: str = ""


async def plan(route: SshRoute, folder: Path) -> Plan:
    """Return the plan to reach the route's host. Raises ConfigurationUnusable, InvalidRequest."""
    check(route)
    settings = await lookup(route)
    hops, reasons = await _hops(route, settings, folder, _MAX_HOPS)
    return Plan(hops=hops, needs_openssh=next(filter(None, reasons), ""))


async def _hops(route: SshRoute, settings: Settings, folder: Path, left: int) -> tuple[list[Hop], list[str]]:
    if left == 0:
        raise ConfigurationUnusable(
            f"The route to {route.host} has more than {_MAX_HOPS} jump hosts.",
            hint="Look for a loop of ProxyJump in your ssh_config.",
        )
    before: list[Hop] = []
    reasons: list[str] = []
    jump = _one(settings, "proxyjump", "none")
    command = _one(settings, "proxycommand", "none")
    if jump != "none":
        for number, word in enumerate(jump.split(",")):
            through = _jump(route, word)
            if through.host in (route.host, _one(settings, "hostname", "")):
                continue  # `Host *` with a ProxyJump applies to the jump host too
            found = await lookup(through)
            if number > 0:  # only the first jump host uses its own entry's ProxyJump
                found = {**found, "proxyjump": ["none"], "proxycommand": ["none"]}
            more, why = await _hops(through, found, folder, left - 1)
            before += more
            reasons += why
        command = "none"
    hop = await asyncio.to_thread(_hop, route, settings, folder, "" if command == "none" else command)
    reasons.append(await asyncio.to_thread(_needs_openssh, hop, settings))
    return [*before, hop], reasons


def _jump(route: SshRoute, word: str) -> SshRoute:
    found = re.fullmatch(
        r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+|[0-9a-fA-F:]+?))(?::(?P<port>\d+))?/?",
        word.strip(),
    )
    if found is None:
        raise ConfigurationUnusable(
            f"ProxyJump of {route.host} has {word!r}, which is not a host.",
            hint="Write it as user@host:port.",
        )
    through = SshRoute(
        target=route.target,
        host=found["v6"] or found["host"],
        user=found["user"] or "",
        port=int(found["port"] or 0),
        ssh_config=route.ssh_config,
    )
    check(through)
    return through


def _one(settings: Settings, name: str, default: str) -> str:
    values = settings.get(name)
    return values[0] if values else default


def _path(text: str) -> str:
    return str(Path(os.path.expandvars(text)).expanduser())


def _hop(route: SshRoute, settings: Settings, folder: Path, proxy_command: str) -> Hop:
    hostname = _one(settings, "hostname", route.host)
    port = int(_one(settings, "port", "22"))
    user = _one(settings, "user", "")
    alias = _one(settings, "hostkeyalias", "none")

    def path(text: str) -> str:
        return _path(_expanded(text, route, hostname, port, user))

    files = [
        path(word)
        for name in ("userknownhostsfile", "globalknownhostsfile")
        for value in settings.get(name, [])
        for word in shlex.split(value)
        if word != "none"
    ]
    identities = [path(file) for file in settings.get("identityfile", []) if file != "none"]
    agent = _one(settings, "identityagent", "SSH_AUTH_SOCK")
    if agent == "SSH_AUTH_SOCK":
        agent = os.environ.get("SSH_AUTH_SOCK", "")
    timeout = _one(settings, "connecttimeout", "none")
    methods = [
        name
        for name, option in (
            ("publickey", "pubkeyauthentication"),
            ("keyboard-interactive", "kbdinteractiveauthentication"),
            ("password", "passwordauthentication"),
        )
        if _one(settings, option, "yes") not in ("no", "false")
    ]
    preferred = _one(settings, "preferredauthentications", "")
    if preferred:
        methods = [name for name in preferred.split(",") if name in methods]
    return Hop(
        alias=route.host,
        hostname=hostname,
        port=port,
        user=user,
        key_name=host_keys.entry_name(hostname, port) if alias == "none" else alias,
        known_hosts=[*files, str(host_keys.own_file(folder))],
        identity_files=identities,
        default_identities=all(_DEFAULT_IDENTITIES.search(file) for file in identities),
        certificate_files=[path(file) for file in settings.get("certificatefile", []) if file != "none"],
        identities_only=_one(settings, "identitiesonly", "no") == "yes",
        agent="" if agent in ("", "none") else path(agent),
        methods=methods,
        prompts=int(_one(settings, "numberofpasswordprompts", "3")),
        connect_timeout_s=DEFAULT_CONNECT_TIMEOUT_S if timeout == "none" else max(1.0, float(timeout)),
        asks_host_key=_one(settings, "stricthostkeychecking", "ask") not in ("yes", "true"),
        family=_one(settings, "addressfamily", "any"),
        proxy_command=_expanded(proxy_command, route, hostname, port, user),
    )


def _expanded(text: str, route: SshRoute, hostname: str, port: int, user: str) -> str:
    """Return the text with ssh's tokens replaced (`ssh -G` leaves most as they are)."""
    here = socket.gethostname()
    tokens = {
        "%%": "%",
        "%d": str(Path.home()),
        "%h": hostname,
        "%L": here.partition(".")[0],
        "%l": here,
        "%n": route.host,
        "%p": str(port),
        "%r": user,
        "%u": getpass.getuser(),
    }
    return re.sub("%.", lambda found: tokens.get(found[0], found[0]), text)


def _needs_openssh(hop: Hop, settings: Settings) -> str:
    """Return the option that paramiko does not support; "" without one."""
    if _one(settings, "controlpath", "none") != "none":
        return "ControlPath shares the connection with other programs"
    if _one(settings, "pkcs11provider", "none") != "none":
        return "PKCS11Provider: the key is on a smart card"
    for option, name in (
        ("gssapiauthentication", "GSSAPIAuthentication"),
        ("hostbasedauthentication", "HostbasedAuthentication"),
        ("proxyusefdpass", "ProxyUseFdpass"),
        ("usekeychain", "UseKeychain"),
    ):
        if _one(settings, option, "no") in ("yes", "true"):
            return f"{name} is on"
    for option, name in (
        ("knownhostscommand", "KnownHostsCommand"),
        ("revokedhostkeys", "RevokedHostKeys"),
        ("bindaddress", "BindAddress"),
        ("bindinterface", "BindInterface"),
    ):
        if _one(settings, option, "none") != "none":
            return f"{name} is set"
    if host_keys.KnownHosts(map(Path, hop.known_hosts)).has_authority(hop.key_name):
        return "@cert-authority: the host shows a certificate"
    for file in hop.identity_files:
        if _is_security_key(Path(file)):
            return f"{file} is a key on a security token (FIDO)"
    return ""


def _is_security_key(file: Path) -> bool:
    try:
        return file.exists() and Path(f"{file}.pub").read_text().startswith("sk-")
    except (OSError, ValueError):
        return False


def ssh_program() -> str | None:
    """Return the system's ssh, or None."""
    return shutil.which("ssh")


def arguments(route: SshRoute) -> list[str]:
    """Return the route's arguments for ssh; the host comes after ``--``."""
    found: list[str] = []
    if route.ssh_config:
        found += ["-F", _path(route.ssh_config)]
    elif file := _moved():
        found += ["-F", file]
    if route.user:
        found += ["-l", route.user]
    if route.port:
        found += ["-p", str(route.port)]
    if route.identity_file:
        # ssh ignores `-i` with a warning where the file cannot be read.
        found += ["-o", 'IdentityFile="{}"'.format(_path(route.identity_file).replace("%", "%%"))]
    return found


def _moved() -> str:
    """Return the user's own file where HOME is not the account's folder: ssh would look in the latter."""
    import pwd

    file = Path.home() / ".ssh" / "config"
    account = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh" / "config"
    return str(file) if file != account and file.is_file() else ""


async def lookup(route: SshRoute) -> Settings:
    """Return the configuration of the host: each option in lower case with its values. Raises
    ConfigurationUnusable."""
    if route.ssh_config and not os.access(_path(route.ssh_config), os.R_OK):
        raise ConfigurationUnusable(
            f"{route.ssh_config} cannot be read.",
            hint="Correct the path of the ssh_config, or make it readable.",
        )
    if route.identity_file and not os.access(_path(route.identity_file), os.R_OK):
        raise ConfigurationUnusable(
            f"The key {route.identity_file} cannot be read.",
            hint="Correct the path of the target's key file.",
        )
    program = ssh_program()
    if program is None:
        return await asyncio.to_thread(_read_by_paramiko, route)
    process = await asyncio.create_subprocess_exec(
        program,
        "-G",
        *arguments(route),
        "--",
        route.host,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, complaint = await asyncio.wait_for(process.communicate(), 30)
    except asyncio.TimeoutError:
        process.kill()
        raise ConfigurationUnusable(
            f"ssh took over 30 s to read the configuration of {route.host}.",
            hint="Look for a `Match exec` in your ssh_config whose program hangs.",
        ) from None
    if process.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ConfigurationUnusable(
            f"Your ssh_config cannot be used for {route.host}: {'; '.join(lines[-2:])}",
            hint="Correct this line; `ssh -G` with the host's name shows the same error.",
        )
    settings: Settings = {}
    for line in printed.decode(errors="replace").splitlines():
        name, _, value = line.partition(" ")
        settings.setdefault(name.lower(), []).append(value)
    return settings


def _read_by_paramiko(route: SshRoute) -> Settings:
    import paramiko

    file = Path(route.ssh_config or "~/.ssh/config").expanduser()
    try:
        config = paramiko.SSHConfig.from_text(_included(file, 0))
        found: dict[str, Any] = dict(config.lookup(route.host))
    except (paramiko.SSHException, ImportError, ValueError) as error:
        raise ConfigurationUnusable(
            f"{file} cannot be used for {route.host}: {error}",
            hint="Correct the file, or install OpenSSH's client.",
        ) from error
    settings: Settings = {
        name: list(value) if isinstance(value, list) else [value] for name, value in found.items()
    }
    user = route.user or _one(settings, "user", "") or os.environ.get("USER", "") or Path.home().name
    settings["user"] = [user]
    settings["port"] = [str(route.port or int(_one(settings, "port", "22")))]
    names = ("id_rsa", "id_ecdsa", "id_ed25519")
    settings.setdefault("identityfile", [f"~/.ssh/{name}" for name in names])
    if route.identity_file:
        settings["identityfile"].insert(0, route.identity_file)
    settings.setdefault("userknownhostsfile", ["~/.ssh/known_hosts ~/.ssh/known_hosts2"])
    settings.setdefault("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"])
    return settings


def _found(pattern: Path) -> list[str]:
    return glob.glob(str(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern


def _included(file: Path, depth: int) -> str:
    """Return the file's text with its Includes replaced by their files (16 deep, as in OpenSSH)."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return ""
    lines = []
    for line in text.splitlines():
        found = re.match(r"\s*include[\s=]+(.*)", line, re.IGNORECASE)
        if found is None or depth >= 16:
            lines.append(line)
            continue
        for word in shlex.split(found[1]):
            pattern = Path(word).expanduser()
            whole = pattern if pattern.is_absolute() else Path("~/.ssh").expanduser() / pattern
            lines += [_included(Path(name), depth + 1) for name in sorted(_found(whole))]
    return "\n".join(lines) + "\n"
