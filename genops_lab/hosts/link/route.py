"""Name a host of a target, and the way to reach it."""

from __future__ import annotations

import msgspec

from ..configuration import HostConfig


class HostRef(msgspec.Struct, frozen=True):
    """The name of a host, which has a connection and kernels. ``host_id`` is empty where a target is one
    host."""

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
        """Return the host's name."""
        return HostRef(self.target, self.host_id)

    @property
    def python(self) -> str:
        """Return the interpreter on the host."""
        return self.config.python

    def with_fields(self, **fields: str) -> Route:
        """Return the same route with other values of fields of its configuration."""
        return msgspec.structs.replace(self, config=msgspec.structs.replace(self.config, **fields))

    def with_python(self, python: str) -> Route:
        """Return the same route with another interpreter."""
        return self.with_fields(python=python)

    def at(self, host: HostRef) -> Route:
        """Return the route to this host of the target."""
        return msgspec.structs.replace(self, host_id=host.host_id)


#: The route to this machine's own kernels, which belong to no target. No target can have this name.
HERE = Route(target="this machine", kind="local")
