"""Call listeners, and keep the failure of one from the others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Generic, ParamSpec

log = logging.getLogger("genops_lab")
P = ParamSpec("P")


class Listeners(Generic[P]):
    """A list of callables that are called in order. ``of`` names their subject, for the log."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._listeners: list[Callable[P, None]] = []

    def add(self, listener: Callable[P, None]) -> Callable[[], None]:
        """Add a listener; return a function that removes it. Both may be called from any thread."""
        self._listeners.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all listeners; a failed one does not stop the others."""
        for listener in list(self._listeners):
            try:
                listener(*args, **kwargs)
            except Exception:  # the boundary: a listener's failure must not reach the notifier
                log.exception("A listener to %s failed.", self._of)
