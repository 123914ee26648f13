"""``genops models evaluate``, ``genops evaluations`` and ``genops.log_predictions``, with a running Lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.runtime import api
from genops_lab.runtime.errors import GenOpsError, Refused
from tests.support.rooms import Logged

from .conftest import RunningLab

FIRST, ROWS = 900, 200


@pytest.fixture(scope="module")
def rows(lab: RunningLab) -> Any:
    """Held-out rows of digits as a data frame, also in the file held.csv of the home."""
    import pandas as pd
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    frame = pd.DataFrame(inputs[FIRST : FIRST + ROWS] / 16, columns=[f"p{at}" for at in range(64)])
    frame["id"] = [f"{at:03}" for at in range(ROWS)]
    frame["label"] = labels[FIRST : FIRST + ROWS]
    frame.to_csv(lab.home.work / "held.csv", index=False)
    return frame


@pytest.fixture(scope="module")
def evaluated(lab: RunningLab, digits: Logged, trusted: Callable[[], None], rows: Any) -> Any:
    """The report of version 1 on held.csv, as the command gives it."""
    lab.call("models", "register", "judged", "--run", digits.run_id, "--json")
    refused = lab.call("models", "evaluate", "judged", "--data", "held.csv", "--json")
    assert refused.code == 4
    assert "needs your confirmation" in refused.err
    assert "To evaluate it, add --trust sha256:" in refused.err
    trusted()
    done = lab.call("models", "evaluate", "judged", "--data", "held.csv", "--json")
    assert done.code == 0, done.err
    return done.json


def test_evaluate_list_and_show(lab: RunningLab, evaluated: Any) -> None:
    run = evaluated["evaluation"]["run_id"]
    assert evaluated["rows"] == ROWS
    assert evaluated["against"] is None
    assert [each["metric"] for each in evaluated["metrics"]] == ["accuracy", "log_loss", "brier", "latency_s"]
    shown = lab.call("evaluations", "show", run)
    assert shown.code == 0, shown.err
    assert "accuracy" in shown.out
    assert "This data set has judged 1 version." in shown.out
    listed = lab.call("evaluations", "list", "--model", "judged", "--json").json
    assert [each["run_id"] for each in listed] == [run]
    assert run in [each["run_id"] for each in lab.call("evaluations", "list", "--json").json]
    assert lab.call("evaluations", "list", "--model", "other").out.startswith("There are no evaluations.")
    unknown = lab.call("evaluations", "show", "0" * 32)
    assert unknown.code == 3


def test_logged_predictions_are_compared_with_the_champion(
    lab: RunningLab, digits: Logged, evaluated: Any, rows: Any
) -> None:
    lab.call("models", "alias", "judged", "champion", "1")
    lab.call("models", "register", "judged", "--run", digits.run_id)
    answers = rows["label"].to_numpy().copy()
    answers[:10] = (answers[:10] + 1) % 10
    order = rows.sample(frac=1, random_state=1).index
    name = f"held.csv@{evaluated['evaluation']['digest'][:8]}"
    found = api.log_predictions(
        model="judged", data=name, ids=rows["id"][order], predictions=answers[order], latency_s=0.001
    )
    accuracy = found["metrics"][0]
    assert accuracy["candidate"]["value"] == pytest.approx(1 - 10 / ROWS)
    assert found["against"]["version"] == "1"
    assert accuracy["difference"]["verdict"] == "better"
    assert found["judged"] == 2
    assert "judged version 2 on held.csv@" in repr(found)
    assert found["evaluation"]["how"] == "logged"
    latency = next(each for each in found["metrics"] if each["metric"] == "latency_s")
    assert latency["difference"] is None  # measured in another session


def test_missing_ids_are_counted_as_wrong_and_named(lab: RunningLab, evaluated: Any, rows: Any) -> None:
    found = api.log_predictions(
        model="judged", version=1, data=str(lab.home.work / "held.csv"), against="",
        ids=rows["id"][:-3], predictions=rows["label"][:-3],
    )  # fmt: skip
    assert found["metrics"][0]["candidate"]["value"] == pytest.approx(1 - 3 / ROWS)
    assert found["notes"][0] == (
        "3 rows without a prediction (null or NaN): counted as wrong. 3 ids (197, 198, 199)."
    )


def test_what_cannot_be_joined_is_refused(lab: RunningLab, evaluated: Any, rows: Any, tmp_path: Path) -> None:
    def refused(**given: Any) -> str:
        common = {"model": "judged", "data": str(lab.home.work / "held.csv")}
        with pytest.raises(GenOpsError) as caught:
            api.log_predictions(**{**common, **given})
        return caught.value.message

    ids, labels = rows["id"].tolist(), rows["label"].tolist()
    assert refused(ids=["x1", "x2", *ids], predictions=[1, 1, *labels]) == (
        "The data set does not have 2 ids (x1, x2)."
    )
    assert "1 id (000) more than once" in refused(ids=["000", *ids], predictions=[1, *labels])
    assert refused(ids=ids[:5], predictions=labels[:4]).startswith("The lists must have one length: ids 5")
    assert refused(ids=ids, predictions=[[1], [2]]) == "predictions must have one value a row."
    with pytest.raises(Refused, match="The labels are unknown"):
        api.log_predictions(model="judged", data=rows, ids=ids, predictions=labels)


def test_predictions_on_an_object_have_its_fingerprint(lab: RunningLab, evaluated: Any, rows: Any) -> None:
    values = [0.5 + each for each in rows["label"]]
    found = api.log_predictions(
        model="judged", data=rows, labels=values, predictions=[each + 0.25 for each in values]
    )
    assert found["task"] == "regression"
    assert found["metrics"][0]["candidate"]["value"] == pytest.approx(0.25)
    assert found["notes"][0] == "Version 1 has no evaluation on this data set, so nothing is compared."
