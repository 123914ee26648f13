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
    above, before = caller_span, ended_ns
    seen: set[str] = set()
    while above and above not in seen:
        near = [
            each
            for each in found
            if each.end_ns is not None
            and (before is None or each.end_ns <= before)
            and _is_below(each.span_id, above, parents)
        ]
        if near:
            return sorted(near, key=lambda each: (each.start_ns, each.span_id))
        seen.add(above)
        above, before = parents.get(above, ("", None))
    return []


def _is_below(span: str, above: str, parents: dict[str, tuple[str, int]]) -> bool:
    seen: set[str] = set()
    while span and span != above and span not in seen:
        seen.add(span)
        span = parents.get(span, ("", 0))[0]
    return span == above
