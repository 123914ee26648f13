"""Limit the cost of line tracing, and find the lines that run too often to be traced.

A loop of lines that do nearly nothing would cost a multiple of itself. When a limit is exceeded, the most
frequent lines become *hot*. Nothing is marked while they run, so their time belongs to what surrounds them
(the calling line, the cell), never to another line. A function that is called as often is *muted* as a whole.
"""

from __future__ import annotations

import time
from types import CodeType
from typing import Dict, List, Set, Tuple

#: Share of the time, for markers.
MARKER_SHARE = 0.01
#: Share of the time, for tracing calls of other code.
CALL_SHARE = 0.015
#: Seconds that are free of the limits above.
ALLOWANCE_S = 0.002
#: Seconds that must be left of the limits before tracing continues.
_RESERVE_S = 0.0005
_CHECK_EVERY = 64


class Costs:
    """Cost of one event here, in seconds: measured once a process, see ``recorder.warmed_up``."""

    def __init__(self, marker_s: float = 3e-6, call_s: float = 0.5e-6) -> None:
        self.marker_s = marker_s
        self.call_s = call_s


class Budget:
    """Counts events since ``begin``; ``hot`` and ``muted`` stay from one recording to the next."""

    def __init__(self, costs: Costs) -> None:
        self.hot: Set[Tuple[CodeType, int]] = set()
        self.muted: Set[CodeType] = set()
        self.calls = 0
        self._costs = costs
        self._times: Dict[Tuple[CodeType, int], int] = {}
        self._entered: Dict[CodeType, int] = {}
        self._spent_s = 0.0
        self._heard = 0
        self._started = time.perf_counter()

    def begin(self) -> None:
        """Start counting for a recording."""
        self.calls = self._heard = 0
        self._spent_s = 0.0
        self._times, self._entered = {}, {}
        self._started = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the recording began."""
        return time.perf_counter() - self._started

    def marks(self, code: CodeType, line: int) -> bool:
        """Return whether this line is marked."""
        return code not in self.muted and (code, line) not in self.hot

    def enter(self, code: CodeType) -> None:
        """Count a frame that begins or continues."""
        self._entered[code] = self._entered.get(code, 0) + 1

    def spend(self, code: CodeType, line: int, markers: int = 1) -> None:
        """Count the cost of ``markers`` markers for this line; 0 for the whole function."""
        self._times[code, line] = self._times.get((code, line), 0) + markers
        self._spent_s += markers * self._costs.marker_s
        self._heard += 1
        if not self._heard % _CHECK_EVERY and self._spent_s > MARKER_SHARE * self.elapsed_s + ALLOWANCE_S:
            self._give_up()

    def call(self) -> bool:
        """Count a call of other code; return False if tracing such calls costs too much."""
        self.calls += 1
        return bool(self.calls % _CHECK_EVERY) or not self._calls_are_dear(0.0)

    @property
    def can_go_on(self) -> bool:
        """Return whether the limits allow tracing again for a while."""
        left = MARKER_SHARE * self.elapsed_s + ALLOWANCE_S - self._spent_s
        return left >= _RESERVE_S and not self._calls_are_dear(_RESERVE_S)

    def _calls_are_dear(self, reserve_s: float) -> bool:
        spent_s = self.calls * self._costs.call_s + reserve_s
        return spent_s > CALL_SHARE * self.elapsed_s + ALLOWANCE_S

    def _give_up(self) -> None:
        """Stop marking the most frequent lines; the cost of the others is small."""
        code, line = max(self._times, key=self._times.__getitem__)
        most = self._times[code, line]
        if not line or 2 * self._entered.get(code, 0) >= most:
            self.muted.add(code)
            given_up = [key for key in self._times if key[0] is code]
        else:
            given_up = [key for key, times in self._times.items() if key[0] is code and 2 * times >= most]
            self.hot.update(key for key in given_up if key[1])
        times = sum(self._times.pop(key) for key in given_up)
        self._spent_s = max(0.0, self._spent_s - times * self._costs.marker_s)


def hot_lines_text(budget: Budget) -> List[str]:
    """Return the hot lines as text, by function: ``lines 3 to 5 of train``; a cell has no name."""
    found: Dict[CodeType, List[int]] = {}
    for code, line in budget.hot - {one for one in budget.hot if one[0] in budget.muted}:
        found.setdefault(code, []).append(line)
    return sorted(_lines(sorted(lines)) + _owner(code) for code, lines in found.items())


def _lines(lines: List[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    if lines[-1] - lines[0] == len(lines) - 1 and len(lines) > 2:
        return f"lines {lines[0]} to {lines[-1]}"
    return f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"


def _owner(code: CodeType) -> str:
    return "" if code.co_name.startswith("<") else f" of {code.co_name}"
