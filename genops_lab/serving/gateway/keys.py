"""Check the keys of callers in constant time, and limit the requests of each."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable

from .routes import KeyEntry, Route


def find_key(authorization: bytes, keys: Iterable[KeyEntry]) -> KeyEntry | None:
    """Return the key that an ``Authorization`` header has. All keys are compared, whatever is found."""
    if not authorization.startswith(b"Bearer "):
        return None
    given = hashlib.sha256(authorization[7:]).hexdigest()
    found = None
    for each in keys:
        if hmac.compare_digest(given, each.sha256):
            found = each
    return found


class KeyUses:
    """When each key of a deployment was used last, since the gateway started. ``now`` is a monotonic clock."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], float] = {}

    def used(self, route: Route, key: KeyEntry, now: float) -> None:
        """Note a request with a key."""
        self._at[route.name, key.name] = now

    def ago_s(self, name: str, now: float) -> dict[str, float]:
        """Return the seconds since the last request with each key of a deployment that had one."""
        return {key: round(now - at, 1) for (of, key), at in self._at.items() if of == name}

    def forget(self, name: str, keys: Iterable[KeyEntry]) -> None:
        """Drop the keys that a deployment no longer has."""
        kept = {each.name for each in keys}
        for at in [each for each in self._at if each[0] == name and each[1] not in kept]:
            del self._at[at]


class RateLimits:
    """Token buckets by deployment and key: a full one has the requests of a minute, and fills evenly."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def wait_s(self, route: Route, key: KeyEntry, now: float) -> int:
        """Take a request from the key's bucket. Return 0, or the whole seconds until it has one."""
        if key.limit <= 0:
            return 0
        at = (route.name, key.sha256)
        left, since = self._buckets.get(at, (float(key.limit), now))
        left = min(float(key.limit), left + (now - since) * key.limit / 60)
        if left < 1:
            self._buckets[at] = (left, now)
            return max(1, math.ceil((1 - left) * 60 / key.limit))
        self._buckets[at] = (left - 1, now)
        return 0

    def forget(self, name: str, keys: Iterable[KeyEntry]) -> None:
        """Drop the buckets of keys that a deployment no longer has."""
        kept = {each.sha256 for each in keys}
        for at in [each for each in self._buckets if each[0] == name and each[1] not in kept]:
            del self._buckets[at]
