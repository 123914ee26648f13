"""People's labels of an evaluation's answers as they are kept beside it, with the verdict on a judge.

MLflow has the labels themselves. ``labels/QUESTION.json`` is what reports and gates read without MLflow.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.scorers.judge_checks import Calibration

from .results_folder import KeptLabel, ResultsFolder, file_name


class KeptLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of one question, and the verdicts on judges by their scorer's name.

    ``pairs``: a label is of an answer beside the first model's: 1 better, 0.5 equal, 0 worse.
    """

    question: str
    labels: list[KeptLabel]
    calibrations: dict[str, Calibration] = {}
    pairs: bool = False


def keep_labels(folder: ResultsFolder, kept: KeptLabels) -> None:
    """Keep the labels of a question beside the evaluation, if they changed. Raises OSError."""
    path = folder.path / "labels" / f"{file_name(kept.question)}.json"
    if not kept.labels and not path.is_file():  # a new queue changes no report
        return
    private_dir(path.parent)
    content = msgspec.json.encode(kept)
    if not path.is_file() or path.read_bytes() != content:
        write_private(path, content.decode())


def report_is_older(folder: ResultsFolder) -> bool:
    """Return whether labels were kept after the evaluation's report was made. Blocks."""
    report, path = folder.path / "report.json", folder.path / "labels"
    if not report.is_file() or not path.is_dir():
        return False
    made = report.stat().st_mtime_ns
    return any(each.stat().st_mtime_ns > made for each in path.glob("*.json"))


def kept_labels(folder: ResultsFolder) -> list[KeptLabels]:
    """Return the labels of all questions. Blocks."""
    path = folder.path / "labels"
    files = sorted(path.glob("*.json")) if path.is_dir() else []
    return [_read(each) for each in files]


def known_calibrations(folder: ResultsFolder) -> dict[str, Calibration]:
    """Return the verdicts on judges by their identity, as `judge_checks.problem` takes them. Blocks."""
    return {found.judge: found for each in kept_labels(folder) for found in each.calibrations.values()}


def _read(path: Path) -> KeptLabels:
    return msgspec.json.decode(path.read_bytes(), type=KeptLabels)
