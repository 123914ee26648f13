"""Read a table in pages, newest first, by the time and id of each row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Row, Select, tuple_

from ..paging import Page, PageQuery

T = TypeVar("T")
#: End of a page: time and id of its last row.
End = tuple[float, str]


def end_of(query: PageQuery) -> End | None:
    """Return the end of the page before; None for the first page. Raises InvalidRequest."""
    if not query.after:
        return None
    at, _, id = query.after.partition(" ")
    try:
        end = float(at), id
    except ValueError as error:
        raise query.bad_cursor() from error
    if not math.isfinite(end[0]) or not id:
        raise query.bad_cursor()
    return end


def cursor(end: End) -> str:
    """Return ``end`` as text, from which :func:`end_of` restores it exactly."""
    return f"{end[0]!r} {end[1]}"


def behind(asked: Select[Any], at: Column[float], id: Column[str], query: PageQuery) -> Select[Any]:
    """Return the query for the rows of a page and one more, which shows whether there is a next page.

    Raises InvalidRequest.
    """
    if (end := end_of(query)) is not None:
        asked = asked.where(tuple_(at, id) < tuple_(*end))
    return asked.order_by(at.desc(), id.desc()).limit(query.limit + 1)


def page_of(
    connection: Connection,
    asked: Select[Any],
    at: Column[float],
    id: Column[str],
    query: PageQuery,
    item: Callable[[Row[Any]], T],
) -> Page[T]:
    """Return a page of the rows of ``asked``, each converted by ``item``. Raises InvalidRequest."""
    rows = connection.execute(behind(asked, at, id, query)).all()
    last = rows[query.limit - 1]._mapping if len(rows) > query.limit else None
    return Page(
        items=[item(row) for row in rows[: query.limit]],
        next="" if last is None else cursor((last[at], last[id])),
    )
