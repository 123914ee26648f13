"""How a target is reached."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ...core.errors import InvalidRequest

_HOST = re.compile(r"[^\s\x00-\x1f\x7f'\"`$\\;&|<>(){}*?!#,-][^\s\x00-\x1f\x7f'\"`$\\;&|<>(){}*?!#,]*")
_USER = re.compile(r"[^\s\x00-\x1f\x7f'\"`$;&|<>(){}*?!#,:-][^\s\x00-\x1f\x7f'\"`$;&|<>(){}*?!#,:]*")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a target. What is empty comes from the ssh_config, or else from the program's defaults.

    ``host`` is an alias of the ssh_config or a name; ``ssh_config`` is a file ("" = the user's own);
    ``python`` the interpreter there: a name on the login shell's PATH, or a path, which may begin with ``~/``.
    """

    target: str
    kind: Literal["ssh", "local"] = "ssh"
    host: str = ""
    user: str = ""
    port: int = 0
    identity_file: str = ""
    ssh_config: str = ""
    python: str = "python3"
    carrier: Literal["auto", "paramiko", "openssh"] = "auto"

    def check(self) -> None:
        """Raises InvalidRequest where a field could not be what it says, or would be read as an option."""
        if self.kind == "ssh" and not _HOST.fullmatch(self.host):
            raise InvalidRequest(
                f"{self.host!r} is not a host.",
                hint="Give an alias of your ssh_config, a name or an address, without spaces or a leading hyphen.",
            )
        if self.user and not _USER.fullmatch(self.user):
            raise InvalidRequest(
                f"{self.user!r} is not a user's name.", hint="Give the login name on the host."
            )
        if not 0 <= self.port <= 65535:
            raise InvalidRequest(
                f"{self.port} is not a port.", hint="Ports go from 1 to 65535; 0 leaves it open."
            )
        if not self.python or re.search(r"[\x00-\x1f\x7f]", self.python):
            raise InvalidRequest(
                f"{self.python!r} is not an interpreter.", hint="Give a name such as python3, or a path."
            )


#: To this machine's own kernels, which belong to no target: none can have this name.
HERE = Route(target="this machine", kind="local")
