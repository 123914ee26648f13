"""Turn the standard error of the system's ssh into errors."""

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

#: Lines of ssh that report no failure.
_HARMLESS = re.compile(r"^(Warning: Permanently added|debug\d|Pseudo-terminal|\*\* )")

#: ssh adds nothing to the message.
_REFUSED = r"Connection refused"
#: The name of ssh's own function, before the network's error.
_DISPATCH = r"^ssh_dispatch_run_fatal: Connection to \S+ port \d+: "
_KINDS: list[tuple[str, type[LinkError], str, str]] = [
    (
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        HostUnreachable,
        "No address was found for {label}",
        "Check the name, HostName in your ssh_config, and whether a VPN must be on.",
    ),
    (
        _REFUSED,
        HostUnreachable,
        "{label} refused the connection",
        "Check the port, and that an SSH server runs on the host.",
    ),
    (
        r"timed out|Connection timeout",
        HostUnreachable,
        "{label} did not answer in time",
        "Check that the host is on, that a VPN is up where one is needed, and that no firewall blocks "
        "the port.",
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
        "{label} answered, but is not an SSH server, or it closed the connection at once",
        "Check the port. An overloaded server, or one that bans your address, also closes the connection.",
    ),
    (
        _DISPATCH,
        HostUnreachable,
        "{label} closed the connection during the login",
        "Connect again. If this repeats, look at the host's log.",
    ),
    (
        r"Too many authentication failures",
        AuthenticationFailed,
        "{label} closed the login after too many keys",
        "Set IdentityFile and IdentitiesOnly for this host in your ssh_config.",
    ),
    (
        r"Permission denied",
        AuthenticationFailed,
        "{label} refused the login",
        "Set User and IdentityFile for this host in your ssh_config, and add the public key to "
        "~/.ssh/authorized_keys on the host. Or give the target another user or key.",
    ),
    (
        r"Bad configuration option|terminating, \d+ bad|Unsupported option|no argument after keyword|percent_expand",
        ConfigurationUnusable,
        "Your ssh_config cannot be used for {label}",
        "Correct this line; `ssh -G` with the host's name shows the same error.",
    ),
    (
        r"no matching .* found|Unable to negotiate",
        ConfigurationUnusable,
        "{label} and your ssh have no common algorithm",
        "Allow one of the host's algorithms in your ssh_config, or update its SSH server.",
    ),
]


def explain(stderr: str, label: str) -> LinkError | None:
    """Return why ssh itself gave up; None where its output does not say."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr or "has been revoked" in stderr:
        return _changed(stderr, label)
    if "Host key verification failed" in stderr:
        return HostKeyUnknown(
            f"The host key of {label} is not known, and nobody accepted it.",
            hint="Compare the fingerprint with the one from the host's owner, then connect again and "
            "accept it.",
        )
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _HARMLESS.match(line)]
    for pattern, kind, message, hint in _KINDS:
        matched = next((line for line in reversed(lines) if re.search(pattern, line)), None)
        if matched is not None:
            shown = re.sub(_DISPATCH, "", matched)[:300].rstrip(".")
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
        f"The host key of {label} has changed ({kind} {fingerprint}{where}): nothing was sent."
        " Somebody may be intercepting the connection.",
        hint="Ask the administrator of the host. If the key was changed on purpose, remove the old one"
        + (f": ssh-keygen -R with the host's name and -f '{file}'" if file else "")
        + ", and connect again to see the new fingerprint.",
        details={"fingerprint": fingerprint, "key_type": kind, "file": file},
    )


def cut(stderr: str, target: str, established: bool = True) -> LinkError:
    """Return the error for a connection that broke."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _HARMLESS.match(line)]
    last = re.sub(_DISPATCH, "", lines[-1])[:300].rstrip(".") if lines else "ssh ended"
    return CarrierEnded(
        f"The connection to {target} was cut: {last}.",
        hint="GenOps Lab reconnects by itself. Kernels on the host keep running."
        if established
        else "Connect again. If this repeats, look at the host's log.",
    )
