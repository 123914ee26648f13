"""Find the documents that an application retrieved before it called a deployment, in the application's trace."""

from __future__ import annotations

from collections.abc import Iterable

from .tree import KIND, RawSpan, attributes_of, value_at

_RETRIEVER = "RETRIEVER"


def retrievers(spans: Iterable[RawSpan], caller_span: str, ended_ns: int | None) -> list[RawSpan] | None:
    """Return the retriever spans of a call that ended at ``ended_ns``; None while the span that called is not there.

    They are below the nearest span above the call that has any, and ended before the call: earlier answers of an agent
    have their own. Times of the application are compared with each other, because its clock is not the gateway's. A
    span above may be missing: it has not ended yet.
    """
    parents: dict[str, tuple[str, int]] = {}
    found = []
    for span in spans:
        parents[span.span_id] = (span.parent_id, span.start_ns)
        if value_at(attributes_of(span), KIND) == _RETRIEVER:
            found.append(span)
    if caller_span not in parents:
        return None
    #: Each span on the way up from the call: its place, and when the retrievers below it must have ended.
    places: dict[str, int] = {}
    before: list[int | None] = []
    above, until = caller_span, ended_ns
    while above and above not in places:
        places[above] = len(before)
        before.append(until)
        above, until = parents.get(above, ("", None))
    nearest: dict[int, list[RawSpan]] = {}
    for each in found:
        place = _place(each.span_id, places, parents)
        limit = before[place] if place >= 0 else None
        if place >= 0 and each.end_ns is not None and (limit is None or each.end_ns <= limit):
            nearest.setdefault(place, []).append(each)
    if not nearest:
        return []
    return sorted(nearest[min(nearest)], key=lambda each: (each.start_ns, each.span_id))


def _place(span: str, places: dict[str, int], parents: dict[str, tuple[str, int]]) -> int:
    """Return the place of the first span above that has one, -1 without any; keep it for those on the way."""
    way: list[str] = []
    while span and span not in places:
        places[span] = -1  # a circle ends here
        way.append(span)
        span = parents.get(span, ("", 0))[0]
    place = places.get(span, -1)
    places.update(dict.fromkeys(way, place))
    return place
