"""Make the tree of a trace's spans from what MLflow keeps of each, whatever is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from genops_lab.genai.endpoints.limits import Price, Usage

from .models import CostSource, Span, SpanStatus, Tokens

#: Spans of one answer; a trace with more says so.
MOST_SPANS = 20_000
KIND, INPUTS, OUTPUTS = "mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs"
TOKENS, COST, MODEL, PROVIDER = (
    "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.llm.model", "mlflow.llm.provider",
)  # fmt: skip
_MODELS = (MODEL, "gen_ai.response.model", "gen_ai.request.model")
_PROVIDERS = (PROVIDER, "gen_ai.provider.name", "gen_ai.system")
_REASONING = ("gen_ai.usage.reasoning_tokens", "gen_ai.usage.reasoning.output_tokens")
#: A call of a model has some of these; most spans of a large trace have none.
_OF_CALLS = frozenset(
    (
        *_MODELS,
        *_PROVIDERS,
        *_REASONING,
        TOKENS,
        COST,
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    )
)
_STATUS: Mapping[str, SpanStatus] = {
    "STATUS_CODE_OK": "ok",
    "STATUS_CODE_ERROR": "error",
    "OK": "ok",
    "ERROR": "error",
}
_LONGEST_MESSAGE = 1000


class RawSpan(NamedTuple):
    """A span as MLflow keeps it: ids as hexadecimal digits, times in nanoseconds, ``content`` its decoded JSON."""

    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int | None
    content: dict[str, Any]
    content_bytes: int


class Tree(NamedTuple):
    """Spans depth first, and sentences about what was wrong."""

    spans: list[Span]
    problems: list[str]


def decoded(text: str) -> dict[str, Any]:
    """Return the object of a span's JSON, with NaN as Python's JSON writes it; empty if it is none."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        try:
            found = json.loads(text)
        except ValueError:
            return {}
    return found if isinstance(found, dict) else {}


def attributes_of(raw: RawSpan) -> dict[str, Any]:
    """Return a span's attributes. MLflow keeps each as JSON text; others may be plain values."""
    found = raw.content.get("attributes")
    return found if isinstance(found, dict) else {}


def value_at(attributes: Mapping[str, Any], name: str) -> Any:
    """Return an attribute's value, decoded if it is JSON text."""
    value = attributes.get(name)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def tree_of(
    raws: Iterable[RawSpan],
    price_of: Callable[[str], Price | None] = lambda _model: None,
    only_below: frozenset[str] = frozenset(),
) -> Tree:
    """Return the spans depth first, children by start.

    A span whose parent is missing stands at the top. Spans whose parents form a circle stand there too, cut at the one
    that began first. A second span with a known id is left out, and said. Spans of ``only_below`` are left out without
    their parent.
    """
    known: dict[str, RawSpan] = {}
    twice = 0
    for raw in raws:
        twice += raw.span_id in known
        known.setdefault(raw.span_id, raw)
    for id in only_below:
        if id in known and known[id].parent_id not in known:
            del known[id]
    ordered = sorted(known.values(), key=lambda each: (each.start_ns, each.span_id))
    children: dict[str, list[RawSpan]] = {}
    tops: list[RawSpan] = []
    why: dict[str, str] = {}
    for raw in ordered:
        if raw.parent_id in known and raw.parent_id != raw.span_id:
            children.setdefault(raw.parent_id, []).append(raw)
            continue
        tops.append(raw)
        if raw.parent_id == raw.span_id:
            why[raw.span_id] = "circle"
        elif raw.parent_id:
            why[raw.span_id] = "orphan"
    placed: dict[str, int] = {}
    depth_first: list[RawSpan] = []

    def place(top: RawSpan) -> None:
        waiting = [(top, 0)]
        while waiting:
            raw, depth = waiting.pop()
            if raw.span_id in placed:
                continue
            placed[raw.span_id] = depth
            depth_first.append(raw)
            waiting += [(child, depth + 1) for child in reversed(children.get(raw.span_id, []))]

    for raw in tops:
        place(raw)
    for raw in ordered:  # whoever is left is in a circle, or below one
        if raw.span_id not in placed:
            why[raw.span_id] = "circle"
            place(raw)
    begin = ordered[0].start_ns if ordered else 0
    spans = [
        _span_of(
            raw,
            begin,
            price_of,
            depth=placed[raw.span_id],
            children=len(children.get(raw.span_id, ())),
            problem=why.get(raw.span_id, ""),
        )
        for raw in depth_first
    ]
    return Tree(spans, _problems(spans, twice))


def _problems(spans: list[Span], twice: int) -> list[str]:
    found = []
    for count, one, many in (
        (
            sum(each.duration is None for each in spans),
            "1 span never ended.",
            "{:,} spans never ended.",
        ),
        (
            sum(each.problem == "orphan" for each in spans),
            "The parent of 1 span is missing: the span stands at the top.",
            "The parents of {:,} spans are missing: these spans stand at the top.",
        ),
        (
            sum(each.problem == "circle" for each in spans),
            "1 span is its own ancestor: it stands at the top.",
            "{:,} spans are their own ancestors: they stand at the top.",
        ),
        (twice, "1 span came twice: the first is shown.", "{:,} spans came twice: the first is shown."),
    ):
        if count:
            found.append(one if count == 1 else many.format(count))
    if spans and all(each.parent_id for each in spans):
        found.append("The trace has no root span.")
    return found


def _span_of(
    raw: RawSpan,
    begin_ns: int,
    price_of: Callable[[str], Price | None],
    *,
    depth: int,
    children: int,
    problem: str,
) -> Span:
    attributes = attributes_of(raw)
    model, provider, tokens = "", "", None
    cost: float | None = None
    cost_source: CostSource = ""
    if not _OF_CALLS.isdisjoint(attributes):
        model, provider = _first(attributes, _MODELS), _first(attributes, _PROVIDERS)
        tokens = tokens_of(attributes)
        cost, cost_source = _cost(attributes, tokens, model, price_of)
    given = raw.content.get("status")
    given = given if isinstance(given, dict) else {}
    ended = raw.end_ns is not None and raw.end_ns >= raw.start_ns
    status = _STATUS.get(str(given.get("code", "")), "unset")
    return Span(
        span_id=raw.span_id,
        parent_id=raw.parent_id,
        name=raw.name,
        kind=str(value_at(attributes, KIND) or "UNKNOWN"),
        status="running" if not ended and status == "unset" else status,
        message=str(given.get("message") or given.get("description") or "")[:_LONGEST_MESSAGE],
        start=(raw.start_ns - begin_ns) / 1e9,
        duration=(raw.end_ns - raw.start_ns) / 1e9 if ended and raw.end_ns is not None else None,
        model=model,
        provider=provider,
        tokens=tokens,
        cost=cost,
        cost_source=cost_source,
        content_bytes=raw.content_bytes,
        depth=depth,
        children=children,
        problem=problem,
    )


def tokens_of(attributes: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens of a span's call; None if nothing is known."""
    usage = value_at(attributes, TOKENS)
    usage = usage if isinstance(usage, dict) else {}
    reasoning = next(
        (value for name in _REASONING if (value := _count(value_at(attributes, name))) is not None), None
    )
    found = Tokens(
        input=_count(usage.get("input_tokens", value_at(attributes, "gen_ai.usage.input_tokens"))),
        output=_count(usage.get("output_tokens", value_at(attributes, "gen_ai.usage.output_tokens"))),
        cached_input=_count(usage.get("cache_read_input_tokens")),
        reasoning=reasoning,
    )
    return None if found == Tokens() else found


def _cost(
    attributes: Mapping[str, Any], tokens: Tokens | None, model: str, price_of: Callable[[str], Price | None]
) -> tuple[float | None, CostSource]:
    kept = value_at(attributes, COST)
    if isinstance(kept, dict) and (total := finite(kept.get("total_cost"))) is not None:
        return total, "mlflow"
    if tokens is None or tokens.input is None or tokens.output is None or not model:
        return None, ""
    price = price_of(model)
    if price is None:
        return None, ""
    used = Usage(
        input=tokens.input, output=tokens.output, cached_input=min(tokens.input, tokens.cached_input or 0),
        reasoning=min(tokens.output, tokens.reasoning or 0),
    )  # fmt: skip
    return price.of(used), "price"


def _first(attributes: Mapping[str, Any], names: Iterable[str]) -> str:
    for name in names:
        value = value_at(attributes, name)
        if isinstance(value, str) and value:
            return value
    return ""


def _count(value: Any) -> int | None:
    found = finite(value)
    return None if found is None or found < 0 else int(found)


def finite(value: Any) -> float | None:
    """Return a finite number; None for anything else, and for true and false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
