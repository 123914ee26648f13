"""Services: made once, in the order in which they need each other, closed the other way round."""

from __future__ import annotations

import pytest

from genops_lab.app.features import FEATURES
from genops_lab.core.services import Service, Services


class Told(Service):
    """Says what is done to it."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    async def open(self) -> None:
        self._calls.append(f"open {type(self).__name__}")

    async def close(self) -> None:
        self._calls.append(f"close {type(self).__name__}")


class Above(Told):
    """Made from what is below."""


class Below(Told):
    """Made from nothing."""


async def test_each_is_opened_after_and_closed_before_what_it_was_made_from() -> None:
    calls: list[str] = []
    services = Services()

    def above(get: object) -> Above:
        services.get(Below)
        return Above(calls)

    services.provide(Above, above)
    services.provide(Below, lambda _get: Below(calls))
    services.make_all()
    assert services.get(Below) is services.named("Below")
    await services.open()
    await services.close()
    assert calls == ["open Below", "open Above", "close Above", "close Below"]


def test_what_nobody_provides_and_what_needs_itself_is_said() -> None:
    services = Services()
    services.provide(Above, lambda get: get(Below) and Above([]))
    with pytest.raises(LookupError, match=r"No feature provides Below\."):
        services.get(Above)
    services.provide(Below, lambda get: get(Above) and Below([]))
    with pytest.raises(LookupError, match=r"A service depends on itself: Above -> Below -> Above\."):
        services.get(Above)
    with pytest.raises(ValueError, match=r"Two features provide Above\."):
        services.provide(Above, lambda _get: Above([]))
    assert services.find(Told) is None


def test_names_and_kinds_of_events_are_of_one_feature_each() -> None:
    names = [feature.name for feature in FEATURES]
    kinds = [kind for feature in FEATURES for kind in feature.events]
    topics = [topic for feature in FEATURES for topic in feature.topics]
    for found in (names, kinds, topics):
        assert len(set(found)) == len(found), found
