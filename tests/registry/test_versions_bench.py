"""The benchmark of the table of versions, with a few of them: it must not rot."""

from __future__ import annotations

import pytest

from benchmarks import versions


@pytest.mark.exhaustive
def test_each_figure_is_made() -> None:
    made = [figure.line() for figure in versions.measured(3, 40, 20, times=1)]
    assert len(made) == 6 and all(line["n"] for line in made)
    assert "baseline" in made[0]
