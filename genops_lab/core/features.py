"""Declare a feature in one object.

``genops_lab/<feature>/feature.py`` creates the object and ``app/features.py`` lists it. A new feature needs no other
edit. The object imports no service: routes exist when a Jupyter server starts, services when they are opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .operations import Operation
from .principals import PrincipalKind

if TYPE_CHECKING:
    from .jupyter import JupyterServer
    from .services import Services

#: A tornado route: path, handler, arguments.
Route = tuple[str, Any, dict[str, Any]]


def _no_services(_services: Services) -> None:
    """Provide no services."""


def _no_routes(_server: JupyterServer) -> list[Route]:
    return []


def _unchanged(_server: JupyterServer) -> None:
    """Leave the Jupyter server unchanged."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature. Only ``name`` is required.

    >>> Feature(name="quickstart", operations=OPERATIONS, provide=_provide)  # doctest: +SKIP
    """

    name: str
    #: Name in ``GenOpsLab.rooms`` with which an administrator switches the feature off. Empty: always on.
    switch: str = ""
    #: Resource of its operations for authorizers: ``runs`` becomes ``genops:runs``.
    resource: str = ""
    operations: Sequence[Operation] = ()
    #: Kinds of its events, such as ``run``.
    events: Sequence[str] = ()
    #: Its live topics, each with a function that returns the type of the topic's data.
    topics: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    #: Registers the makers of its services, and imports the services.
    provide: Callable[[Services], None] = _no_services
    #: Routes that are no operations: downloads and sockets.
    routes: Callable[[JupyterServer], list[Route]] = _no_routes
    #: Changes the Jupyter server while it loads extensions, also if the feature is switched off.
    extend: Callable[[JupyterServer], None] = _unchanged

    def __post_init__(self) -> None:
        """Set the feature and its resource on each operation."""
        own = tuple(each.of(self.name, self.resource or self.name) for each in self.operations)
        object.__setattr__(self, "operations", own)


@dataclass(frozen=True)
class Features:
    """All features of the application, as a service for features that use the operations of others."""

    all: Sequence[Feature]

    def operations(self, kind: PrincipalKind = "user") -> list[Operation]:
        """Return the operations that admit this kind of principal."""
        return [each for feature in self.all for each in feature.operations if kind in each.admits]
