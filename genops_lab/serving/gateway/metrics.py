"""Count requests and their times, as Prometheus text."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable

#: Upper bounds of the latency histogram in seconds.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0


class Metrics:
    """Counts since the gateway started. A request without a revision was answered by the gateway itself."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int, int]] = Counter()
        self._times: dict[tuple[str, int], _Histogram] = {}

    def count(self, name: str, revision: int, code: int, seconds: float) -> None:
        """Count a request that has ended. ``code`` 499 means that the caller left."""
        self._requests[name, revision, code] += 1
        times = self._times.get((name, revision))
        if times is None:
            times = self._times[name, revision] = _Histogram()
        times.counts[bisect_left(BOUNDS_S, seconds)] += 1
        times.sum_s += seconds

    def totals(self, name: str) -> tuple[int, int]:
        """Return the requests of a deployment and how many failed. Callers that left are no failure."""
        found = [(code, count) for (each, _, code), count in self._requests.items() if each == name]
        return sum(count for _, count in found), sum(n for code, n in found if code >= 400 and code != 499)

    def requests_of(self, name: str, revision: int) -> tuple[int, int]:
        """Return how many requests a revision had, and how many of them failed. A caller that left is no failure."""
        found = {key[2]: count for key, count in self._requests.items() if key[:2] == (name, revision)}
        return sum(found.values()), sum(count for code, count in found.items() if code >= 400 and code != 499)

    def forget(self, name: str) -> None:
        """Drop the counts of a deployment that was removed."""
        for each in [key for key in self._requests if key[0] == name]:
            del self._requests[each]
        for pair in [key for key in self._times if key[0] == name]:
            del self._times[pair]

    def text(
        self,
        names: Iterable[str],
        waiting: Callable[[str], int],
        at_work: Callable[[str], int],
        replicas: Callable[[str], Iterable[tuple[int, int, int]]],
    ) -> str:
        """Return the counts of the deployments ``names``, in Prometheus' text format."""
        shown = sorted(set(names))
        lines = [
            "# HELP genops_requests_total Requests by deployment, revision and HTTP status (499: caller left).",
            "# TYPE genops_requests_total counter",
        ]
        for (name, revision, code), count in sorted(self._requests.items()):
            if name in shown:
                lines.append(f'genops_requests_total{{{_labels(name, revision)},code="{code}"}} {count}')
        for metric, meaning, look in (
            ("genops_requests_waiting", "Requests that wait for a scoring process.", waiting),
            ("genops_requests_in_flight", "Requests that a scoring process has.", at_work),
        ):
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge"]
            lines += [f'{metric}{{deployment="{name}"}} {look(name)}' for name in shown]
        counts = [(name, *each) for name in shown for each in replicas(name)]
        for metric, meaning, at in (
            ("genops_replicas", "Processes of a revision that get requests.", 2),
            ("genops_replicas_wanted", "Processes that a revision should have.", 3),
        ):
            if counts:
                lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge"]
            lines += [f"{metric}{{{_labels(each[0], each[1])}}} {each[at]}" for each in counts]
        lines += [
            "# HELP genops_request_seconds Time from a whole request to the end of its answer.",
            "# TYPE genops_request_seconds histogram",
        ]
        for (name, revision), times in sorted(self._times.items()):
            if name in shown:
                lines += _buckets(_labels(name, revision), times)
        return "\n".join(lines) + "\n"


def _labels(name: str, revision: int) -> str:
    return f'deployment="{name}",revision="{revision or ""}"'


def _buckets(labels: str, times: _Histogram) -> Iterable[str]:
    total = 0
    for bound, count in zip((*BOUNDS_S, "+Inf"), times.counts, strict=True):
        total += count
        yield f'genops_request_seconds_bucket{{{labels},le="{bound}"}} {total}'
    yield f"genops_request_seconds_sum{{{labels}}} {times.sum_s:.6f}"
    yield f"genops_request_seconds_count{{{labels}}} {total}"
