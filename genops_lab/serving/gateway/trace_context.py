"""Read the header ``traceparent`` of a request: the span of the application that calls (W3C Trace Context)."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


class TraceContext(NamedTuple):
    """A span of an application, as hexadecimal digits. ``sampled``: the application keeps its trace."""

    trace: str
    span: str
    sampled: bool


def trace_context(headers: list[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return the span that calls; None without a header. Raises ValueError for a header that says no span.

    >>> trace_context([(b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"12" * 8 + b"-01")])
    TraceContext(trace='abababababababababababababababab', span='1212121212121212', sampled=True)
    """
    given = [value for name, value in headers if name == b"traceparent"]
    if not given:
        return None
    found = _FORM.fullmatch(given[0].strip()) if len(given) == 1 else None
    if found is None:
        raise ValueError("traceparent is not one header of the form 00-TRACE-SPAN-FLAGS")
    version, trace, span, flags, more = found.groups()
    # Later versions may have more fields, and begin with those of version 00.
    if version == b"ff" or (version == b"00" and more) or not int(trace, 16) or not int(span, 16):
        raise ValueError("traceparent has a version or an id that is not valid")
    return TraceContext(trace.decode(), span.decode(), bool(int(flags, 16) & _SAMPLED))
