"""The configuration of a host over SSH."""

from __future__ import annotations

from typing import Annotated, Literal

from ...configuration import HostConfig, option

_HOST = r"[^\s\x00-\x1f\x7f'\"`$\\;&|<>(){}*?!#,-][^\s\x00-\x1f\x7f'\"`$\\;&|<>(){}*?!#,]*"
_USER = r"[^\s\x00-\x1f\x7f'\"`$;&|<>(){}*?!#,:-][^\s\x00-\x1f\x7f'\"`$;&|<>(){}*?!#,:]*"


class SshConfig(HostConfig, frozen=True, kw_only=True):
    """The configuration of a host over SSH. Empty fields take their value from the ssh_config, then from the
    program's defaults.

    ``host`` is an alias of the ssh_config or a name; ``ssh_config`` is a file ("" = the user's own).
    """

    host: Annotated[
        str,
        option(
            "Host",
            "An alias of your ssh_config, or a name or address. User, port and keys come from the ssh_config.",
            required=True,
            pattern=_HOST,
            noun="a host",
            hint="Give an alias of your ssh_config, a name or an address, without spaces or a leading hyphen.",
        ),
    ] = ""
    user: Annotated[
        str,
        option(
            "User",
            "The login name on the host.",
            advanced=True,
            pattern=_USER,
            noun="a user name",
            hint="Give the login name on the host.",
        ),
    ] = ""
    port: Annotated[
        int,
        option(
            "Port",
            "The SSH server's port. 0: the port in your ssh_config.",
            advanced=True,
            minimum=0,
            maximum=65535,
            noun="a port",
            hint="Give a port from 1 to 65535, or 0 for the port in your ssh_config.",
        ),
    ] = 0
    identity_file: Annotated[str, option("Private key", "A file on this machine.", advanced=True)] = ""
    ssh_config: str = ""
    carrier: Annotated[
        Literal["auto", "paramiko", "openssh"],
        option(
            "Connection",
            "Automatic uses the system's ssh only where your ssh_config needs it.",
            advanced=True,
            choice_labels={
                "auto": "Automatic",
                "paramiko": "Built in (paramiko)",
                "openssh": "The system's ssh",
            },
            noun="a carrier",
            hint="Choose auto, paramiko or openssh.",
        ),
    ] = "auto"


class SshRoute(SshConfig, frozen=True, kw_only=True):
    """The route to one host: the target's name with its configuration. A jump host has a route of its own."""

    target: str
