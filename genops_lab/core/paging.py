"""Return long lists in pages.

A page has the cursor of the next page. A list of the store uses the values of its last item (:mod:`.store.keyset`), so
items that are added or deleted meanwhile cause no gaps and no duplicates. A list of MLflow uses MLflow's token, which
counts items: a new item moves the others, so clients drop duplicates by id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from .errors import InvalidRequest
from .operations import LazyMethod, Operation

T = TypeVar("T")

USUAL, MOST = 100, 1000
#: :class:`PageQuery` checks the limit, with a better message than msgspec's.
Limit = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": MOST})]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of at most ``limit`` items (1 to 1,000). ``after``: the ``next`` of the page before; empty: the first."""

    limit: Limit = USUAL
    after: str = ""

    def __post_init__(self) -> None:
        """Check the limit. Raises InvalidRequest."""
        if not 1 <= self.limit <= MOST:
            raise InvalidRequest(f"limit is {self.limit}.", hint=f"Request 1 to {MOST:,} items.")

    def bad_cursor(self) -> InvalidRequest:
        """Return the error for an invalid ``after``."""
        return InvalidRequest(
            f"after={self.after[:60]!r} is not a cursor of this list.",
            hint="Send the `next` of the page before unchanged, or leave out `after` for the first page.",
            code="bad_cursor",
        )


FIRST = PageQuery()


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list. ``next`` is the cursor of the next page, empty on the last page."""

    items: list[T]
    next: str = ""


def page_of(items: Sequence[T], key: Callable[[T], str], query: PageQuery) -> Page[T]:
    """Return the page of a whole list that ``query`` asks for; ``key`` returns an item's cursor. Raises InvalidRequest.

    >>> page_of(["a", "b", "c"], str, PageQuery(limit=2))
    Page(items=['a', 'b'], next='b')
    """
    cursors = [key(each) for each in items]
    if query.after and query.after not in cursors:
        raise query.bad_cursor()
    start = cursors.index(query.after) + 1 if query.after else 0
    end = start + query.limit
    return Page(items=list(items[start:end]), next=cursors[end - 1] if end < len(items) else "")


class FormerList(Operation):
    """The list without pages, on the path without a version, for programs that older versions started."""

    query = None

    @property
    def answer(self) -> Any:
        """The type of the answer: a plain list."""
        return list[super().answer.__args__[0]]  # type: ignore[misc]

    async def call(self, service: Any, arguments: dict[str, Any]) -> list[Any]:
        """Return the items of all pages."""
        items, query = [], PageQuery(limit=MOST)
        while True:
            page = await self.function(service, **arguments, query=query)
            items += page.items
            if not page.next:
                return items
            query = PageQuery(limit=MOST, after=page.next)


def paged(path: str, function: Callable[..., Awaitable[Page[Any]]] | LazyMethod) -> Operation:
    """Declare a list that once had no pages: ``GET path`` answers a page, on the path without a version all items.

    >>> paged("/profiles", Service.list_profiles)  # doctest: +SKIP
    """
    return Operation("GET", path, function, former=FormerList("GET", path, function))


def every_page(fetch: Callable[[PageQuery], Page[T]], key: Callable[[T], object]) -> Iterator[T]:
    """Yield the items of all pages of a list, each once; ``key`` returns an item's identity."""
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
