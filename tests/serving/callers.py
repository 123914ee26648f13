"""Callers in a loop over kept connections, who count every answer that is not the expected one."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Callers:
    """``count`` threads that send ``body`` until ``stop``; ``failed`` has what went wrong."""

    def __init__(
        self, port: int, path: str, key: str, body: bytes, count: int = 4, *, repeatable: bool = True
    ) -> None:
        self._given = (port, path, body)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if repeatable:
            self._headers["Idempotency-Key"] = "a-prediction"
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self.failed: list[str] = []
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(count)]

    @property
    def done(self) -> int:
        """The number of answers so far."""
        return sum(self.answers.values()) + len(self.failed)

    def _loop(self) -> None:
        port, path, body = self._given
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not self._ends.is_set():
            try:
                connection.request("POST", path, body, self._headers)
                answer = connection.getresponse()
                text = answer.read()
                revision = answer.headers["x-genops-revision"]
                problem = "" if answer.status == 200 else f"{answer.status}: {text[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                problem, revision = f"{type(error).__name__}: {error}", ""
            with self._lock:
                if problem:
                    self.failed.append(problem)
                else:
                    self.answers[revision] += 1
        connection.close()

    def start(self) -> None:
        """Begin."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """End after the requests that are under way."""
        self._ends.set()
        for each in self._threads:
            each.join(60)


@contextmanager
def calling(port: int, path: str, key: str, body: bytes = b"1", count: int = 4) -> Iterator[Callers]:
    """Callers for the time of the block."""
    found = Callers(port, path, key, body, count)
    found.start()
    try:
        yield found
    finally:
        found.stop()
