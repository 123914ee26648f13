"""The Jupyter server that GenOps Lab extends, as its features see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .api import ServiceGate

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class JupyterServer:
    """``app`` is the ServerApp, ``config`` what its configuration says of GenOps Lab (the traits of ``GenOpsLab``)."""

    app: Any
    config: Any
    #: those of GenOps Lab's handlers, which the server takes over into its own
    web_settings: dict[str, Any]
    #: the private socket, which answers once the services are open
    socket: Path
    #: the services, once they are open
    services: ServiceGate
    _at_start: list[Callable[[], None]] = field(default_factory=list)
    _at_failure: list[Callable[[], None]] = field(default_factory=list)

    def at_start(self, begin: Callable[[], None]) -> None:
        """Call ``begin`` when the server's event loop runs, before the services open."""
        self._at_start.append(begin)

    def at_failure(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` when the services cannot be opened, or are closed before they were."""
        self._at_failure.append(undo)

    def started(self) -> None:
        """The event loop runs."""
        for begin in self._at_start:
            begin()

    def failed(self) -> None:
        """The services cannot be opened."""
        for undo in self._at_failure:
            undo()
