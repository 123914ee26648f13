"""Keep which requests a rollout has served, so that feedback counts after the gateway was killed.

``served.log`` of a deployment has a line for each request, ``[id, candidate, episode, time]``, and one for each
outcome that was taken, ``[id, name]``. The time is that since the start of the host: nobody sets that clock. The file
is private and bounded: a full one becomes ``served.log.1``.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

LOG = "served.log"
#: Requests for which it is known which revision served them; and for how long.
SERVED, SERVED_S = 50_000, 3600.0
MAX_BYTES = 6 * 1024 * 1024

#: The id, whether the candidate served it, the episode and the age in seconds.
Entry = tuple[bytes, bool, int, float]


class ServedLog:
    """The file of one rollout. A first line has the rollout's id: another rollout begins a new file."""

    def __init__(self, folder: Path, rollout: str) -> None:
        self._path, self._earlier = folder / LOG, folder / f"{LOG}.1"
        self._rollout = rollout
        self._lines = 0
        self._unwritten: list[str] = []
        self._outcomes: list[str] = []
        #: Whether the last line may be a part: a kill left it.
        self._is_torn = False

    def request(self, id: bytes, candidate: bool, episode: int) -> None:
        """Note a request; :meth:`flush` writes it."""
        if len(self._unwritten) < SERVED:  # a full disk must not fill the memory
            entry = [id.decode("latin-1"), int(candidate), episode, round(time.monotonic(), 1)]
            self._unwritten.append(json.dumps(entry))

    def outcome(self, id: bytes, name: str) -> None:
        """Note that an outcome of a request was taken: it counts once."""
        if len(self._outcomes) < SERVED:
            self._outcomes.append(json.dumps([id.decode("latin-1"), name]))

    def evidence_written(self) -> None:
        """Note outcomes from now on: the evidence that is written has their values."""
        self._unwritten += self._outcomes
        self._outcomes = []

    def flush(self) -> None:
        """Append what is not written. Raises OSError, such as for a full disk: it is then tried again later."""
        if not self._unwritten:
            return
        size = self._path.stat().st_size if self._path.exists() else 0
        if self._lines >= SERVED or size > MAX_BYTES:
            self._path.replace(self._earlier)
            self._lines = size = 0
        lines = self._unwritten if size else [json.dumps(self._rollout), *self._unwritten]
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write("\n" * self._is_torn + "".join(f"{each}\n" for each in lines))
        except OSError:
            with contextlib.suppress(OSError):  # what a full disk took of the lines, which are written again
                os.truncate(self._path, size)
            raise
        self._is_torn = False
        self._lines += len(lines)
        self._unwritten = []

    def read(self) -> tuple[list[Entry], set[tuple[bytes, str]]]:
        """Return the requests of this rollout that are no older than an hour, and the outcomes that were taken."""
        requests: list[Entry] = []
        taken: set[tuple[bytes, str]] = set()
        for path in (self._earlier, self._path):
            found = self._of(path)
            self._lines = len(found)
            for each in found:
                id = str(each[0]).encode("latin-1", "replace")
                if len(each) == 2:
                    taken.add((id, str(each[1])))
                    continue
                age = max(
                    0.0, time.monotonic() - float(each[3])
                )  # below 0: before the host was started again
                if age <= SERVED_S:
                    requests.append((id, bool(each[1]), int(each[2]), age))
        self._is_torn = self._path.exists()
        return requests[-SERVED:], taken

    def _of(self, path: Path) -> list[list[str]]:
        """Return the entries in a file. A line that was written in part, at a kill, is none."""
        found: list[list[str]] = []
        try:
            with path.open(encoding="utf-8") as lines:
                if self._rollout != _decoded(lines.readline()):  # it is of an earlier rollout
                    path.unlink()
                    return []
                found += [
                    each for each in map(_decoded, lines) if isinstance(each, list) and len(each) in (2, 4)
                ]
        except OSError:
            pass  # there is none yet
        return found


def _decoded(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
