"""Count the tokens of language models: for limits of keys, for metrics, and for the figures of a revision.

Counts come from the ``usage`` that the engine puts at the end of an answer. A stream without it has a chunk for each
token, so its chunks are counted. The tokens of its prompt are those of llama.cpp's ``timings``, or estimated: four
bytes of the request are about one token of English text.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from statistics import median
from typing import Any

from .metrics import BOUNDS_S
from .request import Request
from .routes import KeyEntry, Route

#: What the answers of these paths use is counted.
_PATHS = re.compile(rb"/v1/(chat/completions|completions|embeddings|responses|rerank)/?(\?|$)")
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_PROMPT = re.compile(rb'"(?:prompt_tokens|input_tokens)"\s*:\s*(\d+)')
_COMPLETION = re.compile(rb'"(?:completion_tokens|output_tokens)"\s*:\s*(\d+)')
_TIMINGS = re.compile(rb'"(prompt_n|cache_n)"\s*:\s*(\d+)')
_TOKEN_BYTES = 4
_TAIL = 16 * 1024
_KEPT = 200


class Tokens:
    """Count the tokens of one answer. ``first_s`` and ``last_s`` are times of chunks; 0 without one."""

    def __init__(self, asked_s: float, asked_bytes: int) -> None:
        self._asked_s = asked_s
        self._asked_bytes = asked_bytes
        self._streamed = False
        self._tail = b""
        self._chunks = 0
        self.status = 0
        #: The revision that has the request; None before it was sent.
        self.revision: int | None = None
        self.first_s = self.last_s = 0.0

    def began(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the head of the answer."""
        self.status = status
        self._streamed = any(
            name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
        )

    def part(self, data: bytes, now: float) -> None:
        """Take a part of the answer."""
        self._tail = (self._tail + data)[-_TAIL:] if len(data) < _TAIL else data[-_TAIL:]
        if self._streamed:
            events = data.count(b"data:")
            self._chunks += events
            if events and not self.first_s:
                self.first_s = now
            if events:
                self.last_s = now

    def used(self) -> tuple[int, int]:
        """Return the tokens of the prompt and of the answer."""
        if self.status >= 400:
            return 0, 0
        last = next(reversed(list(_USAGE.finditer(self._tail))), None)
        if last is None and self._streamed:
            prompt = sum(int(count) for _, count in _TIMINGS.findall(self._tail))
            # Its last chunk and [DONE] have no token.
            return prompt or self._asked_bytes // _TOKEN_BYTES, max(self._chunks - 2, 0)
        if last is None:
            return 0, 0
        told = self._tail[last.end() :]
        asked, answered = _PROMPT.search(told), _COMPLETION.search(told)
        return int(asked[1]) if asked else 0, int(answered[1]) if answered else 0

    def first_after_s(self) -> float | None:
        """Return the seconds until the first chunk of a stream; None for other answers."""
        return self.first_s - self._asked_s if self.first_s else None


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += times
        self.sum_s += seconds * times


class _Revision:
    """The counts of one revision, and the times of its latest answers."""

    def __init__(self) -> None:
        self.tokens = {"prompt": 0, "completion": 0}
        self.first, self.between = _Histogram(), _Histogram()
        self.latest_first_ms: deque[float] = deque(maxlen=_KEPT)
        self.latest_rates: deque[float] = deque(maxlen=_KEPT)
        self.latest_ms: deque[float] = deque(maxlen=_KEPT)


class TokenUsage:
    """The tokens of all revisions, and what is left of the limits of keys."""

    def __init__(self) -> None:
        self._revisions: dict[tuple[str, int], _Revision] = defaultdict(_Revision)
        self._in_flight: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def watch(self, request: Request) -> Tokens | None:
        """Return the counter of a request's answer; None if it uses no tokens."""
        return Tokens(request.arrived, request.body_size) if _PATHS.match(request.path) else None

    def sent(self, name: str, number: int, tokens: Tokens) -> None:
        """Note that a revision has a request; another one may have had it before."""
        if tokens.revision is not None:
            self._in_flight[name, tokens.revision] -= 1
        tokens.revision = number
        self._in_flight[name, number] += 1

    def ended(self, request: Request, tokens: Tokens, now: float) -> None:
        """Take the counts of an answer that has ended, also of one whose caller left."""
        if tokens.revision is None:
            return
        assert request.route is not None and request.key is not None
        at = (request.route.name, tokens.revision)
        self._in_flight[at] -= 1
        prompt, completion = tokens.used()
        kept = self._revisions[at]
        kept.tokens["prompt"] += prompt
        kept.tokens["completion"] += completion
        kept.latest_ms.append((now - request.arrived) * 1000)
        first_s = tokens.first_after_s()
        if first_s is not None:
            kept.first.add(first_s)
            kept.latest_first_ms.append(first_s * 1000)
            if completion > 1 and tokens.last_s > tokens.first_s:
                each_s = (tokens.last_s - tokens.first_s) / (completion - 1)
                kept.between.add(each_s, completion - 1)
                kept.latest_rates.append(1 / each_s)
        elif completion and now > request.arrived:
            kept.latest_rates.append(completion / (now - request.arrived))
        self._take(request.route, request.key, prompt + completion, now)

    # Limits of keys -------------------------------------------------------------------------------------------------

    def wait_s(self, route: Route, key: KeyEntry, now: float) -> int:
        """Return 0 if the key has tokens left, else the whole seconds until it has one.

        How many tokens an answer uses is known at its end. So a request is let in while one is left, and the next
        ones wait until the bucket is filled again.
        """
        if key.tokens <= 0:
            return 0
        left = self._left(route, key, now)
        return 0 if left >= 1 else max(1, math.ceil((1 - left) * 60 / key.tokens))

    def _left(self, route: Route, key: KeyEntry, now: float) -> float:
        left, since = self._buckets.get((route.name, key.sha256), (float(key.tokens), now))
        return min(float(key.tokens), left + (now - since) * key.tokens / 60)

    def _take(self, route: Route, key: KeyEntry, tokens: int, now: float) -> None:
        if key.tokens > 0:
            self._buckets[route.name, key.sha256] = (self._left(route, key, now) - tokens, now)

    def forget(self, name: str, keys: Iterable[KeyEntry]) -> None:
        """Drop the buckets of keys that a deployment no longer has."""
        kept = {each.sha256 for each in keys}
        for at in [each for each in self._buckets if each[0] == name and each[1] not in kept]:
            del self._buckets[at]

    def drop(self, name: str) -> None:
        """Drop the counts of a deployment that was removed."""
        self.forget(name, ())
        for at in [each for each in self._revisions if each[0] == name]:
            del self._revisions[at]

    # What is shown --------------------------------------------------------------------------------------------------

    def figures(self, name: str, number: int) -> dict[str, Any]:
        """Return the counts of a revision and medians of its latest answers."""
        kept = self._revisions.get((name, number), _Revision())
        return {
            "prompt_tokens": kept.tokens["prompt"],
            "completion_tokens": kept.tokens["completion"],
            "in_flight": self._in_flight[name, number],
            "first_token_ms": round(median(kept.latest_first_ms), 1) if kept.latest_first_ms else None,
            "tokens_per_s": round(median(kept.latest_rates), 1) if kept.latest_rates else None,
            "latencies_ms": [round(each, 1) for each in kept.latest_ms],
        }

    def text(self, names: Iterable[str]) -> str:
        """Return the counts of the deployments ``names``, in Prometheus' text format; empty without tokens."""
        shown = set(names)
        found = sorted((at, kept) for at, kept in self._revisions.items() if at[0] in shown)
        if not found:
            return ""
        lines = [
            "# HELP genops_tokens_total Tokens by deployment, revision and kind (prompt, completion).",
            "# TYPE genops_tokens_total counter",
        ]
        for (name, number), kept in found:
            lines += [
                f'genops_tokens_total{{{_labels(name, number)},kind="{kind}"}} {count}'
                for kind, count in kept.tokens.items()
            ]
        for metric, meaning, look in (
            (
                "genops_first_token_seconds",
                "Time from a whole request to the first chunk of a stream.",
                "first",
            ),
            (
                "genops_between_tokens_seconds",
                "Time between two tokens of a stream, its mean for each.",
                "between",
            ),
        ):
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} histogram"]
            for at, kept in found:
                lines += _buckets(metric, _labels(*at), getattr(kept, look))
        return "\n".join(lines) + "\n"


def _labels(name: str, number: int) -> str:
    return f'deployment="{name}",revision="{number}"'


def _buckets(metric: str, labels: str, histogram: _Histogram) -> Iterable[str]:
    total = 0
    for bound, count in zip((*BOUNDS_S, "+Inf"), histogram.counts, strict=True):
        total += count
        yield f'{metric}_bucket{{{labels},le="{bound}"}} {total}'
    yield f"{metric}_sum{{{labels}}} {histogram.sum_s:.6f}"
    yield f"{metric}_count{{{labels}}} {total}"
