"""What ``--sort`` takes."""

from __future__ import annotations

import pytest

from genops_lab.commands.run_listing import sorting


@pytest.mark.parametrize(
    ("key", "column", "descending"),
    [
        ("metrics.val loss", "metrics.val loss", False),
        ("-metrics.loss", "metrics.loss", True),
        ("start_time DESC", "start_time", True),
        # As MLflow's order_by and --filter take names with blanks.
        ("metrics.`val loss` desc", "metrics.val loss", True),
        ('-metrics."val loss"', "metrics.val loss", True),
        ("params.`a desc`", "params.a desc", False),
        ("tags.``", "tags.``", False),
    ],
)
def test_a_name_in_quotes_is_the_name(key: str, column: str, descending: bool) -> None:
    found = sorting(key)
    assert (found.column, found.descending) == (column, descending)
