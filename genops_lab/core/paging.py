"""Lists that can grow long come in pages.

A page names where the next one begins: behind its last item, by that item's own values where the store is ours, so
that what is added or deleted between two pages is neither told twice nor left out (:mod:`.store.keyset`). A list of
MLflow's has MLflow's own token, which counts items: one that was added meanwhile moves the others, and who shows
several pages drops what it has by its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from .errors import InvalidRequest
from .operations import LazyMethod, Operation

T = TypeVar("T")

USUAL, MOST = 100, 1000
#: Checked by :class:`PageQuery`, in better words than msgspec's.
Limit = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": MOST})]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``limit`` items (1 to 1,000), those behind ``after``: the ``next`` of the page before; empty for the
    first page."""

    limit: Limit = USUAL
    after: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if not 1 <= self.limit <= MOST:
            raise InvalidRequest(f"limit is {self.limit}.", hint=f"Ask for 1 to {MOST:,} items.")

    def bad_cursor(self) -> InvalidRequest:
        """The error for an ``after`` that no page of this list has named."""
        return InvalidRequest(
            f"after={self.after[:60]!r} is not where a page of this list ended.",
            hint="Send the next of the page before as it is, or leave after out for the first page.",
            code="bad_cursor",
        )


FIRST = PageQuery()


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Some items of a list. ``next``: where the next page begins; empty on the last one."""

    items: list[T]
    next: str = ""


class FormerList(Operation):
    """All items at once, as the list was answered before it had pages, on the path without a version."""

    query = None

    @property
    def answer(self) -> Any:
        """A plain list."""
        return list[super().answer.__args__[0]]  # type: ignore[misc]

    async def call(self, service: Any, arguments: dict[str, Any]) -> list[Any]:
        """The items of all pages."""
        items, query = [], PageQuery(limit=MOST)
        while True:
            page = await self.function(service, **arguments, query=query)
            items += page.items
            if not page.next:
                return items
            query = PageQuery(limit=MOST, after=page.next)


def paged(path: str, function: Callable[..., Awaitable[Page[Any]]] | LazyMethod) -> Operation:
    """A list that has had no pages before: ``GET path`` answers a page, and all of it where the path has no version.

    >>> paged("/profiles", Service.list_profiles)  # doctest: +SKIP
    """
    return Operation("GET", path, function, former=FormerList("GET", path, function))


def every_page(fetch: Callable[[PageQuery], Page[T]], key: Callable[[T], object]) -> Iterator[T]:
    """Yield the items of all pages of a list, each once: ``key`` tells them apart."""
    seen: set[object] = set()
    query = PageQuery(limit=MOST)
    while True:
        page = fetch(query)
        for item in page.items:
            if (known := key(item)) not in seen:
                seen.add(known)
                yield item
        if not page.next:
            return
        query = PageQuery(limit=MOST, after=page.next)
