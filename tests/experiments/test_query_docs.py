"""Each example of the page for users is a query that finds something, and not everything."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from genops_lab.experiments.query import QueryError, parse
from tests.support.run_columns import Row, RowColumns

PAGE = (Path(__file__).parents[2] / "docs" / "users" / "queries.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 26, 15, 30, tzinfo=timezone.utc)


def _ago(**past: float) -> float:
    return (NOW - timedelta(**past)).timestamp()


RUNS = RowColumns(
    [
        Row(
            {"run_name": "ResNet Batch 64", "status": "FINISHED", "start_time": _ago(hours=1),
             "end_time": _ago(minutes=1), "duration": 60.0},
            {"accuracy": 0.95, "val_loss": 2.0, "train_loss": 1.0, "loss": 0.5},
            {"optimizer": "adam", "lr": "5e-3", "model": "resnet-18"},
        ),
        Row(
            {"run_name": "exp_1", "status": "FAILED", "start_time": _ago(days=1),
             "end_time": _ago(days=20), "duration": 7200.0},
            {"accuracy": 0.1, "loss": float("nan")},
            {"optimizer": "sgd", "lr": "0.5", "model": "vit"},
            {"debug": "1"},
        ),
        Row({"start_time": datetime(2026, 11, 3, 23, 59, tzinfo=timezone.utc).timestamp(), "end_time": _ago(days=1)}),
        Row({"start_time": datetime(2026, 10, 1, tzinfo=timezone.utc).timestamp()}, {"loss": float("inf")}),
    ]
)  # fmt: skip


def _examples() -> list[str]:
    rows = re.findall(r"^\| (`.*?`) \| ", PAGE, re.MULTILINE)
    texts = [text.replace("\\|", "|") for row in rows for text in re.findall(r"`([^`]+)`", row)]
    return [text for text in texts if text not in ("!~", "ILIKE", "NOT LIKE", "NOT CONTAINS")]


def test_the_page_has_examples() -> None:
    assert len(_examples()) > 20


@pytest.mark.parametrize("text", _examples())
def test_an_example_finds_some_runs(text: str) -> None:
    found = parse(text).mask(RUNS, now=NOW.timestamp(), timezone=timezone.utc)
    assert 0 < found.sum() < RUNS.rows


def test_the_error_is_shown_as_it_is() -> None:
    shown = re.findall(r"^```\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    with pytest.raises(QueryError) as found:
        parse(shown.splitlines()[0])
    assert found.value.render() == shown
