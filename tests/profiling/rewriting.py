"""Neutral rewritings of traces: the same events, written in another way that JSON and Chrome's format allow."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Event = dict[str, Any]
Document = dict[str, Any]
Rewriting = Callable[[list[Event], random.Random], list[Event]]


def _each(change: Callable[[Event, random.Random], Event]) -> Rewriting:
    """``change`` to about half of the events, so that batches are mixed."""
    return lambda events, chance: [change(each, chance) if chance.random() < 0.5 else each for each in events]


def _arguments(change: Callable[[Event], Event]) -> Rewriting:
    def changed(event: Event, _: random.Random) -> Event:
        return {**event, "args": change(event["args"])} if "args" in event else event

    return _each(changed)


def _keys_in_any_order(event: Event, chance: random.Random) -> Event:
    keys = list(event)
    chance.shuffle(keys)
    return {key: event[key] for key in keys}


def _times_as_texts(event: Event, _: random.Random) -> Event:
    return event | {key: repr(event[key]) for key in ("ts", "dur") if key in event}


def _times_with_exponents(event: Event, _: random.Random) -> Event:
    times = {key: event[key] for key in ("ts", "dur") if isinstance(event.get(key), (int, float))}
    return event | {key: Written(f"{Decimal(repr(time)) * 1000:.0f}E-3") for key, time in times.items()}


def _whole_as(kind: Callable[[int], Any], *keys: str) -> Callable[[Event], Event]:
    return lambda values: (
        values | {key: kind(values[key]) for key in keys if isinstance(values.get(key), int)}
    )


def _places_as(kind: Callable[[int], Any]) -> Rewriting:
    return _each(lambda event, _: _whole_as(kind, "pid", "tid")(event))


def _more_categories(event: Event, _: random.Random) -> Event:
    return {**event, "cat": f"{event['cat']},more"} if "cat" in event else event


def _in_capitals(event: Event, _: random.Random) -> Event:
    return {**event, "cat": event["cat"].capitalize()} if "cat" in event else event


def _keys_twice(event: Event, _: random.Random) -> Event:
    # The last one counts.
    return (
        {Written('"ts"'): -1, Written('"args"'): [], **event}
        if event["ph"] == "X" and "args" in event
        else event
    )


def _shuffled(events: list[Event], chance: random.Random) -> list[Event]:
    return chance.sample(events, len(events))


#: Of events; the sums stay what they were, and the number of events.
OF_EVENTS: dict[str, Rewriting] = {
    "keys in any order": _each(_keys_in_any_order),
    "times as texts": _each(_times_as_texts),
    "times with exponents": _each(_times_with_exponents),
    "ids as texts": _arguments(_whole_as(str, "correlation", "External id", "bytes", "Sequence number")),
    "ids with a point": _arguments(_whole_as(float, "correlation", "External id", "bytes", "Device Id")),
    "devices as texts": _arguments(_whole_as(str, "device", "stream")),
    "devices with a point": _arguments(_whole_as(float, "device", "stream")),
    "devices in lists": _arguments(_whole_as(lambda number: [number], "device", "stream")),
    "devices with their kind": _arguments(_whole_as(lambda number: f"cuda:{number}", "device")),
    "places as texts": _places_as(str),
    "places with a point": _places_as(float),
    "several categories": _each(_more_categories),
    "capitals": _each(_in_capitals),
    "arguments within arguments": _arguments(
        lambda values: {"args": {"device": 9, "args": [{}, {}]}, **values}
    ),
    "not a number": _arguments(lambda values: {**values, "bandwidth": float("nan"), "load": float("-inf")}),
    "halves of pairs": _arguments(lambda values: {**values, "note": '\ud83d "traceEvents": [ }, {'}),
    "keys twice": _each(_keys_twice),
    "any order": _shuffled,
}


class Written(str):
    """JSON as it is."""


def _written(value: Any) -> str:
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)}: {_written(each)}" for key, each in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)


def _key(key: str) -> str:
    return str(key) if isinstance(key, Written) else json.dumps(key)


def _compact(document: Document) -> str:
    return json.dumps(json.loads(_written(document)), separators=(",", ":"))


def _with_breaks(line_end: str) -> Callable[[Document], str]:
    def text(document: Document) -> str:
        top = {key: _written(value) for key, value in document.items() if key != "traceEvents"}
        before = "".join(f'"{key}": {value},{line_end}' for key, value in top.items())
        lines = f"{line_end}  ,{line_end}".join(map(_written, document["traceEvents"]))
        inside = line_end.join(["", f'{before}  "traceEvents"', ":", "[", lines, "]", ""])
        return f"{{{inside}}}{line_end}"

    return text


def _what_is_around_comes_after(document: Document) -> str:
    events = document["traceEvents"]
    return _written(
        {"traceEvents": events, **{key: value for key, value in document.items() if key != "traceEvents"}}
    )


def _comma_at_the_end(document: Document) -> str:
    return _what_is_around_comes_after({**document, "traceEvents": [*document["traceEvents"], Written("")]})


#: Of whole documents, as text.
OF_DOCUMENTS: dict[str, Callable[[Document], str]] = {
    "as it comes": _written,
    "compact": _compact,
    "indented": lambda document: json.dumps(json.loads(_written(document)), indent=4),
    "lines of DOS": _with_breaks("\r\n"),
    "tabs": _with_breaks("\t \n\n"),
    "metadata after the events": _what_is_around_comes_after,
    "a comma at the end": _comma_at_the_end,
    "a byte order mark": lambda document: "\ufeff \n" + _written(document),
}


def _in_members(text: bytes) -> bytes:
    cut = len(text) // 3
    return b"".join(gzip.compress(each) for each in (text[:cut], b"", text[cut:])) + bytes(512)


#: Of bytes.
OF_FILES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "gzip": gzip.compress,
    "gzip of several members": _in_members,
}


def rewritten(document: Document, names: list[str], style: str, packing: str, seed: int) -> bytes:
    """The file, after the rewritings of these names."""
    chance = random.Random(seed)
    events = document["traceEvents"]
    # Other rewritings look at numbers, which these make texts of.
    for name in sorted(names, key=list(OF_EVENTS).index):
        events = OF_EVENTS[name](events, chance)
    text = OF_DOCUMENTS[style]({**document, "traceEvents": events})
    return OF_FILES[packing](text.encode("utf-8", "surrogatepass"))
