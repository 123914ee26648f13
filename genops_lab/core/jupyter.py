"""Give features access to the Jupyter server that GenOps Lab extends."""

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
    """The Jupyter server. ``app`` is its ServerApp, ``config`` the traits of ``GenOpsLab``."""

    app: Any
    config: Any
    #: Web settings of GenOps Lab's handlers, which the server merges into its own.
    web_settings: dict[str, Any]
    #: Path of the private socket, which answers once the services are open.
    socket: Path
    #: The services, once they are open.
    services: ServiceGate
    _at_start: list[Callable[[], None]] = field(default_factory=list)
    _at_failure: list[Callable[[], None]] = field(default_factory=list)

    def at_start(self, begin: Callable[[], None]) -> None:
        """Register ``begin`` for the start of the event loop, before the services open."""
        self._at_start.append(begin)

    def at_failure(self, undo: Callable[[], None]) -> None:
        """Register ``undo`` for a failed start of the services, or a stop before they are open."""
        self._at_failure.append(undo)

    def started(self) -> None:
        """Call the functions of :meth:`at_start`: the event loop runs."""
        for begin in self._at_start:
            begin()

    def failed(self) -> None:
        """Call the functions of :meth:`at_failure`: the services are not open."""
        for undo in self._at_failure:
            undo()
