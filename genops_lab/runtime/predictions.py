"""Keep predictions that the user computed as an evaluation of a model version."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
from typing import Any, Dict, List, Optional

from . import kept_predictions, lab
from .datasets import fingerprint
from .errors import GenOpsError
from .paths import is_remote
from .results import GenOpsResult

TIMEOUT_S = 600.0


def keep(
    model: str,
    version: str,
    data: Any,
    ids: Any,
    labels: Any,
    predictions: Any,
    scores: Any,
    groups: Any,
    latency_s: Any,
    against: Optional[str],
    task: str,
) -> GenOpsResult:
    """Send the predictions to the Lab and return its report. Raises GenOpsError.

    On another host they are written to its disk first. If the Lab is away, they are sent once it is back.
    """
    answers = _listed(predictions, "predictions")
    taken = float(latency_s) if isinstance(latency_s, (int, float)) else None
    content = {
        "ids": _listed(range(len(answers)) if ids is None else ids, "ids"),
        "labels": None if labels is None else _listed(labels, "labels"),
        "predictions": answers,
        "scores": _columns(scores, "scores"),
        "groups": _columns(groups, "groups"),
        "latency_s": [taken] * len(answers) if taken is not None else None,
    }
    if latency_s is not None and taken is None:
        content["latency_s"] = _listed(latency_s, "latency_s")
    asked = {"model": model, "version": str(version), "against": against, "task": task, **_named(data)}
    if is_remote():
        return _kept_here(asked, content)
    # A file, because a request to the Lab has at most 16 MB; mkstemp makes it readable for this user alone.
    descriptor, path = tempfile.mkstemp(prefix="genops-predictions-", suffix=".json")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        report = lab.call("POST", "/v1/evaluations/predictions", {**asked, "path": path}, timeout_s=TIMEOUT_S)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return GenOpsResult(report, text=_said(report))


def _kept_here(asked: Dict[str, Any], content: Dict[str, Any]) -> GenOpsResult:
    key = uuid.uuid4().hex
    try:
        path = kept_predictions.write(key, {**asked, "key": key}, content)
    except OSError as error:
        raise GenOpsError(
            f"The predictions cannot be written on this host: {error.strerror or error}.",
            "Free some disk space.",
        ) from error
    try:
        report = kept_predictions.send(path)
    except GenOpsError as error:
        if not kept_predictions.may_take_later(error):
            kept_predictions.remove(path)
            raise
        kept_predictions.send_later(path)
        text = f"{error.message} The predictions are kept on this host, and are sent once the Lab takes them."
        return GenOpsResult({"sent": False, "key": key}, text=text)
    return GenOpsResult(report, text=_said(report))


def _named(data: Any) -> Dict[str, str]:
    """Return how the Lab finds the data: a file, a name that MLflow knows, or the fingerprint of an object.

    The Lab cannot open a file of another host, so it gets the fingerprint.
    """
    if isinstance(data, (str, os.PathLike)):
        text = os.fsdecode(os.fspath(data))
        if not os.path.isfile(text):
            return {"data": text}
        if not is_remote():
            return {"data": os.path.abspath(text)}
    made = fingerprint(data)
    event = made.event("evaluation")
    return {
        "data": made.name,
        "digest": made.digest,
        "source": event["source"],
        "source_type": event["source_type"],
    }


def _listed(values: Any, name: str) -> List[Any]:
    """Return values of a list, an array, a tensor or a column as a list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(found, list) or any(isinstance(each, (list, dict)) for each in found[:1]):
        raise GenOpsError(f"{name} must have one value a row.", "Give a list or an array of one dimension.")
    return [None if type(each).__name__ in ("NAType", "NaTType") else _plain(each) for each in found]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _columns(values: Any, name: str) -> Dict[str, List[Any]]:
    """Return a dict of columns: from a dict, a data frame, or the columns 0, 1, ... of an array."""
    if values is None:
        return {}
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if hasattr(values, "keys"):
        return {str(_plain(key)): _listed(values[key], f"{name}[{key!r}]") for key in values}
    rows = values.tolist() if hasattr(values, "tolist") else list(values)
    if not rows or not isinstance(rows[0], (list, tuple)):
        raise GenOpsError(
            f"{name} must be columns: a dict of lists, a data frame, or an array of shape (rows, classes).",
            f"Give, such as, {name}={{'cat': [0.9, 0.2], 'dog': [0.1, 0.8]}}.",
        )
    return {str(at): [row[at] for row in rows] for at in range(len(rows[0]))}


def _said(report: Dict[str, Any]) -> str:
    evaluation = report["evaluation"]
    title = (
        f"{evaluation['model']} version {evaluation['version']} on "
        f"{evaluation['data']}@{evaluation['digest'][:8]}, {report['rows']:,} rows"
    )
    lines = [title]
    for each in report["metrics"]:
        found, difference = each["candidate"], each["difference"]
        line = f"  {each['metric']}: {_interval(found)}"
        if difference is not None and report["against"] is not None:
            rival = report["against"]["version"]
            line += f"; against version {rival}: {_interval(difference)}, {difference['verdict']}"
        lines.append(line)
    return "\n".join([*lines, *report["notes"]])


def _interval(found: Dict[str, Any]) -> str:
    if found["value"] is None:
        return "unknown"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:.4g}"
    return f"{found['value']:.4g} ({found['low']:.4g} to {found['high']:.4g})"
