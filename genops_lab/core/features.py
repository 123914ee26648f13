"""A feature: all that the rest of GenOps Lab knows of it, in one object.

``genops_lab/<feature>/feature.py`` makes it; ``app/features.py`` lists it. Nothing else has to be edited for a new one.
Making the object imports no service: routes exist when a Jupyter server starts, services when they are opened.
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

#: A route of its own kind, as tornado takes it: path, handler, arguments.
Route = tuple[str, Any, dict[str, Any]]


def _no_services(_services: Services) -> None:
    """A feature without services."""


def _no_routes(_server: JupyterServer) -> list[Route]:
    return []


def _unchanged(_server: JupyterServer) -> None:
    """A feature that changes nothing of the Jupyter server."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature. Only ``name`` is needed.

    >>> Feature(name="quickstart", operations=OPERATIONS, provide=_provide)  # doctest: +SKIP
    """

    name: str
    #: by which an administrator switches it off (``GenOpsLab.rooms``); several may share one; empty: always on
    switch: str = ""
    #: what its operations are about, as authorizers know it: ``genops:runs``
    resource: str = ""
    operations: Sequence[Operation] = ()
    #: the kinds of its events, "run" for example
    events: Sequence[str] = ()
    #: its live topics; each with a function that returns the type of what the topic carries
    topics: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    #: registers how its services are made; imports them
    provide: Callable[[Services], None] = _no_services
    #: its routes that are no operations: downloads, sockets
    routes: Callable[[JupyterServer], list[Route]] = _no_routes
    #: changes the Jupyter server while that loads its extensions; also where the feature is switched off
    extend: Callable[[JupyterServer], None] = _unchanged

    def __post_init__(self) -> None:
        """Name the feature and its resource on each operation."""
        own = tuple(each.of(self.name, self.resource or self.name) for each in self.operations)
        object.__setattr__(self, "operations", own)


@dataclass(frozen=True)
class Features:
    """All features of the application, as a service: for one that stands above others and answers with what they
    offer."""

    all: Sequence[Feature]

    def operations(self, kind: PrincipalKind = "user") -> list[Operation]:
        """The operations that admit this kind of principal."""
        return [each for feature in self.all for each in feature.operations if kind in each.admits]
