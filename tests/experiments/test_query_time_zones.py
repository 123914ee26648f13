"""Days of a query begin in the reader's time zone, wherever JupyterLab runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.columns.changes import Changes, RunRow
from genops_lab.experiments.columns.selection import Asked
from genops_lab.experiments.columns.snapshot import Snapshot

KOLKATA, NEW_YORK = "Asia/Kolkata", "America/New_York"


@pytest.fixture(autouse=True)
def in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JupyterLab's machine is in India."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", KOLKATA)
        time.tzset()
        yield
    time.tzset()


def test_a_day_is_that_of_the_reader() -> None:
    hours = {
        f"h{hour:02}": datetime(2026, 11, 3, hour, 30, tzinfo=ZoneInfo("UTC")).timestamp()
        for hour in range(24)
    }
    rows = [
        RunRow(id, None, "FINISHED", int(at * 1000), None, "active", "1", None, None)
        for id, at in hours.items()
    ]
    asked = Asked(Snapshot().apply(Changes(runs=rows)))

    def found(zone: str) -> set[str]:
        there = asked.find([], "start_time = 2026-11-03", [], "active", zone)
        return {each.run_id for each in asked.runs(there.rows, frozenset())}

    # 3 November begins at 18:30 UTC of the day before in India, and at 05:00 UTC in New York.
    assert found("") == found(KOLKATA) == {each for each in hours if each < "h18"}
    assert found(NEW_YORK) == {each for each in hours if each >= "h05"}


def test_a_zone_that_does_not_exist_is_refused() -> None:
    for name in ("Mars/Base", "../../etc/passwd", "/etc/localtime", "a\0b"):
        with pytest.raises(InvalidRequest, match="is not known"):
            Asked(Snapshot()).find([], "start_time = today", [], "active", name)
