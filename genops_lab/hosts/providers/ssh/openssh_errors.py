"""What the system's ssh says on its standard error, as errors."""

from __future__ import annotations

import re

from ...link.errors import (
    AuthenticationFailed,
    CarrierEnded,
    ConfigurationUnusable,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    LinkError,
)

_FINGERPRINT = re.compile(
    r"fingerprint for the (\S+) (?:host )?key (?:sent by the remote host )?is\s+(SHA256:[A-Za-z0-9+/]+)"
)
_OFFENDING = re.compile(r"Offending (?:\S+ )?key in (.+?):(\d+)")

#: Sentences that ssh says of no failure.
_HARMLESS = re.compile(r"^(Warning: Permanently added|debug\d|Pseudo-terminal|\*\* )")

#: ssh says no more than the message.
_REFUSED = r"Connection refused"
#: ssh's own function, and what the network said.
_DISPATCH = r"^ssh_dispatch_run_fatal: Connection to \S+ port \d+: "
_KINDS: list[tuple[str, type[LinkError], str, str]] = [
    (
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        HostUnreachable,
        "No address is known for {label}",
        "Check the name, HostName in your ssh_config, and whether a VPN must be on.",
    ),
    (
        _REFUSED,
        HostUnreachable,
        "{label}: the connection was refused",
        "Check the port, and that an SSH server runs there.",
    ),
    (
        r"timed out|Connection timeout",
        HostUnreachable,
        "{label} does not answer in time",
        "Check that the host is on, that a VPN is up where one is needed, and that no firewall drops it.",
    ),
    (
        r"No route to host|Network is unreachable|Host is down",
        HostUnreachable,
        "{label} cannot be reached",
        "Check the network, and whether a VPN must be on.",
    ),
    (
        r"^Connection (closed|reset) by|banner exchange|kex_exchange_identification|Bad packet length"
        r"|Protocol major versions differ",
        HostUnreachable,
        "{label} answers, but not as an SSH server, or it ends the connection at once",
        "Check the port; a server that is overloaded or bans your address also behaves so.",
    ),
    (
        _DISPATCH,
        HostUnreachable,
        "{label} ended the connection during the login",
        "Connect again; if it ends again, look at the host's log.",
    ),
    (
        r"Too many authentication failures",
        AuthenticationFailed,
        "{label} ended the login after too many keys",
        "Set IdentityFile and IdentitiesOnly for this host in your ssh_config.",
    ),
    (
        r"Permission denied",
        AuthenticationFailed,
        "{label} refused the login",
        "Set User and IdentityFile for this host in your ssh_config, put the public key into ~/.ssh/authorized_keys"
        " there, or give another user or key for the target.",
    ),
    (
        r"Bad configuration option|terminating, \d+ bad|Unsupported option|no argument after keyword|percent_expand",
        ConfigurationUnusable,
        "Your ssh_config cannot be used for {label}",
        "Correct that line; `ssh -G` with the host's name shows the same.",
    ),
    (
        r"no matching .* found|Unable to negotiate",
        ConfigurationUnusable,
        "{label} and your ssh have no common algorithm",
        "Allow one of the host's algorithms in your ssh_config, or update its SSH server.",
    ),
]


def explain(stderr: str, label: str) -> LinkError | None:
    """Why ssh itself gave up; None where it says nothing that tells."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr or "has been revoked" in stderr:
        return _changed(stderr, label)
    if "Host key verification failed" in stderr:
        return HostKeyUnknown(
            f"The host key of {label} is not known, and nobody accepted it.",
            hint="Compare the fingerprint with what the host's owner says, then connect again and accept it.",
        )
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _HARMLESS.match(line)]
    for pattern, kind, message, hint in _KINDS:
        told = next((line for line in reversed(lines) if re.search(pattern, line)), None)
        if told is not None:
            shown = re.sub(_DISPATCH, "", told)[:300].rstrip(".")
            said = "" if pattern == _REFUSED else f" ({shown})"
            return kind(f"{message.format(label=label)}{said}.", hint=hint)
    return None


def _changed(stderr: str, label: str) -> LinkError:
    found = _FINGERPRINT.search(stderr)
    kind, fingerprint = (found[1].lower(), found[2]) if found else ("", "")
    place = _OFFENDING.search(stderr)
    file, line = (place[1], place[2]) if place else ("", "")
    where = f"; {file}, line {line}" if file else ""
    return HostKeyChanged(
        f"The host key of {label} is another one than is known ({kind} {fingerprint}{where}): nothing was sent."
        " Somebody may stand between you and it.",
        hint="Ask who runs the host. If the key was changed on purpose, remove the old one"
        + (f": ssh-keygen -R with the host's name and -f '{file}'" if file else "")
        + ", and connect again to see the new fingerprint.",
        details={"fingerprint": fingerprint, "key_type": kind, "file": file},
    )


def cut(stderr: str, target: str, established: bool = True) -> LinkError:
    """The connection broke."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _HARMLESS.match(line)]
    last = re.sub(_DISPATCH, "", lines[-1])[:300].rstrip(".") if lines else "ssh ended"
    return CarrierEnded(
        f"The connection to {target} was cut: {last}.",
        hint="It is made again by itself; kernels on the host go on meanwhile."
        if established
        else "Connect again; if it ends again, look at the host's log.",
    )
