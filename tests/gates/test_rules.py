"""Rules of files, people and commands, and the words of statistical rules."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genops_lab.evaluations.predictions import Predictions
from genops_lab.gates import looks, messages, plan
from genops_lab.gates.evidence import Evidence
from genops_lab.gates.facts_rules import FileEvidence, broken, judge_files
from genops_lab.gates.judging import judge
from genops_lab.gates.metrics import CannotBeChecked, f1_of_means, rows_of
from genops_lab.gates.models import Approver
from genops_lab.gates.own_command import run_command
from genops_lab.registry.files.models import FileFacts, ModelFacts, ModelField, ModelSignature

from .made import answers, pair, texts


def signature(inputs: dict[str, str], outputs: dict[str, str] | None = None) -> ModelSignature:
    def of(fields: dict[str, str] | None) -> list[ModelField]:
        return [ModelField(name=name, type=kind) for name, kind in (fields or {}).items()]

    return ModelSignature(inputs=of(inputs), outputs=of(outputs))


def facts(**more: object) -> ModelFacts:
    return ModelFacts(
        **{"verdict": "data", "headline": "Files hold data only", "size_bytes": 2_000_000, **more}
    )  # type: ignore[arg-type]


def verdict(rule: plan.Rule, **evidence: object) -> tuple[str, str]:
    found = judge_files(rule, FileEvidence(**evidence))  # type: ignore[arg-type]
    return found.verdict, found.clause


def test_what_breaks_callers_is_named() -> None:
    old = signature({"x": "double", "y": "long"}, {"label": "string", "score": "double"})
    new = signature(
        {"x": "string", "y": "long, optional", "z": "long", "w": "long, optional"}, {"label": "string"}
    )
    assert broken(new, old) == [
        "input 'x' is string, was double",
        "input 'z' (long) is new and required",
        "output 'score' is gone",
    ]
    assert broken(old, old) == []
    judged = verdict(plan.Signature(), facts=facts(signature=new), against_facts=facts(signature=old))
    assert judged[0] == "fail" and judged[1].startswith("callers break: input 'x' is string, was double; ")
    assert verdict(plan.Signature(), facts=facts(), against_facts=facts(signature=old)) == (
        "cannot_be_checked", "the candidate has no signature",
    )  # fmt: skip
    assert verdict(plan.Signature())[1] == "the files are unknown"


def test_sizes_formats_and_licences() -> None:
    small, large = facts(formats=["safetensors"], licence="MIT"), facts(size_bytes=5_000_000)
    assert verdict(plan.Size(at_most_mb=2), facts=small) == ("pass", "the files have 2 MB")
    assert verdict(plan.Size(at_most_mb=2), facts=large) == ("fail", "the files have 5 MB, 3 MB over 2 MB")
    assert verdict(plan.Size(at_most_ratio=2), facts=large, against_facts=small)[0] == "fail"
    assert verdict(plan.Formats(allowed=["SafeTensors"]), facts=small)[0] == "pass"
    assert verdict(plan.Formats(allowed=["ONNX"]), facts=small)[1] == "the format safetensors is not allowed"
    code = FileFacts(
        path="model.pkl", size_bytes=1, format="pickle", verdict="code", reason="A pickle runs code."
    )
    runs = facts(headline="Runs code when loaded", verdict="code", files=[code])
    assert verdict(plan.Formats(), facts=runs) == ("fail", "Runs code when loaded: model.pkl")
    assert verdict(plan.Formats(), facts=facts(complete=False))[0] == "cannot_be_checked"
    assert verdict(plan.Licence(allowed=["mit"]), facts=small) == ("pass", "the licence is MIT")
    assert verdict(plan.Licence(allowed=["apache-2.0"]), facts=small)[0] == "fail"
    assert verdict(plan.Licence(allowed=["mit"]), facts=large)[0] == "cannot_be_checked"


def test_approval_is_that_of_another_person() -> None:
    def who(*names: str, author: str = "ada") -> tuple[str, str]:
        known = [Approver(name=each, how="CI job") for each in names]
        return verdict(plan.Approval(by=["bob"]), author=author, approvers=known)

    assert who("bob") == ("pass", "bob approves (CI job)")
    assert who("eve") == ("fail", "eve may not approve")
    assert who("Ada Lovelace <ada@example.org>") == (
        "fail",
        "ada trained the model, and nobody else approves",
    )
    assert who()[0] == who("bob", author="")[0] == "cannot_be_checked"


def test_a_command_ends_in_time_with_its_children(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    found = run_command(plan.Command(run=[sys.executable, "-c", script], limit_s=2), tmp_path, "m", "1")
    assert found.problem == "did not end within 2 s"
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run_command(plan.Command(run=["no such program"]), tmp_path, "m", "1").problem.startswith(
        "cannot be started"
    )
    killed = run_command(plan.Command(run=["sh", "-c", "kill -9 $$"]), tmp_path, "m", "1")
    assert killed.problem == "was ended by signal 9"
    flood = run_command(
        plan.Command(run=["sh", "-c", "head -c 300000 /dev/zero; exit 3"]), tmp_path, "m", "1"
    )
    assert (flood.exit_code, flood.said) == (3, "")
    assert judge_files(plan.Command(run=["x"]), FileEvidence()).verdict == "cannot_be_checked"


def test_a_model_gains_nothing_by_not_answering() -> None:
    one, other = pair(("A", 400, 0, 0))
    silent = one.predictions.copy()
    silent[:80] = np.nan
    one = replace(one, predictions=silent)
    found = judge(plan.Better(metric="accuracy"), Evidence(candidate=one, champion=other))
    assert found.verdict == "fail" and found.n == 400
    found = judge(plan.Better(metric="mae"), Evidence(candidate=one, champion=other))
    assert (
        found.clause == "MAE cannot be computed: 80 ids (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …) have no prediction"
    )


def test_rows_without_labels_are_left_out_and_counted() -> None:
    one, other = pair(("A", 400, 40, 2))
    labels = one.labels.copy()
    labels[-50:] = np.nan
    one, other = replace(one, labels=labels), replace(other, labels=labels)
    found = judge(plan.Better(metric="accuracy"), Evidence(candidate=one, champion=other))
    assert (found.verdict, found.n, found.left_out) == ("pass", 350, 50)


def test_a_wrong_metric_for_the_data_is_told() -> None:
    text = Predictions(ids=texts(range(3)), labels=texts("abc"), predictions=texts("abc"))
    with pytest.raises(CannotBeChecked, match="MAE needs numbers"):
        rows_of("mae", text)
    with pytest.raises(CannotBeChecked, match="log loss needs scores, and the predictions have none"):
        rows_of("log_loss", text)
    with pytest.raises(CannotBeChecked, match="no row has the positive label 1"):
        rows_of("f1", text)
    scored = replace(text, scores={name: np.array([0.5, 0.2, np.nan]) for name in "ab"})
    with pytest.raises(CannotBeChecked, match=r"scores that add up to 1, not those of 2 ids \(1, 2\)"):
        rows_of("brier", scored)
    huge = Predictions(
        ids=texts(range(2)), labels=np.array([1e300, 1.0]), predictions=np.array([-1e300, 1.0])
    )
    with pytest.raises(CannotBeChecked, match="MSE is infinite in 1 id"):
        rows_of("mse", huge)


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    labels, guess = rng.integers(0, 2, 200).astype(float), rng.integers(0, 2, 200).astype(float)
    score = rng.random(200)
    found = Predictions(
        ids=texts(range(200)), labels=labels, predictions=guess, scores={"0": 1 - score, "1": score}
    )
    assert f1_of_means(rows_of("f1", found).mean(axis=0)[None])[0] == pytest.approx(
        metrics.f1_score(labels, guess)
    )
    assert rows_of("log_loss", found).mean() == pytest.approx(metrics.log_loss(labels, score))
    assert rows_of("brier", found).mean() == pytest.approx(2 * metrics.brier_score_loss(labels, score))
    assert rows_of("accuracy", found).mean() == pytest.approx(metrics.accuracy_score(labels, guess))


def test_small_groups_are_listed_and_few_rows_say_how_many_are_needed() -> None:
    one, other = pair(("A", 400, 20, 2), ("B", 12, 0, 6))
    rule = plan.WorseForNobody(metric="accuracy", group="group", margin=0.05)
    found = judge(rule, Evidence(candidate=one, champion=other))
    assert (found.verdict, found.too_small, [each.name for each in found.slices]) == (
        "pass",
        ["B (12)"],
        ["A"],
    )
    found = judge(
        plan.WorseForNobody(metric="accuracy", group="grup", margin=0.05),
        Evidence(candidate=one, champion=other),
    )
    assert (found.verdict, found.detail) == ("cannot_be_checked", "Did you mean group?")
    few = answers(np.ones(40, bool))
    found = judge(plan.Better(metric="mae"), Evidence(candidate=few, champion=few))
    assert (found.verdict, found.clause, found.more) == (
        "not_enough_data",
        "MAE needs 100 rows with labels",
        60,
    )
    same = judge(plan.Better(metric="accuracy"), Evidence(candidate=few, champion=few))
    assert same.verdict != "pass" and "is the same" in same.clause


def test_a_headline_names_the_causes_in_order() -> None:
    from genops_lab.gates.models import RuleVerdict

    rules = [
        RuleVerdict(name=str(at), rule="x", verdict=each, clause=f"cause {at}")  # type: ignore[arg-type]
        for at, each in enumerate(
            ["cannot_be_checked", "pass", "fail", "not_enough_data", "fail", "fail", "fail"]
        )
    ]
    assert messages.headline("fail", rules, "1") == "Fail: cause 2; cause 3; cause 4; cause 5; 2 more."


def test_a_look_goes_on_when_the_other_version_gets_predictions_and_fits_into_a_tag() -> None:
    one, other = pair(("A", 40, 4, 2))
    alone = looks.look_at("p", "holdout", "1", looks.fingerprint(one), looks.fingerprint(None), 1)
    number, _, kept = looks.count([], alone)
    both = looks.look_at("p", "holdout", "1", looks.fingerprint(one), looks.fingerprint(other), 2)
    assert (number, looks.count(kept, both)[0]) == (1, 1)
    kept = looks.count(kept, both)[2]
    assert kept == [both]
    third = looks.look_at("p", "holdout", "1", looks.fingerprint(other), looks.fingerprint(other), 3)
    assert looks.count(kept, third)[:2] == (2, both)
    # The latency is no part of it; a score is.
    assert looks.fingerprint(replace(one, latency_s=np.ones(40))) == looks.fingerprint(one)
    assert looks.fingerprint(replace(one, scores={"1": np.ones(40)})) != looks.fingerprint(one)
    many = [looks.look_at(str(at), "数" * 60, "1", "m" * 12, "t" * 12, at) for at in range(200)]
    assert len(looks.tag_of(many).encode()) <= 5_000
    assert looks.kept_looks(looks.tag_of(many))[-1] == many[-1] and looks.kept_looks("no JSON") == []


def ranked(n: int = 400, gain: float = 1.5, seed: int = 1, **more: object) -> Predictions:
    """Scores of a class 1, and answers that follow them."""
    labels = (np.arange(n) % 4 == 0).astype(np.float64)
    scores = gain * labels + np.random.default_rng(seed).normal(size=n)
    return Predictions(
        ids=texts(range(n)),
        labels=labels,
        predictions=(scores > 1).astype(float),
        scores={"1": scores},
        **more,
    )  # type: ignore[arg-type]


def test_the_area_under_the_curve_is_a_metric() -> None:
    from sklearn.metrics import roc_auc_score

    good, bad = ranked(gain=2), ranked(gain=1, seed=2)
    both = Evidence(candidate=good, champion=bad)
    found = judge(plan.Better(metric="auc"), both)
    gain = roc_auc_score(good.labels, good.scores["1"]) - roc_auc_score(bad.labels, bad.scores["1"])
    assert (found.verdict, found.method) == ("pass", "Superiority by a margin of 0: DeLong's test")
    assert found.estimate == pytest.approx(gain)
    assert found.clause == f"AUC is {gain:.3g} higher"
    bound = judge(plan.Bound(metric="auc", at_least=0.85), both)
    assert bound.verdict == "pass" and bound.clause.endswith("over 0.85")
    missed = judge(plan.Bound(metric="auc", at_least=0.85), Evidence(candidate=bad))
    assert missed.verdict == "fail" and "below 0.85" in missed.clause
    groups = {"g": texts(["a", "b"] * 200)}
    by_group = judge(
        plan.WorseForNobody(metric="auc", group="g", margin=0.05),
        Evidence(candidate=replace(good, groups=groups), champion=bad),
    )
    # Group b has no positive row.
    assert [each.verdict for each in by_group.slices] == ["pass", "not_enough_data"]
    assert by_group.slices[1].clause == "g b cannot be told from chance"

    def refused(found: Predictions, positive: object = 1) -> tuple[str, str]:
        told = judge(plan.Bound(metric="auc", at_least=0.5), Evidence(candidate=found, positive=positive))  # type: ignore[arg-type]
        return told.clause, told.detail

    assert (
        refused(replace(good, scores={}))[0]
        == "AUC needs scores of the class 1, and the predictions have none"
    )
    assert refused(good, "yes") == (
        "AUC needs scores of the class yes, and the predictions have those of 1",
        "Set the key 'positive' of the gate file.",
    )
    holed = good.scores["1"].copy()
    holed[:3] = np.nan
    assert (
        refused(replace(good, scores={"1": holed}))[0]
        == "AUC cannot be computed: 3 ids (0, 1, 2) have no score"
    )
    assert refused(replace(good, labels=np.zeros(400)))[0] == "no row has the positive label 1"
    assert refused(replace(good, labels=np.ones(400)))[0] == "every row has the positive label 1"


def test_rows_of_one_user_are_counted_as_dependent() -> None:
    """Ten users who have all their rows right or wrong: 1,000 rows tell less than they seem to."""
    users = np.arange(1_000) // 25
    one = answers((users % 10 != 0), groups={"user": texts(users), "region": texts(users % 2)})
    other = answers((users % 5 != 0), groups=one.groups)
    both = Evidence(candidate=one, champion=other)
    rows = judge(plan.Better(metric="accuracy"), both)
    assert (rows.verdict, rows.n, rows.clusters, rows.cluster) == ("pass", 1_000, 0, "")
    found = judge(plan.Better(metric="accuracy", cluster="user"), both)
    assert (found.verdict, found.n, found.clusters, found.cluster) == ("not_enough_data", 1_000, 40, "user")
    assert found.clause.startswith("accuracy is 10 points higher, within chance; ")
    assert found.clause.endswith(f"{found.more} more clusters of user would show it")
    assert found.detail.endswith(" Rows of one user count as dependent: 1,000 rows in 40 clusters.")
    assert found.estimate == rows.estimate and (found.low or 0) < (rows.low or 0)
    bound = judge(plan.Bound(metric="accuracy", at_least=0.8, cluster="user"), both)
    assert bound.verdict == "not_enough_data" and "clusters of user would show it" in bound.clause
    parts = judge(plan.WorseForNobody(metric="accuracy", group="region", margin=0.05, cluster="user"), both)
    assert [each.n for each in parts.slices] == [500, 500] and parts.clusters == 40
    few = judge(plan.Better(metric="f1", cluster="region"), both)
    assert (few.verdict, few.clause, few.more) == ("not_enough_data", "F1 needs 40 clusters of region", 38)
    any_of = judge(plan.BetterInAny(metrics=["f1"], cluster="region"), both)
    assert any_of.clause == few.clause
    for metric in ("mae", "rmse", "f1"):
        assert judge(plan.NotWorse(metric=metric, margin=0.5, cluster="user"), both).verdict == "pass"


def test_a_cluster_that_the_predictions_lack_is_told() -> None:
    one, other = pair(("A", 400, 20, 2))
    both = Evidence(candidate=one, champion=other)
    found = judge(plan.Better(metric="accuracy", cluster="user"), both)
    assert (found.verdict, found.clause, found.detail) == (
        "cannot_be_checked",
        "the predictions have no group 'user', the cluster of the rule",
        "Their groups: group.",
    )
    assert judge(plan.Better(metric="accuracy", cluster="grup"), both).detail == "Did you mean group?"
    labels = one.groups["group"].copy()
    labels[:2] = None
    holed = Evidence(candidate=replace(one, groups={"group": labels}), champion=other)
    assert (
        judge(plan.Better(metric="accuracy", cluster="group"), holed).clause
        == "2 ids (0, 1) have no group, the cluster of the rule"
    )
