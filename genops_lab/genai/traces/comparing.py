"""Match the spans of two traces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from .models import Span, SpanPair
from .tree import INPUTS, OUTPUTS, RawSpan, attributes_of, value_at

#: Children of a span in one trace above which they are matched by their places alone.
_MANY = 2000


def content_digest(raw: RawSpan) -> str:
    """Return a digest of a span's inputs and outputs; empty without any."""
    attributes = attributes_of(raw)
    content = [value_at(attributes, name) for name in (INPUTS, OUTPUTS) if name in attributes]
    if not content:
        return ""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def pairs_of(
    first: Sequence[Span],
    second: Sequence[Span],
    first_content: Mapping[str, str],
    second_content: Mapping[str, str],
) -> list[SpanPair]:
    """Return the spans of two trees (depth first) in pairs, depth first.

    Roots are matched with each other. Below a matched pair, children with the same name and kind are matched in
    order, as a diff matches lines. ``*_content``: digests by span.
    """
    found: list[SpanPair] = []
    children = [_children(first), _children(second)]

    def same(one: Span, other: Span) -> bool | None:
        mine, theirs = first_content.get(one.span_id), second_content.get(other.span_id)
        return mine == theirs if mine and theirs else None

    # A stack, not recursion: a chain of 10,000 spans is deeper than Python allows.
    waiting: list[tuple[Span | None, Span | None]] = _matched(
        children[0].get("", []), children[1].get("", [])
    )[::-1]
    while waiting:
        one, other = waiting.pop()
        known = one or other
        assert known is not None
        both = same(one, other) if one is not None and other is not None else None
        found.append(SpanPair(first=one, second=other, depth=known.depth, same_content=both))
        below = (
            children[0].get(one.span_id, []) if one is not None else [],
            children[1].get(other.span_id, []) if other is not None else [],
        )
        waiting += _matched(*below)[::-1]
    return found


def _children(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """Return spans by the one above them in the tree; that of a span at the top is empty."""
    found: dict[str, list[Span]] = {}
    above: list[Span] = []
    for span in spans:
        del above[span.depth :]
        found.setdefault(above[-1].span_id if above else "", []).append(span)
        above.append(span)
    return found


def _matched(one: list[Span], other: list[Span]) -> list[tuple[Span | None, Span | None]]:
    if len(one) == len(other) == 1 and not one[0].depth:  # roots
        return [(one[0], other[0])]
    if max(len(one), len(other)) > _MANY:
        return _side_by_side(one, other)
    found: list[tuple[Span | None, Span | None]] = []
    matcher = SequenceMatcher(
        None, [_alike(each) for each in one], [_alike(each) for each in other], autojunk=False
    )
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            found += zip(one[a:b], other[c:d], strict=True)
        else:
            found += [(each, None) for each in one[a:b]]
            found += [(None, each) for each in other[c:d]]
    return found


def _alike(span: Span) -> tuple[str, str]:
    return span.name, span.kind


def _side_by_side(one: list[Span], other: list[Span]) -> list[tuple[Span | None, Span | None]]:
    shared = min(len(one), len(other))
    found: list[tuple[Span | None, Span | None]] = [*zip(one[:shared], other[:shared], strict=True)]
    return [*found, *((each, None) for each in one[shared:]), *((None, each) for each in other[shared:])]
