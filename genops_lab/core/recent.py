"""Keep recently used values."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A cache of the ``most`` values that were set or found last, the oldest first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)

    def found(self, key: K) -> V | None:
        """Return the value and make it the newest; None if it is not kept."""
        if key in self:
            self.move_to_end(key)
        return self.get(key)
