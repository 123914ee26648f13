"""List the addresses of a deployment: who reaches each from where, with which credential, and what does not work."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings

    from .targets.base import Observed

#: The path of JupyterLab's own address below its base URL.
LAB_PATH = "genops/call"

_KEY = "a key of the deployment"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a deployment, without the path of a request.

    ``kind`` is loopback (this machine), host (the host of a target), ssh (another machine, after ``command`` there),
    lab (through JupyterLab) or https (other machines). ``reached_from`` says from where, ``callers`` who, and
    ``credential`` what they send. ``problem`` says why there is no such address; ``address`` is then empty.
    """

    kind: Literal["loopback", "host", "ssh", "lab", "https"]
    reached_from: str
    address: str = ""
    callers: str = ""
    credential: str = ""
    command: str = ""
    problem: str = ""


def addresses_of(name: str, target: str, seen: Observed, settings: Settings) -> list[Address]:
    """Return the addresses of a deployment on a target (empty: this machine) that answers; of any other none."""
    if not seen.address:
        return []
    found = [
        Address(
            kind="loopback",
            address=seen.address,
            reached_from=f"this machine, while {target} is connected" if target else "this machine",
            callers="programs here with a key",
            credential=_KEY,
        )
    ]
    if seen.there:
        found.append(
            Address(
                kind="host", address=seen.there, reached_from=target, callers="programs there with a key",
                credential=_KEY,
            )
        )  # fmt: skip
    return [*found, _lab(name, settings), _https(target, seen), _ssh(target, seen, settings)]


def _lab(name: str, settings: Settings) -> Address:
    """Return the address through JupyterLab. Front ends know the name by which their page was opened better."""
    if not settings.lab_url:
        return Address(
            kind="lab", reached_from="where JupyterLab opens", problem="JupyterLab does not run. Start it: jupyter lab"
        )  # fmt: skip
    address = f"{settings.lab_url}{LAB_PATH}/{name}"
    if not settings.hub:
        return Address(
            kind="lab", address=address, reached_from="where JupyterLab opens",
            callers="people who may use this JupyterLab", credential="the token of JupyterLab",
        )  # fmt: skip
    user = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    return Address(
        kind="lab",
        address=address,
        reached_from="where the hub opens",
        callers=f"{user}, and people with access to this server",
        credential="a token of the hub, from its page Token",
    )


def _https(target: str, seen: Observed) -> Address:
    if seen.https:
        return Address(
            kind="https", address=seen.https, reached_from="other machines", callers="everybody with a key",
            credential=_KEY,
        )  # fmt: skip
    how = (
        "The key 'https' of a deployment file opens a port with a certificate."
        if target
        else "An administrator opens a port with a certificate: GenOpsLab.deployment_https."
    )
    where = target or "this machine"
    problem = f"The gateway listens on loopback of {where} alone. {how}"
    return Address(kind="https", reached_from="other machines", problem=problem)


def _ssh(target: str, seen: Observed, settings: Settings) -> Address:
    """Return the address on another machine after a command there, which needs a login at the host."""
    if not target and settings.hub:
        return Address(
            kind="ssh",
            reached_from="a machine with an SSH login here",
            problem="A server of a hub usually has no SSH server. Use the address of the hub.",
        )
    port = seen.address.rsplit(":", 1)[1].partition("/")[0]
    here = f"ssh -N -L {port}:127.0.0.1:{port} {getpass.getuser()}@{socket.gethostname()}"
    command = seen.forwarding if target else here
    if not command:
        return Address(kind="ssh", reached_from="an SSH login", problem=f"{target} takes no SSH logins.")
    return Address(
        kind="ssh",
        address=seen.there if target else seen.address,
        reached_from=f"a machine with an SSH login at {target or 'this machine'}",
        callers="programs there with a key",
        credential=_KEY,
        command=command,
    )
