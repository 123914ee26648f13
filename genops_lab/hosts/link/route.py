"""How a host of a target is reached."""

from __future__ import annotations

import msgspec

from ..configuration import HostConfig


class HostRef(msgspec.Struct, frozen=True):
    """Names a host, to which a connection and kernels belong. ``host_id`` is empty where a target is one host."""

    target: str
    host_id: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A target, and with ``host_id`` one of its hosts. ``kind`` names the provider that reads ``config``."""

    target: str
    kind: str
    config: HostConfig = HostConfig()
    host_id: str = ""

    @property
    def ref(self) -> HostRef:
        """The host's name."""
        return HostRef(self.target, self.host_id)

    @property
    def python(self) -> str:
        """The interpreter on the host."""
        return self.config.python

    def with_python(self, python: str) -> Route:
        """The same with another interpreter."""
        return msgspec.structs.replace(self, config=msgspec.structs.replace(self.config, python=python))

    def at(self, host: HostRef) -> Route:
        """The way to this host of the target."""
        return msgspec.structs.replace(self, host_id=host.host_id)


#: To this machine's own kernels, which belong to no target: none can have this name.
HERE = Route(target="this machine", kind="local")
