"""Merge outputs into a notebook: into the cell that made them, or at the end when that cell has changed.

The front end does the same in an open page (``src/kernels/outputs``): keep the two alike.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .models import Execution

METADATA_KEY = "genops"
HEADING = "heading"
_HEADING_TEXT = (
    "## Recovered outputs\n\nThese cells were edited or deleted while they ran. Below is the code that "
    "ran, with its outputs. Delete what you do not need."
)


@dataclass
class Merged:
    """The result: the message ids of runs that the notebook has now, and whether this changed it."""

    changed: bool = False
    present: list[str] = field(default_factory=list)


def text_of(value: Any) -> Any:
    """Return a multi-line string of the notebook format as one string."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "".join(value)
    return value


def normal(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output without irrelevant differences between a kernel, a page and a file."""
    kept = {key: value for key, value in output.items() if key != "transient"}
    if not kept.get("metadata"):
        kept.pop("metadata", None)
    if "text" in kept:
        kept["text"] = text_of(kept["text"])
    data = kept.get("data")
    if isinstance(data, dict):
        kept["data"] = {
            mime: value if mime.endswith("json") else text_of(value) for mime, value in data.items()
        }
    return kept


def same_outputs(one: Iterable[dict[str, Any]], other: Iterable[dict[str, Any]]) -> bool:
    """Return whether two lists of outputs show the same."""
    return [normal(output) for output in one] == [normal(output) for output in other]


def holds(notebook: dict[str, Any], execution: Execution) -> bool:
    """Return whether the notebook has all outputs of this run, in its cell or among the recovered outputs."""
    cell = _cell(notebook, execution)
    if cell is not None and same_outputs(_outputs(cell), execution.outputs):
        return cell.get("execution_count") == execution.execution_count or not execution.outputs
    return _recovered(notebook, execution.msg_id) is not None


def supersedes(notebook: dict[str, Any], execution: Execution, *, shown: bool) -> bool:
    """Return whether a page that was open all the time has saved something else on purpose, after the run's
    end.

    The cell then has the reply's number, or (when the end was surely ``shown``) its outputs were cleared or
    it was deleted.
    """
    cell = _cell(notebook, execution)
    if cell is None:
        return shown
    count = cell.get("execution_count")
    if count is not None:
        return bool(count == execution.execution_count)
    return shown and not _outputs(cell)


def merge(notebook: dict[str, Any], executions: Sequence[Execution]) -> Merged:
    """Merge finished runs into ``notebook`` (changed in place). A repetition changes nothing."""
    merged = Merged()
    last = {execution.cell_id: execution.msg_id for execution in executions}
    for execution in executions:
        merged.present.append(execution.msg_id)
        cell = _cell(notebook, execution)
        if last[execution.cell_id] != execution.msg_id:
            continue  # the cell ran again: it has the outputs of its last run
        if cell is not None and text_of(cell.get("source")) == execution.code:
            merged.changed |= _into(cell, execution)
        elif execution.outputs or execution.status == "error":
            merged.changed |= _append(notebook, execution)
    return merged


def _cell(notebook: dict[str, Any], execution: Execution) -> dict[str, Any] | None:
    code = [cell for cell in _cells(notebook) if cell.get("cell_type") == "code"]
    if any("id" in cell for cell in code):
        return next((cell for cell in code if cell.get("id") == execution.cell_id), None)
    # Before nbformat 4.5 a page's cell ids are not saved: the source identifies a cell where it occurs once.
    same = [cell for cell in code if text_of(cell.get("source")) == execution.code]
    return same[0] if len(same) == 1 else None


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    cells = notebook.get("cells")
    return cells if isinstance(cells, list) else []


def _outputs(cell: dict[str, Any]) -> list[dict[str, Any]]:
    outputs = cell.get("outputs")
    return outputs if isinstance(outputs, list) else []


def _recovered(notebook: dict[str, Any], what: str) -> dict[str, Any] | None:
    for cell in _cells(notebook):
        own = (cell.get("metadata") or {}).get(METADATA_KEY)
        if isinstance(own, dict) and own.get("recovered") == what:
            return cell
    return None


def _into(cell: dict[str, Any], execution: Execution) -> bool:
    count = execution.execution_count
    if same_outputs(_outputs(cell), execution.outputs) and cell.get("execution_count") == count:
        return False
    cell["outputs"] = [dict(output) for output in execution.outputs]
    cell["execution_count"] = count
    # The user's own kernel made them, as in an open page.
    cell.setdefault("metadata", {})["trusted"] = True
    return True


def _append(notebook: dict[str, Any], execution: Execution) -> bool:
    outputs = [dict(output) for output in execution.outputs]
    there = _recovered(notebook, execution.msg_id)
    if there is not None:
        if same_outputs(_outputs(there), outputs):
            return False
        there["outputs"] = outputs
        return True
    cells = notebook.setdefault("cells", [])
    with_ids = (int(notebook.get("nbformat", 4)), int(notebook.get("nbformat_minor", 5))) >= (4, 5)
    if _recovered(notebook, HEADING) is None:
        cells.append(_new_cell("markdown", HEADING, _HEADING_TEXT, with_ids))
    cell = _new_cell("code", execution.msg_id, execution.code, with_ids)
    cell["metadata"]["trusted"] = True
    cells.append({**cell, "outputs": outputs, "execution_count": execution.execution_count})
    return True


def _new_cell(kind: str, recovered: str, source: str, with_id: bool) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "metadata": {METADATA_KEY: {"recovered": recovered}},
        "source": source,
    }
    if with_id:
        cell["id"] = uuid.uuid4().hex[:8]
    return cell
