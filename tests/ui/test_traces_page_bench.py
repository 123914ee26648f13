"""The benchmark of the page of traces, with few of them: it must not rot."""

from __future__ import annotations

import pytest

from benchmarks import traces_page

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.timeout(240)]


def test_each_figure_of_the_page_is_made() -> None:
    made = [figure.line() for figure in traces_page.measured(300, 200, times=2)]
    assert [line["n"] for line in made] == [2, 2, 2, 2, 2, 2, 2, 12, 2]
    assert all(line["min"] > 0 for line in made)
