"""Works beside each other."""

from __future__ import annotations

import threading

import pytest

from genops_lab.profiling.engine import threads


@pytest.fixture(autouse=True, params=[1, 2])
def _cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: request.param)


def test_results_are_in_the_order_of_the_items() -> None:
    assert threads.each(lambda item: item * 2, range(50)) == list(range(0, 100, 2))
    assert threads.each(str, []) == []
    assert threads.each(str, [7]) == ["7"]
    assert threads.both(lambda: 1, lambda: "two") == (1, "two")


def test_what_is_raised_in_either_thread_is_raised_here() -> None:
    def fail() -> None:
        raise ValueError("it")

    for pair in ((fail, int), (int, fail)):
        with pytest.raises(ValueError, match="it"):
            threads.both(*pair)
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda item: 1 // item, [3, 2, 1, 0, 1])


def test_two_works_run_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)
    meeting = threading.Barrier(2, timeout=10)
    assert sorted(threads.each(lambda _: meeting.wait(), range(2))) == [0, 1]
