"""Works beside each other in threads: NumPy lets go of Python's lock while it computes.

Two at a time, however many cores there are: each holds columns of its own in memory. This thread is one of them: what
is freed in a thread's part of the heap is of no use to others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def both(first: Callable[[], Result], second: Callable[[], Other]) -> tuple[Result, Other]:
    """What each of two returns. Raises what one of them raises."""
    if cores() < 2:
        return first(), second()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``work`` of each item, in their order. Raises what one of them raises."""
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    left = iter(enumerate(items))
    found: dict[int, Result] = {}

    def take() -> None:
        for place, item in left:
            found[place] = work(item)

    both(take, take)
    return [found[place] for place in range(len(items))]
