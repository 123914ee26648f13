"""Create, open and close the services of one process, in the order of their dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class Service:
    """The life cycle of a service, in the order of the methods. A service without any of them may be any object."""

    async def open(self) -> None:
        """Called before the first request is answered."""

    async def ready(self) -> None:
        """Called once the Jupyter server answers, if there is one."""

    async def supervise(self) -> None:
        """Supervise the user's work until cancelled. Only one process of a user does this at a time."""

    async def close(self) -> None:
        """Called while the dependencies of this service are still open."""


class Get(Protocol):
    """The argument of a maker: ``get(MlflowConnection)`` returns the service of that class."""

    def __call__(self, kind: type[T], /) -> T:
        """Return the service. Raises LookupError as :meth:`Services.get`."""
        ...


class Services:
    """The makers of services by class, and the services.

    >>> services = Services()
    >>> services.provide(dict, lambda get: {"list": get(list)})
    >>> services.provide(list, lambda get: [1])
    >>> services.get(dict)
    {'list': [1]}
    """

    def __init__(self) -> None:
        self._makers: dict[type, Callable[[], Any]] = {}
        self._making: list[type] = []
        #: The services in the order of their creation: each after its dependencies.
        self._made: dict[type, Any] = {}

    def provide(self, kind: type[T], make: Callable[[Get], T]) -> None:
        """Register the maker of the service of a class. Raises ValueError if the class has one already."""
        if kind in self._makers:
            raise ValueError(f"Two features provide {kind.__name__}.")
        self._makers[kind] = lambda: make(self.get)

    def get(self, kind: type[T]) -> T:
        """Return the service of a class. Raises LookupError if no feature provides it, or if it depends on itself."""
        if kind not in self._made:
            if kind not in self._makers:
                raise LookupError(f"No feature provides {kind.__name__}.")
            if kind in self._making:
                names = " -> ".join(each.__name__ for each in [*self._making, kind])
                raise LookupError(f"A service depends on itself: {names}.")
            self._making.append(kind)
            try:
                self._made[kind] = self._makers[kind]()
            finally:
                self._making.pop()
        return cast("T", self._made[kind])

    def find(self, kind: type[T]) -> T | None:
        """Return the service of a class, or None if no feature provides it."""
        return self.get(kind) if kind in self._makers else None

    def named(self, name: str) -> Any:
        """Return the service by the name of its class, as in operations. Raises LookupError."""
        return self.get(self.kind(name))

    def kind(self, name: str) -> type:
        """Return the service class of this name. Raises LookupError."""
        for kind in self._makers:
            if kind.__name__ == name:
                return kind
        raise LookupError(f"No feature provides {name}.")

    def make_all(self) -> None:
        """Create all services."""
        for kind in list(self._makers):
            self.get(kind)

    def __iter__(self) -> Iterator[Service]:
        """Iterate over the created services that are a :class:`Service`, each after its dependencies."""
        return (each for each in list(self._made.values()) if isinstance(each, Service))

    async def open(self) -> None:
        """Open each service."""
        for service in self:
            await service.open()

    async def ready(self) -> None:
        """Call each service's ``ready``: the Jupyter server answers."""
        for service in self:
            await service.ready()

    async def supervise(self) -> None:
        """Run each service's ``supervise`` until cancelled."""
        await asyncio.gather(*(service.supervise() for service in self))

    async def close(self) -> None:
        """Close each service before its dependencies."""
        for service in reversed(list(self)):
            await service.close()
