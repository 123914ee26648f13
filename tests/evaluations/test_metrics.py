"""Metrics beside scikit-learn's, differences beside the tests of ``statistics``, and what the report says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genops_lab.evaluations import tags
from genops_lab.evaluations.metrics import by_group, compared
from genops_lab.evaluations.models import Evaluation
from genops_lab.evaluations.predictions import Predictions, of_texts, of_values
from genops_lab.evaluations.report import judged_note, make_report
from genops_lab.statistics.paired import mcnemar, paired_bootstrap, paired_t


def _made(labels: Any, predictions: Any, **more: Any) -> Predictions:
    ids = of_texts(range(len(labels)))
    return Predictions(ids=ids, labels=of_values(labels), predictions=of_values(predictions), **more)


def _evaluation(version: str, session: str = "s") -> Evaluation:
    return Evaluation(
        run_id=f"run{version}", model="m", version=version, data="d", digest="ab", session=session
    )


def test_classification_beside_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, log_loss

    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 500)
    scores = rng.dirichlet([1, 1, 1], 500)
    answers = scores.argmax(axis=1)
    named = {str(at): scores[:, at] for at in range(3)}
    found = {
        each.metric: each.candidate
        for each in compared(_made(labels, answers, scores=named), None, latency=False)
    }
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, answers), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(log_loss(labels, scores, labels=[0, 1, 2]), abs=1e-12)
    truth = np.eye(3)[labels]
    assert found["brier"].value == pytest.approx(((scores - truth) ** 2).sum(axis=1).mean(), abs=1e-12)


def test_the_area_under_the_curve_of_two_classes() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    labels = np.array(["cat", "dog"])[rng.integers(0, 2, 200)]
    chance = rng.random(200) / 2 + 0.5 * (labels == "dog")
    both = _made(labels, labels, scores={"cat": 1 - chance, "dog": chance})
    one = _made(labels, labels, scores={"dog": rng.random(200)})
    [row] = [each for each in compared(both, one, latency=False) if each.metric == "auc"]
    expected = roc_auc_score(labels == "dog", chance)
    assert row.candidate.value == pytest.approx(expected)
    assert row.difference is not None and row.champion is not None and row.champion.value is not None
    assert row.difference.value == pytest.approx(expected - row.champion.value)
    assert (row.difference.method, row.difference.verdict) == ("DeLong's test", "better")
    # Log loss and the Brier score need the scores of all classes.
    assert [each.metric for each in compared(one, None, latency=False)] == ["accuracy", "auc"]


def test_scores_of_an_unknown_class_and_missing_scores() -> None:
    scores = {"a": np.array([1.0, 0.5, np.nan]), "b": np.array([0.0, 0.5, np.nan])}
    rows = compared(_made(["a", "c", "a"], ["a", "a", "a"], scores=scores), None, latency=False)
    found = {each.metric: each.candidate for each in rows}
    assert found["log_loss"].rows == 2
    assert found["log_loss"].left_out == 1
    assert found["brier"].value == pytest.approx((0 + 0.25 + 0.25 + 1) / 2)


def test_differences_are_those_of_statistics() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 300)
    one = np.where(rng.random(300) < 0.9, labels, 1 - labels)
    two = np.where(rng.random(300) < 0.8, labels, 1 - labels)
    row = compared(_made(labels, one), _made(labels, two), latency=False)[0]
    expected = mcnemar((labels == one).astype(float), (labels == two).astype(float))
    assert row.difference is not None
    assert (row.difference.value, row.difference.p) == (expected.estimate, expected.p)
    assert (row.difference.low, row.difference.verdict) == (expected.low, "better")
    worse = compared(_made(labels, two), _made(labels, one), latency=False)[0].difference
    assert worse is not None
    assert worse.verdict == "worse"


def test_regression() -> None:
    rng = np.random.default_rng(3)
    labels = rng.normal(size=400)
    one, two = labels + rng.normal(scale=0.5, size=400), labels + rng.normal(scale=1.0, size=400)
    one[:3] = np.nan
    mae, rmse = compared(_made(labels, one), _made(labels, two), latency=False)
    assert mae.candidate.value == pytest.approx(np.nanmean(abs(labels - one)))
    assert mae.candidate.left_out == 3
    expected = paired_t(abs(labels - one), abs(labels - two))
    assert mae.difference is not None
    assert (mae.difference.value, mae.difference.p) == (expected.estimate, expected.p)
    assert mae.difference.verdict == "better"  # a smaller error
    assert rmse.candidate.value == pytest.approx(np.sqrt(np.nanmean((labels - one) ** 2)))
    drawn = paired_bootstrap(
        abs(labels - one), abs(labels - two), rng=np.random.default_rng(0),
        statistic=lambda values: np.sqrt(np.mean(values**2, axis=1)),
    )  # fmt: skip
    assert rmse.difference is not None
    assert rmse.difference.value == pytest.approx(drawn.estimate)
    assert drawn.low is not None
    assert rmse.difference.low == pytest.approx(drawn.low, abs=0.05)


def test_each_group_has_its_metric_and_its_difference() -> None:
    groups = {"region": of_texts(["n", "n", "n", "s", "s", None])}
    one = _made([1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1], groups=groups)
    two = _made([1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 1], groups=groups)
    found = {each.value: each for each in by_group(one, two)}
    assert list(found) == ["n", "s"]
    assert found["n"].candidate.value == pytest.approx(2 / 3)
    assert found["n"].candidate.rows == 3
    assert found["s"].difference is not None
    assert found["s"].difference.value == 1
    assert found["s"].difference.verdict == "within chance"


def test_latency_compares_in_one_session_alone() -> None:
    quick, slow = np.repeat([0.001, 0.002, 0.001], 2), np.repeat([0.011, 0.012, 0.013], 2)
    about = {"batch_rows": 2}
    one, two = (
        _made([1] * 6, [1] * 6, latency_s=quick, about=about),
        _made([1] * 6, [1] * 6, latency_s=slow, about=about),
    )
    row = make_report(one, two, _evaluation("2"), _evaluation("1")).metrics[-1]
    assert (row.metric, row.candidate.rows) == ("latency_s", 3)  # batches, not rows
    assert row.difference is not None
    assert row.difference.value == pytest.approx(-0.0106667, abs=1e-6)
    other = make_report(one, two, _evaluation("2"), _evaluation("1", "another")).metrics[-1]
    assert other.difference is None


def test_no_latency_is_below_zero() -> None:
    """The t-interval of a slow batch among few quick ones is wider than their mean."""
    made = _made([1] * 3, [1] * 3, latency_s=np.array([0.001, 0.001, 0.9]), about={"batch_rows": 1})
    found = compared(made, None, latency=True)[-1].candidate
    assert found.low == 0.0 and found.value == pytest.approx(0.3007, abs=1e-3)


def test_the_report_names_rows_that_only_one_version_has_and_labels_that_differ() -> None:
    one = _made([1, 0, 1, 1], [1, 0, 1, 0])
    two = _made([1, 0, 0], [1, 1, 0])
    found = make_report(one, two, _evaluation("2"), _evaluation("1"))
    assert found.rows == 3
    assert found.notes == [
        "Only version 2 has 1 id (3). These rows are not compared.",
        "The labels of 1 id (2) differ between the two evaluations.",
    ]
    apart = make_report(one, _made([], []), _evaluation("2"), _evaluation("1"))
    assert apart.against is None
    assert apart.rows == 4
    assert apart.notes[-1] == "The two versions have no id in common, so they are not compared."


def test_no_label_and_no_prediction_are_said() -> None:
    found = make_report(_made([None, None], [1, 0]), None, _evaluation("1"), None)
    assert (found.metrics, found.notes) == ([], ["No row has a label, so there are no metrics."])
    found = make_report(_made(["a", "b", None], [None, "b", "c"]), None, _evaluation("1"), None)
    assert found.metrics[0].candidate.value == 0.5
    assert found.notes == [
        "1 row without a label: left out of the metrics.",
        "1 row without a prediction (null or NaN): counted as wrong. 1 id (0).",
    ]


def test_many_verdicts_of_one_data_set_grow_optimistic() -> None:
    assert judged_note(1) == "This data set has judged 1 version."
    assert judged_note(14) == "This data set has judged 14 versions; its verdicts grow optimistic."


@pytest.mark.parametrize("name", ["holdout.csv", "a/b:c@d", "Prüfdaten 数据", "x" * 400, "../up", ""])
def test_mlflow_takes_the_tag_of_any_name(name: str) -> None:
    from mlflow.utils.validation import _validate_model_version_tag

    tag = tags.version_tag(name, "0123456789abcdef0123456789abcdef0123")
    _validate_model_version_tag(tag, "run")  # type: ignore[no-untyped-call]
    assert list(tags.newest({tag: "run", tags.MODEL: "m", "other": "x"}).values()) == ["run"]
