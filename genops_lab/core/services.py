"""The services of one process: made when they are first asked for, opened, and closed after all that use them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class Service:
    """What an application does with a service, in this order. A service that needs none of it may be any object."""

    async def open(self) -> None:
        """Called before the first request is answered."""

    async def ready(self) -> None:
        """Called once the Jupyter server answers, where there is one."""

    async def supervise(self) -> None:
        """Look after the user's work until cancelled. One process of the user at a time does it."""

    async def close(self) -> None:
        """Called while everything that this service was made from is still open."""


class Get(Protocol):
    """What a maker is given: ``get(MlflowConnection)`` is the service of that class."""

    def __call__(self, kind: type[T], /) -> T:
        """Return it; raises LookupError as :meth:`Services.get`."""
        ...


class Services:
    """Makers of services by their class, and the services that were made.

    >>> services = Services()
    >>> services.provide(dict, lambda get: {"list": get(list)})
    >>> services.provide(list, lambda get: [1])
    >>> services.get(dict)
    {'list': [1]}
    """

    def __init__(self) -> None:
        self._makers: dict[type, Callable[[], Any]] = {}
        self._making: list[type] = []
        #: in the order in which they were finished: each after those that it was made from
        self._made: dict[type, Any] = {}

    def provide(self, kind: type[T], make: Callable[[Get], T]) -> None:
        """Register how the service of a class is made. Raises ValueError where that is known already."""
        if kind in self._makers:
            raise ValueError(f"Two features provide {kind.__name__}.")
        self._makers[kind] = lambda: make(self.get)

    def get(self, kind: type[T]) -> T:
        """Return the service of a class. Raises LookupError where no feature provides it, or where it needs itself."""
        if kind not in self._made:
            if kind not in self._makers:
                raise LookupError(f"No feature provides {kind.__name__}.")
            if kind in self._making:
                names = " -> ".join(each.__name__ for each in [*self._making, kind])
                raise LookupError(f"A service needs itself: {names}.")
            self._making.append(kind)
            try:
                self._made[kind] = self._makers[kind]()
            finally:
                self._making.pop()
        return cast("T", self._made[kind])

    def find(self, kind: type[T]) -> T | None:
        """Return the service of a class; None where no feature provides it."""
        return self.get(kind) if kind in self._makers else None

    def named(self, name: str) -> Any:
        """Return the service whose class has this name, as operations know it. Raises LookupError."""
        return self.get(self.kind(name))

    def kind(self, name: str) -> type:
        """Return the class of this name for which there is a service. Raises LookupError."""
        for kind in self._makers:
            if kind.__name__ == name:
                return kind
        raise LookupError(f"No feature provides {name}.")

    def make_all(self) -> None:
        """Make what was not asked for yet."""
        for kind in list(self._makers):
            self.get(kind)

    def __iter__(self) -> Iterator[Service]:
        """The services that were made and have something to open, supervise or close: each after what it was made
        from."""
        return (each for each in list(self._made.values()) if isinstance(each, Service))

    async def open(self) -> None:
        """Open each service."""
        for service in self:
            await service.open()

    async def ready(self) -> None:
        """The Jupyter server answers."""
        for service in self:
            await service.ready()

    async def supervise(self) -> None:
        """Look after the user's work until cancelled."""
        await asyncio.gather(*(service.supervise() for service in self))

    async def close(self) -> None:
        """Close each service before those that it was made from."""
        for service in reversed(list(self)):
            await service.close()
