"""What an evaluation keeps in MLflow on bad days: a full disk, secrets in rows and answers."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.genai.evaluations.records import AnswerRecords
from genops_lab.genai.evaluations.results_folder import find_folder
from tests.redaction.corpus import secrets, technical
from tests.support.mlflow_file import place_server_store
from tests.support.quota import fill, small_disk

from .answering import Answering, Evaluating, questions


def right(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
    return 200, text.split()[-1], 0.0


@pytest.mark.parametrize("full", ["mlflow", "answers"])
def test_a_disk_that_is_full_when_results_are_written_loses_nothing(
    tmp_path: Path, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow keeps artifacts below it
    with Answering(right).serving() as url, small_disk(tmp_path / full, "8m") as disk:
        (tmp_path / "mlflow").mkdir(exist_ok=True)
        place_server_store(tmp_path / "mlflow" / "mlflow.db")
        evaluating = Evaluating(tmp_path, url, questions(300))
        evaluating.ask()
        evaluating.process.score(evaluating.id, [])
        folder = find_folder(tmp_path / "answers", evaluating.id)
        records = AnswerRecords(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
        fill(disk)
        with pytest.raises(GenOpsError) as failed:
            records.record(str(folder.path))
        told = failed.value
        assert any(each in told.message for each in ("is full", "No space left on device"))
        assert "disk space" in told.hint and told.hint.endswith(
            f"Then: genops evaluate resume {evaluating.id}"
        )
        assert folder.state().stage == "recording"
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True, timeout=60)
        assert records.record(str(folder.path)).stage == "done"
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as store:
            assert store.execute("SELECT count(*) FROM trace_info").fetchone() == (300,)
            assert store.execute("SELECT count(*) FROM assessments WHERE name = 'exact'").fetchone() == (300,)
            assert store.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (1,)


def test_no_secret_of_a_row_or_an_answer_is_in_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    marked, plain = secrets(), technical()
    rows = [{"q": each.text, "expected": each.text} for each in [*marked, *plain]]

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        failed = json.dumps({"error": {"message": f"Cannot answer {text}"}}).encode()
        return (400, failed, 0.0) if number % 5 == 0 else (200, f"You said: {text}", 0.0)

    place_server_store(tmp_path / "mlflow.db")
    with Answering(reply).serving() as url:
        evaluating = Evaluating(tmp_path, url, rows, tries=1, scorers=[{"scorer": "contains"}])
        evaluating.ask()
        evaluating.process.score(evaluating.id, [])
    folder = find_folder(tmp_path / "answers", evaluating.id)
    AnswerRecords(f"sqlite:///{tmp_path}/mlflow.db").record(str(folder.path), "secrets")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        kept = "\n".join(store.iterdump())
    artifacts = [each for each in (tmp_path / "mlruns").rglob("*") if each.is_file()]
    assert {each.name for each in artifacts} >= {"report.json", "state.json", "evaluation.yaml"}
    kept += "".join(each.read_text() for each in artifacts)
    assert "You said: " in kept and "Cannot answer " in kept
    for held_out, most in ((False, 0.0), (True, 0.05)):
        lines = [each for each in marked if each.is_held_out is held_out]
        left = [each.form for each in lines if has(kept, each.value)]
        assert len(lines) > 100 and len(left) <= most * len(lines), left
    changed = [each.form for each in plain if not has(kept, each.text)]
    assert len(changed) <= 0.05 * len(plain), changed


def has(kept: str, text: str) -> bool:
    """Return whether a text is kept, as it is or within JSON."""
    forms = {text}
    for _ in range(2):
        forms |= {json.dumps(each, ensure_ascii=ascii)[1:-1] for each in forms for ascii in (True, False)}
    # A dump of the database doubles apostrophes.
    return any(each in kept or each.replace("'", "''") in kept for each in forms)
