"""What a run prints for people, on a terminal and in a log: a line a file, and a sign of life."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .figures import Row, Run, clock, table

#: Seconds without a line after which one says what runs.
QUIET_S = 10.0


class Lines:
    """The output of a run's progress. ``reporter``: pytest's own, which prints what follows the tests."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()
        self._started = self._last = time.monotonic()

    def take_the_place_of_dots(self) -> None:
        """Have pytest print neither dots nor names of files."""
        self._reporter.showfspath = False

    def leave_out_warnings(self) -> None:
        """Have pytest not print all warnings at the end; :func:`keep_warnings` keeps them."""
        self._reporter.reportchars = self._reporter.reportchars.replace("w", "")

    def say(self, text: str, **markup: bool) -> None:
        """Print a line."""
        with self._lock:
            self._last = time.monotonic()
            self._reporter.write_line(text, **markup)
            self._reporter.flush()

    def file_ended(self, row: Row, outcomes: Counter[str], left: int) -> None:
        """Print the line of a file. ``left``: how many files are not at their end."""
        outcome_counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        bad = bool(outcomes["failed"] or outcomes["error"])
        self.say(
            f"{clock(time.monotonic() - self._started):>6} {row.name}: {outcome_counts}; "
            f"{row.wall_s:.1f} s, {row.cpu_s:.1f} s CPU; {left} files left",
            red=bad,
        )

    def sign_of_life(self, finished: int, count: int, running: dict[str, float]) -> None:
        """Print what runs, when nothing was printed for ``QUIET_S``. ``running``: tests with their starts."""
        now = time.monotonic()
        if now - self._last < QUIET_S:
            return
        doing = ", ".join(f"{test} ({now - since:.0f} s)" for test, since in list(running.items()))
        self.say(f"{clock(now - self._started):>6} {finished} of {count} tests; now: {doing or 'collecting'}")


def keep_warnings(reports: list[Any], file: Path) -> str:
    """Write each kind of warning once, with its count and a test that met it; return a line about them."""
    kinds = Counter(str(report.message).strip() for report in reports)
    first = {str(report.message).strip(): report for report in reversed(reports)}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as out:
        for message, count in kinds.most_common():
            out.write(f"{count} times, first in {first[message].nodeid or 'the set-up'}:\n{message}\n\n")
    return f"{len(reports)} warnings of {len(kinds)} kinds: {file}"


def closing_lines(run: Run, file: Path) -> list[str]:
    """Return what a run cost."""
    used = f"{run.cpu_s / 60:.1f} CPU minutes in {run.wall_s / 60:.1f} minutes"
    idle = f"{run.idle:.0%} of the {run.cores} cores' time was idle or others'"
    lines = [*table(run.dearest()), f"{used}; {idle}. All rows: {file}"]
    if run.loop_ms:
        at = " and ".join(f"{each:.0f}" for each in run.loop_ms)
        lines.append(
            f"This machine today: {at} ms CPU for the calibrating loop, at the start and at the end."
        )
    return lines
