"""Runs side by side, on a real MLflow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.comparison.models import ComparisonQuery, LineChange, RunComparison
from genops_lab.experiments.comparison.texts import Room as TextRoom
from genops_lab.experiments.comparison.texts import by_file, cell_changes, line_changes
from genops_lab.experiments.restoring.run_source import KeptCell

from .conftest import Room

A = [0.91, 0.88, 0.93, 0.90]
B = [0.95, 0.97, 0.94]


def cell(source: str, cell_id: str = "", count: int | None = None) -> KeptCell:
    return KeptCell(source=source, cell_id=cell_id, execution_count=count)


def test_cells_are_matched_by_text_then_id_then_likeness() -> None:
    before = [cell("import a", "1", 1), cell("x = 1\ny = 2\nz = 3", "2", 2), cell("gone()", "3", 3)]
    after = [
        cell("new", "9", 1),
        cell("import a", "1", 2),
        cell("completely\nother", "2", 3),
        cell("last = 1\nmore = 2", "8", 4),
    ]
    found = cell_changes(before, after, TextRoom())
    kinds = [(change.kind, change.before, change.after) for change in found]
    assert kinds == [
        ("added", None, "new"),
        ("equal", None, None),
        ("changed", "x = 1\ny = 2\nz = 3", "completely\nother"),
        ("removed", "gone()", None),
        ("added", None, "last = 1\nmore = 2"),
    ]
    assert found[2].title == "[2] → [3]"
    (alike,) = cell_changes([cell("lr = 0.1\ntrain(lr)")], [cell("lr = 0.2\ntrain(lr)")], TextRoom())
    assert alike.changes == [LineChange(0, 1, 0, 1)]


def test_line_changes_rebuild_the_other_text() -> None:
    before = "a\nb\n\nc\r\nd\n"
    after = "a\nB\n\nd\ne\n"
    old, new, rebuilt, reached = before.split("\n"), after.split("\n"), [], 0
    for change in line_changes(before, after):
        rebuilt += old[reached : change.before_start] + new[change.after_start : change.after_end]
        reached = change.before_end
    assert rebuilt + old[reached:] == new


def test_what_does_not_fit_is_said() -> None:
    room = TextRoom(20)
    assert room.change("a", "x" * 9, "y" * 9).before == "x" * 9
    assert room.change("b", "x", "yyy").left_out
    assert room.change("c", "same" * 99, "same" * 99).kind == "equal"


def test_a_patch_is_taken_apart_by_file() -> None:
    patch = (
        "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n"
        "diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "diff --git a/mode b/mode\nold mode 100644\nnew mode 100755\n"
    )
    assert list(by_file(patch)) == ["a.py", "gone", "mode"]
    assert "".join(by_file(patch).values()) == patch


class Desk:
    """Runs with what a test wants of them."""

    def __init__(self, room: Room) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(room.mlflow.uri)

    def run(self, name: str, *, metrics: dict[str, float] | None = None, **params: Any) -> str:
        run = self.client.create_run("0", run_name=name)
        for key, value in params.items():
            self.client.log_param(run.info.run_id, key, value)
        for key, number in (metrics or {}).items():
            self.client.log_metric(run.info.run_id, key, number)
        self.client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def text(self, run_id: str, path: str, text: str) -> None:
        self.client.log_text(run_id, text, path)

    def keep(self, run_id: str, cells: list[str], installed: str, patch: str = "") -> None:
        kept = [{"source": source, "cell_id": str(i)} for i, source in enumerate(cells)]
        self.text(run_id, "source/cells.json", json.dumps(kept))
        self.text(run_id, "source/installed.txt", installed)
        record = {"environment": {"python": "3.11.2"}, "host": "box", "gpus": [{"name": "H100"}] * 2}
        self.text(run_id, "source/record.json", json.dumps(record))
        if patch:
            self.text(run_id, "source/uncommitted.patch", patch)


@pytest.fixture
def desk(room: Room) -> Desk:
    return Desk(room)


async def compared(room: Room, run_ids: list[str], **more: Any) -> RunComparison:
    return await room.experiments.compare_runs(ComparisonQuery(run_ids=run_ids, **more))


async def test_repeats_by_seed_share_a_column(room: Room, desk: Desk) -> None:
    from scipy import stats

    a = [desk.run("a", metrics={"acc": v}, lr=0.1, seed=i) for i, v in enumerate(A)]
    b = [desk.run("b", metrics={"acc": v}, lr=0.2, seed=i) for i, v in enumerate(B)]
    found = await compared(room, [*a, *b], baseline=a[1])
    assert [column.run_ids for column in found.columns] == [a, b]
    assert (found.baseline, found.repeats) == (0, False)
    rows = {row.name: row for row in found.params}
    assert rows["lr"].differs and rows["lr"].columns == [["0.1"], ["0.2"]]
    (acc,) = found.metrics
    assert acc.columns[1].estimate.n == 3
    assert acc.columns[0].difference is None
    theirs = stats.ttest_ind(B, A, equal_var=False).confidence_interval(0.95)
    assert (acc.columns[1].low, acc.columns[1].high) == pytest.approx((theirs.low, theirs.high))
    assert acc.columns[1].verdict == "higher"
    apart = await compared(room, [*a, *b], repeats=[])
    assert len(apart.columns) == 7
    assert [run.repeat for run in apart.runs][:2] == ["seed=0", "seed=1"]
    assert {cell.verdict for cell in apart.metrics[0].columns} == {""}


async def test_what_may_be_chance_is_not_claimed(room: Room, desk: Desk) -> None:
    a = [desk.run("a", metrics={"acc": v}, lr=1, random_state=i) for i, v in enumerate([0.5, 0.7])]
    b = [desk.run("b", metrics={"acc": v}, lr=2, random_state=i) for i, v in enumerate([0.6, 0.8])]
    found = await compared(room, [*a, *b])
    assert found.metrics[0].columns[1].verdict == "unclear"


async def test_repeats_alone_stand_apart_with_their_mean(room: Room, desk: Desk) -> None:
    runs = [desk.run("a", metrics={"acc": v}, lr=0.1, seed=i) for i, v in enumerate(A)]
    found = await compared(room, runs)
    assert (len(found.columns), found.repeats) == (4, True)
    together = found.metrics[0].together
    assert together is not None and together.n == 4
    assert together.mean == pytest.approx(sum(A) / 4)


async def test_a_seed_that_comes_twice_is_no_repeat_but_a_tag_is(room: Room, desk: Desk) -> None:
    runs = [desk.run("a", metrics={"acc": v}, lr=0.1, seed=7) for v in A] + [desk.run("b", lr=0.2)]
    assert len((await compared(room, runs)).columns) == 5
    for run_id in runs[:4]:
        desk.client.set_tag(run_id, "genops.repeat", "one")
    assert len((await compared(room, runs)).columns) == 2
    named = [desk.run("c", fold=i, lr=0.1) for i in range(2)] + [desk.run("d", fold=0, lr=0.3)]
    assert len((await compared(room, named)).columns) == 3
    assert len((await compared(room, named, repeats=["fold"])).columns) == 2


async def test_what_is_not_finite_is_counted_apart(room: Room, desk: Desk) -> None:
    values = [0.5, math.nan, math.inf, -math.inf]
    a = [desk.run("a", metrics={"loss": v}, lr=1, seed=i) for i, v in enumerate(values)]
    b = [desk.run("b", metrics={"other": 1.0}, lr=2)]
    found = await compared(room, [*a, *b])
    loss = next(row for row in found.metrics if row.name == "loss")
    cell = loss.columns[0]
    assert cell.values == [0.5, "NaN", "Infinity", "-Infinity"]
    assert (cell.nan, cell.infinite, cell.missing, cell.estimate.n, cell.estimate.mean) == (1, 2, 0, 1, 0.5)
    assert loss.columns[1].missing == 1 and loss.columns[1].estimate.mean is None


async def test_code_packages_facts_and_patches(room: Room, desk: Desk) -> None:
    patch = "diff --git a/m.py b/m.py\n--- a/m.py\n+++ b/m.py\n@@ -1 +1 @@\n-w = 1\n+w = {}\n"
    a, b, none = desk.run("a"), desk.run("b"), desk.run("none")
    desk.keep(a, ["import x", "lr = 0.1"], "numpy==1.0\ntorch==2.0\n", patch.format(2))
    desk.keep(b, ["import x", "lr = 0.2", "more"], "numpy==1.1\njax==3\ntorch==2.0\n", patch.format(3))
    found = await compared(room, [a, b, none])
    changes = found.changes[1]
    assert [change.kind for change in changes.cells] == ["equal", "changed", "added"]
    (file,) = changes.patch
    assert file.title == "m.py" and file.changes == [LineChange(5, 6, 5, 6)]
    assert found.changes[2].why and not found.changes[2].cells
    assert {row.name: row.columns for row in found.packages} == {
        "jax": [[None], ["3"], [None]],
        "numpy": [["1.0"], ["1.1"], [None]],
    }
    facts = {row.name: row.columns for row in found.facts}
    assert facts["gpus"] == [["2 × H100"], ["2 × H100"], [None]]
    assert facts["python"][0] == ["3.11.2"]
    desk.text(b, "source/cells.json", "no JSON")
    assert "cannot be read" in (await compared(room, [a, b])).runs[1].problem


async def test_artifacts_are_compared_by_content(room: Room, desk: Desk, tmp_path: Path) -> None:
    a, b = desk.run("a"), desk.run("b")
    for run_id, text in ((a, "one"), (b, "two")):
        desk.text(run_id, "out/same.txt", "same")
        desk.text(run_id, "out/<script>.html", text)
    desk.text(a, "only.txt", "a")
    with (tmp_path / "big.bin").open("wb") as stream:
        stream.truncate(2_000_000_000)
    for run_id in (a, b):
        folder = Path(desk.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        (folder / "big.bin").hardlink_to(tmp_path / "big.bin")
    found = await compared(room, [a, b])
    by_path = {row.path: [entry.sameness for entry in row.columns] for row in found.artifacts}
    assert by_path == {
        "big.bin": ["same", "same_size"],
        "only.txt": ["same", "missing"],
        "out/<script>.html": ["same", "differs"],
        "out/same.txt": ["same", "same"],
    }
    sizes = {row.path: row.columns[0].size_bytes for row in found.artifacts}
    assert sizes["big.bin"] == 2_000_000_000


async def test_what_cannot_be_compared_is_refused(room: Room, desk: Desk) -> None:
    a, b, c = (desk.run(name) for name in "abc")
    for run_ids, baseline in (([a], ""), ([a, a], ""), ([a, b], c), ([a] * 41, "")):
        with pytest.raises(InvalidRequest):
            await compared(room, run_ids, baseline=baseline)
    with pytest.raises(NotFound):
        await compared(room, [a, "0" * 32])
    assert (await compared(room, ["latest", a[:12]])).runs[1].run_id == a
