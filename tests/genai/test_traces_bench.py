"""The benchmark of traces, with a few of them: it must not rot."""

from __future__ import annotations

import pytest

from benchmarks import traces


@pytest.mark.exhaustive
def test_each_figure_is_made() -> None:
    made = [figure.line() for figure in traces.measured(300, times=1)]
    assert len(made) == 8 and all(line["n"] for line in made)
    assert "baseline" in made[0]
