"""The hours that ends of idle kernels saved: what counts, and what a Lab writes down of a real kernel."""

from __future__ import annotations

import time

import pytest

from genops_lab.kernels.idle_savings import IdleEnd, saved

HOUR = 3600.0
#: noon of a day in the middle of a month, in any zone
NOON = time.mktime((2026, 11, 15, 12, 0, 0, 0, 0, -1))


def end(**changes: float | str | None) -> IdleEnd:
    fields = {"kernel_id": "k", "target": "a", "notebook": "n", "ended_at": NOON, "price_per_hour": 2.0}
    return IdleEnd(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "hours"),
    [
        ({}, 10.0),  # nobody has started it again until now
        ({"again_at": NOON + 3 * HOUR}, 3.0),
        ({"until": NOON + 2 * HOUR, "again_at": NOON + 3 * HOUR}, 2.0),  # its host would have ended
        ({"until": NOON - HOUR}, 0.0),
        ({"ended_at": NOON - 90 * HOUR}, 24.0),  # at most a day for one end
    ],
)
def test_a_saved_hour(changes: dict[str, float], hours: float) -> None:
    (found,) = saved([end(**changes)], NOON + 10 * HOUR)
    assert (found.hours, found.usd, found.kernels) == (hours, 2.0 * hours, 1)


def test_sums_are_by_month_and_target_and_a_missing_price_is_no_price() -> None:
    now = NOON + 40 * 86400
    ends = [end(), end(target="b", price_per_hour=None), end(again_at=NOON + HOUR), end(ended_at=now)]
    found = {(each.month, each.target): each for each in saved(ends, now)}
    assert list(found) == [("2026-11", "a"), ("2026-11", "b"), ("2026-12", "a")]
    assert (found["2026-11", "a"].kernels, found["2026-11", "a"].hours) == (2, 25.0)
    assert found["2026-11", "b"].usd is None and found["2026-12", "a"].hours == 0.0
