"""Gates over a real MLflow: evidence by its tags, looks, the file's hash, promotion."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.evaluations.tags import version_tag
from genops_lab.gates import service as service_module
from genops_lab.gates.messages import markdown
from genops_lab.gates.models import CheckGates, GateReport, PromoteVersion, Promotion
from genops_lab.gates.plan_file import GateFileError, blob_hash
from genops_lab.gates.service import GatesService
from genops_lab.registry.models import MovesQuery
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .made import DEMO_RULES, DEMO_SENTENCE, Made, answers, demo, pair, texts

BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        found.run(found.mlflow.ensure())
        yield found


@pytest.fixture(scope="module")
def made(rooms: Rooms) -> Made:
    return Made(rooms.mlflow.uri, (rooms.settings.data_dir / "mlflow" / "artifacts" / "gates").as_uri())


@pytest.fixture(scope="module")
def gates(rooms: Rooms) -> GatesService:
    return GatesService(rooms.mlflow, rooms.registry, rooms.events)


class Asking:
    """Checks and promotes version 2 of a model."""

    def __init__(self, rooms: Rooms, gates: GatesService) -> None:
        self.rooms, self.gates = rooms, gates

    def check(self, name: str, text: str, version: str = "2", **more: str) -> GateReport:
        return self.rooms.run(self.gates.check_gates(name, version, CheckGates(text=text, **more)))

    def promote(self, name: str, text: str, version: str = "2", **more: str) -> Promotion:
        return self.rooms.run(self.gates.promote_version(name, version, PromoteVersion(text=text, **more)))


@pytest.fixture(scope="module")
def asking(rooms: Rooms, gates: GatesService) -> Asking:
    return Asking(rooms, gates)


def better(by: int = 60) -> tuple:
    """A pair with a clearly better candidate."""
    return pair(("A", 1000, by, 5))


def test_the_demo_is_red_with_its_whole_sentence(rooms: Rooms, made: Made, asking: Asking) -> None:
    name = made.compared("demo", *demo())
    report = asking.check(name, DEMO_RULES)
    assert (report.verdict, report.headline, report.against) == ("fail", DEMO_SENTENCE, "1")
    assert DEMO_SENTENCE in markdown(report)
    kept = json.loads(made.tags(name, "2")["genops.gates"])
    assert (kept["verdict"], kept["hash"], kept["against"]) == ("fail", blob_hash(DEMO_RULES.encode()), "1")
    assert kept["run"] == report.run == report.data[0].run
    assert rooms.run(asking.gates.get_gates(name, "2")) == report
    done = asking.promote(name, DEMO_RULES)
    assert not done.moved and done.report is not None and done.report.headline == DEMO_SENTENCE
    assert made.champion(name) == "1"


def test_a_version_that_passes_is_promoted_with_its_evidence(
    rooms: Rooms, made: Made, asking: Asking
) -> None:
    name = made.compared("promoted", *better())
    done = asking.promote(name, BETTER, reason="5 points")
    assert (
        done.moved
        and done.report is not None
        and done.report.headline == "Pass: the rule holds against version 1."
    )
    assert made.champion(name) == "2"
    [move, *_] = rooms.run(rooms.registry.list_moves(name, MovesQuery())).items
    assert (move.from_version, move.to_version, move.reason) == ("1", "2", "5 points")
    assert (
        move.evidence["gates"]["hash"] == done.report.hash
        and move.evidence["gates"]["run"] == done.report.run
    )
    # A call that was cut off after the move is made again.
    assert asking.promote(name, BETTER).already


def test_a_promotion_that_was_killed_before_the_move_can_be_made_again(
    made: Made, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = made.compared("killed", *better())

    class Killed(BaseException):
        pass

    def kill(*_given: object, **_more: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(service_module, "SetAlias", kill)
        with pytest.raises(Killed):
            asking.promote(name, BETTER)
    assert made.champion(name) == "1"
    assert json.loads(made.tags(name, "2")["genops.gates"])["verdict"] == "pass"
    assert asking.promote(name, BETTER).moved and made.champion(name) == "2"


def test_of_two_promotions_at_once_one_wins(rooms: Rooms, made: Made, asking: Asking) -> None:
    one, other = better()
    name = made.compared("two", one, other)
    made.version(name)
    made.evaluate(name, "3", one)
    works = [
        asking.gates.promote_version(name, version, PromoteVersion(text=BETTER)) for version in ("2", "3")
    ]

    async def both() -> list[object]:
        import asyncio

        return await asyncio.gather(*works, return_exceptions=True)

    found = rooms.run(both())
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "Promotion"]
    [error] = [each for each in found if isinstance(each, Conflict)]
    assert error.code == "alias_moved"
    [winner] = [each for each in found if isinstance(each, Promotion)]
    assert winner.report is not None and made.champion(name) == winner.report.version


def test_a_version_that_was_deleted_meanwhile_is_not_promoted(
    made: Made, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = made.compared("deleted", *better())
    judged = asking.gates.check_gates

    async def check(*given: object) -> GateReport:
        report = await judged(*given)  # type: ignore[arg-type]
        made.client.delete_model_version(name, "2")
        return report

    monkeypatch.setattr(asking.gates, "check_gates", check)
    with pytest.raises(NotFound, match="has no version 2"):
        asking.promote(name, BETTER)
    assert made.champion(name) == "1"


def test_the_same_evaluation_is_one_look_and_another_one_is_refused(made: Made, asking: Asking) -> None:
    one, other = pair(("A", 1000, 12, 10))
    name = made.compared("looks", one, other)
    first = asking.check(name, BETTER)
    assert first.verdict == "not_enough_data" and asking.check(name, BETTER).data[0].look == 1
    # Evaluated again, with the same answers in another order: no second chance.
    made.evaluate(name, "2", one.take(np.arange(len(one))[::-1]))
    assert asking.check(name, BETTER).data[0].look == 1
    made.evaluate(name, "2", pair(("A", 1000, 80, 5))[0], digest="d2")
    made.evaluate(name, "1", pair(("A", 1000, 80, 5))[1], digest="d2")
    second = asking.check(name, BETTER)
    assert (second.verdict, second.data[0].look) == ("cannot_be_checked", 2)
    assert "holdout judged this pair before" in second.headline and "the file plans 1 look" in second.headline
    # Other words are another plan: it has its own looks.
    planned = BETTER + "looks: 2\n"
    third = asking.check(name, planned)
    assert (third.verdict, third.data[0].look, third.rules[0].alpha) == (
        "pass",
        1,
        pytest.approx(0.00557, abs=1e-5),
    )


@pytest.mark.parametrize(
    ("found", "verdict", "says"),
    [
        ("same", "pass", "is the same as when the run began"),
        ("other", "fail", "gates.yaml changed after the run began"),
        ("", "pass", "is unknown: the run recorded neither the hash nor a commit"),
    ],
)
def test_the_gate_file_is_compared_with_that_of_the_runs_start(
    made: Made, asking: Asking, found: str, verdict: str, says: str
) -> None:
    recorded = (
        {"genops__gates__hash": blob_hash(BETTER.encode()) if found == "same" else "0" * 40} if found else {}
    )
    name = made.compared(f"fixed{found}", *better(), **recorded)
    report = asking.check(name, BETTER)
    assert report.verdict == verdict
    assert says in " ".join([*report.notes, report.headline])
    if not found:
        required = asking.check(name, BETTER + "fixed_before: required\n")
        assert required.verdict == "cannot_be_checked" and "is unknown" in required.headline


def test_without_a_recorded_hash_the_commit_of_the_run_is_asked(
    made: Made, asking: Asking, tmp_path: Path
) -> None:
    def git(*arguments: str, folder: Path = tmp_path / "repo") -> str:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    folder = tmp_path / "repo"
    folder.mkdir()
    git("init", "--quiet")
    (folder / "readme").write_text("first")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    first = git("rev-parse", "HEAD")
    (folder / "gates.yaml").write_text(BETTER)
    git("add", ".")
    git("commit", "--quiet", "-m", "gates")
    second = git("rev-parse", "HEAD")
    git("clone", "--quiet", "--depth=1", folder.as_uri(), str(tmp_path / "shallow"), folder=tmp_path)
    sent = {
        (second, folder): "is the same as when the run began",
        (first, folder): f"the run's commit {first[:8]} has no gates.yaml",
        (first, tmp_path / "shallow"): "this clone is shallow and lacks the run's commit",
        ("ab" * 20, folder): "this clone lacks the run's commit abababab",
    }
    for at, ((commit, where), says) in enumerate(sent.items()):
        name = made.compared(f"commit{at}", *better(), mlflow__source__git__commit=commit)
        report = asking.check(name, BETTER, folder=str(where))
        assert says in " ".join(report.notes)
        assert report.hash == git("rev-parse", f"{second}:gates.yaml")
    (folder / "gates.yaml").write_text(BETTER.replace("}", ", margin: 0.001}"))
    name = made.compared("changed", *better(), mlflow__source__git__commit=second)
    assert asking.check(name, (folder / "gates.yaml").read_text(), folder=str(folder)).verdict == "fail"


def test_data_that_chose_the_version_does_not_judge_it_alone(made: Made, asking: Asking) -> None:
    one, other = better()
    name = made.compared("chosen", one, other)
    origin = {"kind": "best", "chosen_by": {"metric": "accuracy", "runs": 12, "data": "holdout@d1"}}
    made.client.set_model_version_tag(name, "2", "genops.source", json.dumps(origin))
    report = asking.check(name, BETTER)
    assert report.verdict == "cannot_be_checked"
    assert report.headline == (
        "Cannot be checked: holdout also chose this version (the best accuracy of 12 runs), and cannot judge it alone."
    )
    for version, found in (("1", other), ("2", one)):
        made.evaluate(name, version, found, data="fresh")
    both = BETTER + "  - {rule: better, metric: accuracy, data: fresh}\n"
    assert asking.check(name, both).verdict == "pass"
    assert "holdout also chose this version" in " ".join(asking.check(name, both).notes)


def test_what_is_missing_is_named(made: Made, asking: Asking) -> None:
    one, other = better()

    def says(name: str, text: str = BETTER) -> str:
        report = asking.check(name, text)
        assert report.verdict == "cannot_be_checked"
        return " ".join([report.headline, *(rule.detail for rule in report.rules)])

    made.model("first")
    made.version("first")
    made.version("first")
    found = says("first")
    assert "version 2 has no evaluation on holdout" in found
    assert "genops models evaluate first --version 2 --data holdout" in found
    made.evaluate("first", "2", one)
    assert "the model has no 'champion' to compare with" in says("first")
    made.client.set_registered_model_alias("first", "champion", "2")
    assert "version 2 would be compared with itself (champion)" in says("first")
    made.client.set_registered_model_alias("first", "champion", "1")
    made.evaluate("first", "1", other, digest="d9")
    assert (
        "version 1 has no evaluation on holdout@d1; it has one on holdout@d9, which has other content"
        in says("first")
    )
    assert "the metric acuracy is neither known nor recorded" in says(
        "first", BETTER.replace("better, metric: accuracy", "bound, metric: acuracy, at_least: 0.9")
    )
    assert "version 2 has no evaluation on holdout@d7; it has one on holdout@d1" in says(
        "first", BETTER.replace("holdout", "holdout@d7")
    )

    name = made.compared("rows", one.take(np.arange(900)), other)
    assert "version 2 has no predictions for 100 ids (900, 901" in says(name)
    name = made.compared("order", one.take(np.arange(len(one))[::-1]), other)
    assert asking.check(name, BETTER).verdict == "pass"
    name = made.compared("digest", one, other)
    made.evaluate(name, "2", one, about="d8")
    assert "are from other data (d8, not d1)" in says(name)
    name = made.compared("gone", one, other)
    run = made.evaluate(name, "1", other)
    made.client.set_model_version_tag(name, "1", version_tag("holdout", "d1"), "0" * 32)
    assert run and "was deleted" in says(name)


def test_recorded_metrics_are_compared_once(made: Made, asking: Asking) -> None:
    one, other = better()
    name = made.compared("recorded", one, other)
    bound = BETTER.replace("better, metric: accuracy", "bound, metric: recall, at_least: 0.9")
    for values, verdict, says in (
        ([0.95], "pass", "recall is 0.95, 0.05 over 0.9"),
        ([0.85], "fail", "recall is 0.85, 0.05 below 0.9"),
        ([0.95, 0.85], "cannot_be_checked", "recall was recorded 2 times, from 0.85 to 0.95"),
        ([float("nan")], "cannot_be_checked", "the recorded recall is nan"),
    ):
        made.evaluate(name, "2", one, metrics={"recall": values})
        # Each is a plan of its own: the next one is no second look.
        report = asking.check(name, f"{bound}# {values}\n")
        assert report.verdict == verdict, report.headline
        assert report.rules[0].clause == says


def test_latencies_compare_within_one_session(made: Made, asking: Asking) -> None:
    times = np.random.default_rng(0).gamma(5, 0.002, 1000)
    one, other = (
        replace(each, latency_s=times * share) for each, share in zip(better(), (1.05, 1.0), strict=True)
    )
    text = BETTER.replace("better, metric: accuracy", "latency, at_most_ratio: 1.2")
    name = made.compared("fast", one, other)
    assert asking.check(name, text).verdict == "pass"
    name = made.compared("apart", one, other)
    made.evaluate(name, "2", one, session="s2")
    report = asking.check(name, text)
    assert (
        report.headline
        == "Cannot be checked: the latencies of both versions were not measured in one session."
    )


def test_names_are_long_and_foreign(made: Made, asking: Asking) -> None:
    name = made.compared("数𝛼é-" * 62 + "a", *better())
    report = asking.check(name, BETTER.replace("holdout", "données|<b>"))
    assert report.verdict == "cannot_be_checked" and "<b>" not in markdown(report)
    assert asking.check(name, BETTER).verdict == "pass"


def test_a_wrong_file_is_refused_before_mlflow_is_asked(asking: Asking) -> None:
    with pytest.raises(GateFileError, match="line 4, column 20: the key 'metrc' is unknown") as caught:
        asking.check("nothing", BETTER.replace("metric", "metrc"))
    assert caught.value.hint == "Did you mean metric?" and caught.value.details == {"line": 4, "column": 20}


def test_a_file_of_another_model_is_refused(made: Made, asking: Asking) -> None:
    name = made.compared("another", *better())
    with pytest.raises(InvalidRequest, match="is written for the model 'digits', not for 'another'"):
        asking.check(name, BETTER + "model: digits\n")


def test_predictions_that_are_gone_or_damaged_are_told(made: Made, asking: Asking) -> None:
    name = made.compared("artifacts", *better())
    run = made.client.get_run(made.evaluate(name, "2", better()[0]))
    file = Path(run.info.artifact_uri.removeprefix("file://")) / "predictions.parquet"
    file.write_bytes(b"PAR1")
    assert "cannot read the predictions predictions.parquet" in asking.check(name, BETTER).headline
    file.unlink()
    assert "has no artifact 'predictions.parquet'" in asking.check(name, BETTER).headline


def test_a_version_without_a_verdict_is_told(rooms: Rooms, made: Made, asking: Asking) -> None:
    made.model("unjudged")
    made.version("unjudged")
    with pytest.raises(NotFound, match="No gate has judged version 1") as caught:
        rooms.run(asking.gates.get_gates("unjudged", "latest"))
    assert "genops gates check unjudged --version 1" in caught.value.hint


def test_groups_that_are_unknown_are_a_group(made: Made, asking: Asking) -> None:
    right = np.ones(200, bool)
    groups = texts(["A"] * 200)
    groups[:50] = None
    found = answers(right, groups={"group": groups})
    name = made.compared("unknown", found, found)
    text = BETTER.replace(
        "better, metric: accuracy", "worse-for-nobody, metric: accuracy, group: group, margin: 0.2"
    )
    report = asking.check(name, text)
    assert [each.name for each in report.rules[0].slices] == ["A", "unknown"] and report.verdict == "pass"
