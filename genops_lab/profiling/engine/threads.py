"""Run work in two threads; NumPy releases Python's lock while it computes.

There are two threads, whatever the number of cores, because each needs memory for its columns. The calling
thread is one of them, because memory that a thread frees in its heap is not available to other threads.
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
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def both(first: Callable[[], Result], second: Callable[[], Other]) -> tuple[Result, Other]:
    """Run two functions and return both results. Raises the error of either."""
    if cores() < 2:
        return first(), second()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return ``work`` of each item, in order. Raises the error of any."""
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
