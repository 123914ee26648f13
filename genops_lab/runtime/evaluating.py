"""Evaluations of answers in a notebook or a script: ``%%evaluate``, ``genops.evaluate(file, rows=...)``.

The Lab asks, scores and records; this module sends what to evaluate, shows the progress, and returns the report.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from typing import Any, Dict, Iterator, Mapping, Tuple, Union

from .display import in_notebook
from .errors import GenOpsError
from .evaluation_cards import evaluation_card, evaluation_text, progress_card, progress_text
from .lab import call, segment
from .live import LiveView
from .results import GenOpsResult
from .trace_redaction import OFF, redaction

#: Seconds between two looks at the task.
_FIRST_LOOK_S, _LOOK_S = 0.1, 0.5
#: A line of the cell that gives a key at the top of the file.
_TOP = r"(?m)^['\"]?{}['\"]?[ \t]*:"


def evaluate(
    file: Union[str, Mapping[str, Any]],
    rows: Any = None,
    *,
    name: str = "",
    keep_running: bool = False,
) -> GenOpsResult:
    """Ask models for answers, score them and return the report; see :func:`genops_lab.runtime.api.evaluate`."""
    text, called, folder = _file(file)
    return _evaluate(text, called, folder, rows, name or "rows", keep_running)


def evaluation_cell(shell: Any, line: str, cell: str) -> GenOpsResult:
    """Run ``%%evaluate``. Raises GenOpsError."""
    from .options import cell_options, evaluate_parser

    options = cell_options(evaluate_parser(), line)
    if not cell.strip():
        raise GenOpsError(
            "The cell has no text below %%evaluate.",
            "Write an evaluation file into it: prompt, models, scorers.",
        )
    rows = None
    if options.rows:
        if options.rows not in shell.user_ns:
            raise GenOpsError(
                f"There is no variable {options.rows!r}.",
                "Name a data frame or a list of dicts: %%evaluate ROWS",
            )
        rows = shell.user_ns[options.rows]
    named = options.rows or "rows"
    text = completed(cell, options.name or options.rows or "notebook")
    return _evaluate(text, "cell", os.getcwd(), rows, named, options.keep_running)


def completed(cell: str, name: str) -> str:
    """Return a cell as an evaluation file: the keys that each file has are added where the cell leaves them out.

    They stand at the end, so that the lines of the cell keep their numbers in errors.

    >>> completed("prompt: Hi\\n", "greeting").splitlines()[1:]
    ['apiVersion: genops/v1', 'kind: Evaluation', 'metadata: {name: greeting}']
    """
    fixed = {"apiVersion": "genops/v1", "kind": "Evaluation", "metadata": f"{{name: {name}}}"}
    missing = [f"{key}: {value}\n" for key, value in fixed.items() if not re.search(_TOP.format(key), cell)]
    if not missing or cell.lstrip().startswith("{"):
        return cell
    return (cell if cell.endswith("\n") else cell + "\n") + "".join(missing)


def _file(file: Union[str, Mapping[str, Any]]) -> Tuple[str, str, str]:
    """Return the text of an evaluation file, what errors call it, and the folder that its data lies in."""
    if isinstance(file, Mapping):
        fixed = {"apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "notebook"}}
        try:
            return json.dumps({**fixed, **file}, indent=1), "the evaluation", os.getcwd()
        except (TypeError, ValueError) as error:
            raise GenOpsError(
                f"The evaluation is no JSON: {error}.", "Use texts, numbers and lists."
            ) from None
    if "\n" in file:
        return file, "the evaluation", os.getcwd()
    path = os.path.abspath(os.path.expanduser(file))
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), file, os.path.dirname(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise GenOpsError(
            f"Cannot read {file}: {why}.", "Give an evaluation file, its text, or a dict."
        ) from None


def _evaluate(
    text: str, called: str, folder: str, rows: Any, rows_name: str, keep_running: bool
) -> GenOpsResult:
    body = {"text": text, "name": called, "folder": folder}
    with _rows_file(rows, rows_name) as path:
        if path:
            body.update(data=path, data_name=rows_name)
        begun = call("POST", "/v1/answer-evaluations", body, timeout_s=300.0)
    id, task = str(begun["evaluation"]["id"]), begun["task"]
    resume = f"%genops evaluate resume {id}" if in_notebook() else f"genops evaluate resume {id}"
    view = LiveView("evaluation", task, progress_card, progress_text) if in_notebook() else None
    if view is None:
        print(f"The evaluation is {id}.", file=sys.stderr)
    else:
        view.open()
    try:
        task = _followed(task, view)
    except KeyboardInterrupt:
        said = _stopped(id, task, resume, keep_running)
        if view is not None:
            view.finish({**task, "state": "stopped", "message": said})
        else:
            print(said, file=sys.stderr)
        raise
    if view is not None:
        view.finish(task)
    if task["state"] != "done":
        raise GenOpsError(
            f"The evaluation {id} ended early: {task['message'] or task['state']}",
            task["hint"] or f"The answers so far are kept. Go on with: {resume}",
        )
    found = call("GET", f"/v1/answer-evaluations/{segment(id)}")
    return GenOpsResult(found, evaluation_card(found, resume), evaluation_text(found, resume))


def _followed(task: Dict[str, Any], view: Any) -> Dict[str, Any]:
    """Return the task after its end."""
    pause = _FIRST_LOOK_S
    while task["state"] == "running":
        time.sleep(pause)
        pause = min(_LOOK_S, pause * 1.5)
        task = call("GET", f"/v1/tasks/{segment(task['id'])}")
        if view is not None:
            view.update(task)
    return task


def _stopped(id: str, task: Dict[str, Any], resume: str, keep_running: bool) -> str:
    """Cancel the task, or leave it; return what the user must know."""
    if keep_running:
        return f"The evaluation {id} goes on in the Lab. See it: {resume.replace('resume', 'show')}"
    try:
        call("POST", f"/v1/tasks/{segment(task['id'])}/cancel")
    except GenOpsError as error:
        return f"The evaluation {id} could not be cancelled: {error}"
    return f"The evaluation {id} is cancelled. The answers so far are kept. Go on with: {resume}"


@contextlib.contextmanager
def _rows_file(rows: Any, name: str) -> Iterator[str]:
    """Yield the path of a file that only this user can read, with the rows as JSON lines; empty without rows.

    It is removed afterwards: the Lab has its own copy then.
    """
    if rows is None:
        yield ""
        return
    if isinstance(rows, (str, os.PathLike)):
        yield os.path.abspath(os.path.expanduser(os.fspath(rows)))
        return
    folder = tempfile.mkdtemp(prefix="genops-rows-")
    try:
        path = os.path.join(folder, "rows.jsonl")
        _write(rows, path, name)
        yield path
    finally:
        shutil.rmtree(folder)


def _write(rows: Any, path: str, name: str) -> None:
    if hasattr(rows, "to_json") and hasattr(rows, "columns") and redaction.mode == OFF:  # pandas
        rows.to_json(path, orient="records", lines=True, date_format="iso", force_ascii=False)
        return
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        for each in _records(rows):
            if not isinstance(each, Mapping):
                raise GenOpsError(
                    f"{name} has a {type(each).__name__} where a row must be a dict.",
                    "Give a data frame, or a list of dicts with a key for each {{column}} of the prompt.",
                )
            file.write(json.dumps(redaction.redact(dict(each)), default=_plain, ensure_ascii=False) + "\n")


def _records(rows: Any) -> Iterator[Any]:
    if hasattr(rows, "to_json") and hasattr(rows, "columns"):  # pandas
        made = rows.to_json(orient="records", lines=True, date_format="iso", force_ascii=False)
        return map(json.loads, made.splitlines())
    if hasattr(rows, "iter_rows"):  # polars
        return iter(rows.iter_rows(named=True))
    if isinstance(rows, Mapping):
        raise GenOpsError("The rows are one dict.", "Give a list of dicts, one for each row.")
    return iter(rows)


def _plain(value: Any) -> Any:
    """Return a value of numpy as Python's own, and any other as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else str(value)
