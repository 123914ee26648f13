"""Evaluations of answers in a notebook or a script: ``%%evaluate``, ``genops.evaluate(file, rows=...)``.

The Lab asks, scores and records; this module sends what to evaluate, shows the progress, and returns the report.
A kernel on another host sends its rows too, and a user agrees in JupyterLab.
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
from .lab import call, segment, upload_file
from .live import LiveView
from .paths import is_remote
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
    on: str = "",
) -> GenOpsResult:
    """Ask models for answers, score them and return the report; see :func:`genops_lab.runtime.api.evaluate`."""
    text, called, folder = _file(file)
    return _evaluate(text, called, folder, rows, name or "rows", keep_running, on)


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
    return _evaluate(text, "cell", os.getcwd(), rows, named, options.keep_running, options.on)


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


class _InLab:
    """An evaluation that a kernel of the Lab's machine begins."""

    def __init__(self, text: str, called: str, folder: str, path: str, rows_name: str, on: str) -> None:
        body = {"text": text, "name": called, "folder": folder}
        if path:
            body.update(data=path, data_name=rows_name)
        if on:  # said before a key leaves this machine
            body.update(on=on)
            plan = call("POST", "/v1/answer-evaluations/plan", body, timeout_s=300.0)
            print(plan["keys"], file=sys.stderr)
        begun = call("POST", "/v1/answer-evaluations", body, timeout_s=300.0)
        self.id = str(begun["evaluation"]["id"])
        self.task: Dict[str, Any] = begun["task"]

    def look(self) -> None:
        """Read the task."""
        self.task = call("GET", f"/v1/tasks/{segment(self.task['id'])}")

    def cancel(self) -> None:
        """Cancel the task."""
        call("POST", f"/v1/tasks/{segment(self.task['id'])}/cancel")

    def report(self) -> Any:
        """Return the report."""
        return call("GET", f"/v1/answer-evaluations/{segment(self.id)}")


class _FromHost:
    """An evaluation that a kernel on another host asks for: its rows travel, and a user agrees in JupyterLab."""

    def __init__(self, text: str, called: str, path: str, rows_name: str) -> None:
        if not path:
            raise GenOpsError(
                "This kernel runs on another host, and the evaluation has no rows of it.",
                "Give rows of the notebook: %%evaluate ROWS, or genops.evaluate(file, rows=...).",
            )
        self.id = ""
        self.task: Dict[str, Any] = {
            "title": f"Evaluate {rows_name}",
            "state": "running",
            "message": "JupyterLab asks you whether this kernel may evaluate.",
            "hint": "",
            "progress": None,
        }
        body = {"text": text, "name": called, "rows": upload_file(path, "rows"), "rows_name": rows_name}
        self._request = str(call("POST", "/v1/kernel-evaluations", body, timeout_s=300.0)["id"])
        self._report: Any = None

    def look(self) -> None:
        """Read the request: it waits up to 20 s for the user."""
        found = call("GET", f"/v1/kernel-evaluations/{segment(self._request)}")
        if found["task"] is not None:
            self.id, self.task, self._report = str(found["evaluation"]), found["task"], found["report"]

    def cancel(self) -> None:
        """Cancel the evaluation, or withdraw the question."""
        call("POST", f"/v1/kernel-evaluations/{segment(self._request)}/cancel")

    def report(self) -> Any:
        """Return the report."""
        return self._report


def _evaluate(
    text: str, called: str, folder: str, rows: Any, rows_name: str, keep_running: bool, on: str
) -> GenOpsResult:
    is_here = not is_remote()
    if on and not is_here:
        raise GenOpsError(
            "A kernel on another host cannot evaluate on a target: keys would go there.",
            f"Begin it in a terminal of the Lab: genops evaluate FILE --on {on}",
        )
    with _rows_file(rows, rows_name, is_here) as path:
        begun = (
            _InLab(text, called, folder, path, rows_name, on)
            if is_here
            else _FromHost(text, called, path, rows_name)
        )
    view = None
    try:
        if in_notebook():
            view = LiveView("evaluation", begun.task, progress_card, progress_text)
            view.open()
        elif begun.id:
            print(f"The evaluation is {begun.id}.", file=sys.stderr)
        else:
            print("JupyterLab asks whether this kernel may evaluate.", file=sys.stderr)
        _follow(begun, view)
    except KeyboardInterrupt:
        said = _stopped(begun, keep_running)
        if view is not None:
            view.finish({**begun.task, "state": "stopped", "message": said})
        else:
            print(said, file=sys.stderr)
        raise
    except GenOpsError as error:
        if view is not None:
            view.finish({**begun.task, "state": "failed", "message": str(error)})
        raise
    task, resume = begun.task, _resume(begun.id)
    if view is not None:
        view.finish(task)
    if task["state"] != "done":
        raise GenOpsError(
            f"The evaluation {begun.id} ended early: {task['message'] or task['state']}",
            task["hint"] or f"The answers so far are kept. Go on with: {resume}",
        )
    found = begun.report()
    return GenOpsResult(found, evaluation_card(found, resume), evaluation_text(found, resume))


def _resume(id: str) -> str:
    """Return the command that resumes; a kernel on another host has no commands that do."""
    return (
        f"%genops evaluate resume {id}"
        if in_notebook() and not is_remote()
        else f"genops evaluate resume {id}"
    )


def _follow(begun: Union[_InLab, _FromHost], view: Any) -> None:
    """Wait for the end of the task."""
    pause = _FIRST_LOOK_S
    while begun.task["state"] == "running":
        time.sleep(pause)
        pause = min(_LOOK_S, pause * 1.5)
        begun.look()
        if view is not None:
            view.update(begun.task)


def _stopped(begun: Union[_InLab, _FromHost], keep_running: bool) -> str:
    """Cancel the evaluation, or leave it; return what the user must know."""
    id, resume = begun.id, _resume(begun.id)
    if keep_running and id:
        return f"The evaluation {id} goes on in the Lab. See it: {resume.replace('resume', 'show')}"
    try:
        begun.cancel()
    except GenOpsError as error:
        return f"The evaluation {id} could not be cancelled: {error}"
    if not id:
        return "The question in JupyterLab is withdrawn. Nothing was asked."
    return f"The evaluation {id} is cancelled. The answers so far are kept. Go on with: {resume}"


@contextlib.contextmanager
def _rows_file(rows: Any, name: str, is_here: bool) -> Iterator[str]:
    """Yield the path of a file that only this user can read, with the rows as JSON lines; empty without rows.

    It is removed afterwards: the Lab has its own copy then. A path is given as it is to a Lab on this machine.
    """
    if rows is None:
        yield ""
        return
    if isinstance(rows, (str, os.PathLike)):
        if not is_here:
            raise GenOpsError(
                "A kernel on another host sends rows, and no path.",
                "Read the file: rows=pandas.read_json(PATH, lines=True), or a list of dicts.",
            )
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
        return map(json.loads, filter(None, made.split("\n")))
    if hasattr(rows, "iter_rows"):  # polars
        return iter(rows.iter_rows(named=True))
    if isinstance(rows, Mapping):
        raise GenOpsError("The rows are one dict.", "Give a list of dicts, one for each row.")
    return iter(rows)


def _plain(value: Any) -> Any:
    """Return a value of numpy as Python's own, and any other as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else str(value)
