"""Read a store in a thread, and hold the read runs."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from genops_lab.core.arrow import give_memory_back
from genops_lab.core.errors import GenOpsError, Unavailable

from .changes import Changes
from .disk import Kept, load, save
from .selection import Asked
from .snapshot import Snapshot
from .source import FullReadNeeded, Source, SourceKind, UnknownSchema

log = logging.getLogger("genops_lab")

FIRST_ROWS = 200
_LOOKED_AT_FOR_S = 15.0
_TRY_AGAIN_S = 2.0
_SAVE_EVERY_S = 60.0
_FIRST_WAIT_S = 10.0
_POLL_WAIT_S = 0.05
#: Seconds that a question waits for the first look at the store: saved runs are as old as the earlier process.
_KEPT_WAIT_S = 1.0
#: A store of more rows is not read within that time: its newest rows are shown first, then the saved ones.
_READ_AT_ONCE = 5000


@dataclass(frozen=True)
class Shown:
    """The known runs at one moment; times in seconds since 1970."""

    asked: Asked
    version: int = 0
    complete: bool = False
    #: whether the store was read since this process began
    current: bool = False
    total: int | None = None
    as_of: float | None = None
    source: SourceKind | None = None
    problem: Unavailable | None = None
    lacks_statistics: bool = False


class Mirror:
    """Reads in one thread, while questions come, and answers from the read runs.

    ``opens`` are ways to the store, the best first: one with an unknown schema gives way to the next. ``what`` names
    the rows: runs, or versions of models.
    """

    def __init__(self, opens: list[Callable[[], Source]], cache: Path, what: str = "runs") -> None:
        self.opens = opens
        self._what = what
        self._cache = cache
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._source: Source | None = None
        self._identity = ""
        self._mark = ""
        self._shown = Shown(Asked(Snapshot()))
        self._looked_at_until = 0.0
        # Each question is numbered. Polled are those before the last poll; answered are those before the last
        # poll that left nothing to read.
        self._asked = self._polled = self._answered = 0
        self._in_a_hurry = 0
        self._touched: set[str] = set()
        self._saved = (0, 0.0)
        self._is_large = self._closed = False

    @property
    def is_started(self) -> bool:
        """Whether a question came before, so that the store is being read, or was."""
        return self._thread is not None

    # -- for questions, in any thread

    def now(self, wait_s: float) -> Shown:
        """Return the known runs: at least first rows, with ``wait_s`` all present runs if that does not take
        longer.

        Raises Unavailable if nothing is known and MLflow does not answer.
        """
        begun, at = time.monotonic(), time.time()
        with self._changed:
            mine = self._look()
            self._changed.wait_for(
                lambda: self._shown.asked.snapshot.rows or self._shown.complete or self._shown.problem,
                _FIRST_WAIT_S,
            )
            if wait_s:
                self._in_a_hurry += 1
                self._changed.wait_for(
                    lambda: self._shown.problem or (self._shown.complete and self._knows(mine, at)),
                    max(0.0, begun + wait_s - time.monotonic()),
                )
                self._in_a_hurry -= 1
            elif self._shown.complete and not self._shown.current and not self._is_large:
                self._changed.wait_for(lambda: self._shown.current or self._shown.problem, _KEPT_WAIT_S)
            elif self._is_quick():
                self._changed.wait_for(lambda: self._polled >= mine, _POLL_WAIT_S)
            shown = self._shown
        if shown.problem is not None and not shown.complete and not shown.asked.snapshot.rows:
            raise shown.problem
        return shown

    def state(self) -> Shown:
        """Return the known runs without waiting."""
        with self._changed:
            self._wake()
            return self._shown

    def wait(self, version: int, wait_s: float) -> Shown:
        """Return the known runs when their version is not ``version`` any more, or after ``wait_s`` seconds."""
        until = time.monotonic() + wait_s
        with self._changed:
            while self._shown.version == version and (left := until - time.monotonic()) > 0:
                self._wake()
                self._changed.wait(min(left, _LOOKED_AT_FOR_S / 2))
            return self._shown

    def touch(self, run_ids: list[str]) -> None:
        """Read these runs again: they were changed."""
        with self._changed:
            self._touched.update(run_ids)
            if self._thread is not None:
                self._wake()

    def read_statistics(self) -> None:
        """Check again whether the store has statistics."""
        with self._changed:
            self._shown = _with(self._shown, lacks_statistics=False)

    def close(self) -> None:
        """Save the read runs, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self.save()
        atexit.unregister(self.save)

    def _look(self) -> int:
        """Count a question, and poll the store for it if that is cheap."""
        self._asked += 1
        self._wake()
        return self._asked

    def _wake(self) -> None:
        """Poll the store from time to time, because questions come."""
        self._looked_at_until = time.monotonic() + _LOOKED_AT_FOR_S
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._what, daemon=True)
            self._thread.start()
            atexit.register(self.save)
        self._changed.notify_all()

    def _knows(self, question: int, at: float) -> bool:
        """Return whether all changes before a question are known. A program that writes all the time leaves later
        ones to read."""
        return self._answered >= question or (self._shown.as_of or 0.0) > at

    def _is_quick(self) -> bool:
        return self._source is not None and self._source.every_s < 1

    # -- in the thread

    def _work(self) -> None:
        while not self._closed:
            pause = self._once()
            with self._changed:
                asked, quick = self._asked, self._is_quick() and self._shown.problem is None

                def woken(asked: int = asked, quick: bool = quick) -> bool:
                    return self._closed or bool(self._touched) or (quick and self._asked != asked)

                self._changed.wait_for(woken, pause)
                # A question that waits for a long reading looks too.
                looked_at = bool(self._in_a_hurry) or time.monotonic() <= self._looked_at_until
            if not looked_at:
                self.save()
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or time.monotonic() <= self._looked_at_until)

    def _once(self) -> float:
        """Open or poll; return after how many seconds to do so again."""
        try:
            if self._source is None:
                self._open()
                return 0.0
            return self._poll(self._source)
        except FullReadNeeded as reason:
            log.info("%s are read again from the start: %s", self._what, reason)
            self._close()
            return 0.0
        except UnknownSchema as schema:
            self._close()
            log.info("%s are not read from the database, whose schema is unknown: %s", self._what, schema)
            self.opens.pop(0)
            return 0.0
        except GenOpsError as error:
            problem = error if isinstance(error, Unavailable) else Unavailable(error.message, hint=error.hint)
        except Exception as error:  # the thread's outermost boundary: the read runs stay, and it tries again
            log.exception("%s could not be read", self._what)
            problem = Unavailable(
                f"The {self._what} could not be read: {type(error).__name__}: {error}.",
                hint="The server's log has the details. GenOps Lab tries again by itself.",
            )
        self._close()
        self._show(problem=problem)
        return _TRY_AGAIN_S

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def _open(self) -> None:
        source = self.opens[0]()
        try:
            identity = source.identity()
            if identity != self._identity:
                self._start_with(source, identity)
            # The old runs are shown until the new ones are read.
            self._read(source)
        except BaseException:
            source.close()
            raise
        self._source = source

    def _start_with(self, source: Source, identity: str) -> None:
        """Begin with another store: its newest rows if it is large, and its saved runs if there are any."""
        if self._identity:
            log.info("MLflow's %s come from another store than before", self._what)
        total = source.total()
        self._is_large = total is not None and total > _READ_AT_ONCE
        newest = source.newest(FIRST_ROWS) if self._is_large else Changes()
        self._identity, self._mark, self._saved = identity, "", (0, 0.0)
        first = Snapshot().apply(newest)
        self._show(snapshot=first, complete=False, current=False, as_of=None, total=total if newest else None)
        kept = load(self._cache, identity)
        if kept is not None:
            snapshot = kept.snapshot.apply(newest)
            self._show(snapshot=snapshot, complete=True, as_of=kept.as_of, total=snapshot.rows)
            self._mark = kept.mark

    def _read(self, source: Source) -> None:
        known = self._shown.asked.snapshot
        if self._shown.complete and self._mark and source.resume(self._mark):
            self._show(source=source.kind, problem=None)
            return
        asked, begun, total = self._asked, time.time(), source.total()
        replaces = not self._shown.complete
        if replaces:
            self._show(snapshot=known.apply(source.newest(FIRST_ROWS)), total=total, source=source.kind)
        new = Snapshot()
        for block in source.blocks():
            new = new.apply(block)
            if replaces and new.rows >= self._shown.asked.snapshot.rows:
                self._show(snapshot=new, total=total, source=source.kind)
        self._show(
            snapshot=new,
            complete=True,
            current=True,
            total=new.rows,
            source=source.kind,
            problem=None,
            as_of=begun,
            lacks_statistics=source.lacks_statistics(),
            answered=asked if source.settled else 0,
        )
        self._mark = source.mark()
        give_memory_back()

    def _poll(self, source: Source) -> float:
        with self._changed:
            asked, touched = self._asked, frozenset(self._touched)
            self._touched -= touched
        begun = time.time()
        known = self._shown.asked.snapshot
        try:
            changes = source.poll(known, touched)
        except GenOpsError:
            with self._changed:
                self._touched |= touched
            raise
        snapshot = known.apply(changes) if changes else known
        as_of = source.swept_since or (begun if source.settled else self._shown.as_of)
        self._show(
            snapshot=snapshot,
            current=True,
            total=snapshot.rows,
            problem=None,
            as_of=as_of,
            polled=asked,
            answered=asked if source.settled else 0,
        )
        self._mark = source.mark()
        if source.settled:
            version, at = self._saved
            if version != self._shown.version and time.monotonic() - at > _SAVE_EVERY_S:
                self.save()
            return source.every_s
        with self._changed:
            return 0.0 if self._in_a_hurry else source.again_s

    def save(self) -> None:
        """Save the read runs on disk."""
        shown = self._shown
        if not shown.complete or self._saved[0] == shown.version or not self._identity:
            return
        self._saved = (shown.version, time.monotonic())
        save(self._cache, self._identity, Kept(shown.asked.snapshot, self._mark, shown.as_of or 0.0))

    def _show(
        self, *, snapshot: Snapshot | None = None, polled: int = 0, answered: int = 0, **changed: object
    ) -> None:
        with self._changed:
            before = self._shown
            if snapshot is not None and snapshot is not before.asked.snapshot:
                changed["asked"] = Asked(snapshot)
            after = _with(before, **changed)
            if any(
                getattr(before, name) != getattr(after, name)
                for name in ("asked", "complete", "current", "source", "problem", "lacks_statistics")
            ):
                after = _with(after, version=before.version + 1)
            self._shown = after
            self._polled = max(self._polled, polled)
            self._answered = max(self._answered, answered)
            self._changed.notify_all()


def _with(shown: Shown, **changed: object) -> Shown:
    return replace(shown, **changed)  # type: ignore[arg-type]
