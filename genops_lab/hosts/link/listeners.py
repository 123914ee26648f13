"""Who wants to be told of something."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Generic, ParamSpec

log = logging.getLogger("genops_lab")
P = ParamSpec("P")


class Listeners(Generic[P]):
    """Callables that are told one after the other. ``of`` names what they listen to, for the log."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._listeners: list[Callable[P, None]] = []

    def add(self, told: Callable[P, None]) -> Callable[[], None]:
        """Tell this one too; returns what ends that. Any thread may do both."""
        self._listeners.append(told)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(told)

        return end

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Tell all; one that fails keeps no other from being told."""
        for told in list(self._listeners):
            try:
                told(*args, **kwargs)
            except Exception:  # the boundary: a listener's failure is not the matter of who tells
                log.exception("A listener to %s failed.", self._of)
