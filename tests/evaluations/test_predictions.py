"""Predictions are written, read back and joined by id; what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.evaluations.predictions import (
    Predictions,
    class_names,
    join,
    of_texts,
    of_values,
    read,
    write,
)


def made(ids: list[Any], labels: list[Any], predictions: list[Any], **more: Any) -> Predictions:
    return Predictions(
        ids=of_texts(ids), labels=of_values(labels), predictions=of_values(predictions), **more
    )


@pytest.mark.parametrize(
    ("labels", "predictions", "right", "task"),
    [
        ([1, 2, None, 4], [1, 3, 3, float("nan")], [1, 0, np.nan, 0], "classification"),
        (["a", "b", None, "ü"], ["a", "c", "c", "ü"], [1, 0, np.nan, 1], "classification"),
        ([True, False, None, True], [True, True, False, None], [1, 0, np.nan, 0], "classification"),
        ([True, None, True, False], [1, 1, 0, 0], [1, np.nan, 0, 1], "classification"),
        ([1, 0, 1, 0], ["1", "1", "0", "0"], [1, 0, 0, 1], "classification"),
        ([1.5, 2.0, 3.0, 4.0], [1.5, 2.5, 3.0, 4.0], [1, 0, 1, 1], "regression"),
    ],
)
def test_values_of_each_kind_come_back(
    tmp_path: Path, labels: list[Any], predictions: list[Any], right: list[float], task: str
) -> None:
    given = made(
        ["a", "b", "c", 7],
        labels,
        predictions,
        groups={"region": of_texts(["north", None, "south", "south"])},
        latency_s=np.array([0.1, 0.2, 0.3, np.nan]),
        about={"model": "digits", "version": "3"},
    )
    write(tmp_path / "predictions.parquet", given)
    found = read(tmp_path / "predictions.parquet")
    np.testing.assert_array_equal(found.right(), right)
    assert found.task == given.task == task
    assert found.ids.tolist() == ["a", "b", "c", "7"]
    assert found.groups["region"].tolist() == ["north", None, "south", "south"]
    assert found.about == {"model": "digits", "version": "3", "rows": 4, "task": task}
    assert found.latency_s is not None
    np.testing.assert_array_equal(found.latency_s, given.latency_s)


def test_scores_are_named_as_the_classes(tmp_path: Path) -> None:
    given = made(["a", "b"], [3, 8], [3, 3], scores={"3": np.array([0.9, 0.7]), "8": np.array([0.1, 0.3])})
    write(tmp_path / "p.parquet", given)
    found = read(tmp_path / "p.parquet")
    assert list(found.scores) == ["3", "8"] == class_names(found.labels).tolist()
    np.testing.assert_array_equal(found.scores["8"], [0.1, 0.3])


def test_another_order_and_length_are_joined_by_id() -> None:
    one = made(["a", "b", "c"], [1, 0, 1], [1, 0, 0])
    other = made(["c", "x", "a"], [1, 1, 1], [1, 1, 0])
    found = join(one, other)
    assert found.one.ids.tolist() == found.other.ids.tolist() == ["a", "c"]
    assert found.other.predictions.tolist() == [0, 1]
    assert (found.only_one, found.only_other) == (["b"], ["x"])


def test_double_ids_are_named(tmp_path: Path) -> None:
    ids = [str(at % 15) for at in range(30)]
    double = made(ids, [1] * 30, [1] * 30)
    with pytest.raises(InvalidRequest, match=r"15 ids \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …\) more than once"):
        write(tmp_path / "p.parquet", double)
    assert not (tmp_path / "p.parquet").exists()
    with pytest.raises(InvalidRequest, match="15 ids"):
        join(double, double)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidRequest, match=r"Cannot read the predictions p\.parquet"):
        read(tmp_path / "p.parquet")
