"""Notebooks on disk, and what runs of their cells put out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from genops_lab.kernels.outputs.models import Execution


def stream(text: str) -> dict[str, Any]:
    """Standard output."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def execution(cell_id: str = "cell1", code: str = "print(1)", **given: Any) -> Execution:
    """A finished run."""
    return Execution(
        **{
            "msg_id": f"run-of-{cell_id}", "cell_id": cell_id, "code": code, "state": "done", "status": "ok",
            "execution_count": 7, "outputs": [stream("1\n")], "started_at": 1.0, "ended_at": 2.0, **given,
        }
    )  # fmt: skip


def new_notebook(sources: dict[str, str]) -> dict[str, Any]:
    """A notebook of code cells by their ids."""
    import nbformat

    notebook = nbformat.v4.new_notebook()
    for cell_id, source in sources.items():
        cell = nbformat.v4.new_code_cell(source)
        cell["id"] = cell_id
        notebook.cells.append(cell)
    return json.loads(json.dumps(notebook))


def write_notebook(path: Path, sources: dict[str, str]) -> None:
    """Put it on disk."""
    import nbformat

    nbformat.write(nbformat.from_dict(new_notebook(sources)), path)


def cells_of(path: Path) -> list[Any]:
    """The cells of a notebook on disk, which must be valid. Jupyter empties the file before it writes it anew."""
    import nbformat

    until = time.monotonic() + 10
    while not path.stat().st_size and time.monotonic() < until:
        time.sleep(0.05)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return list(notebook.cells)


def text_of(cell: Any) -> str:
    """What a cell's streams show."""
    return "".join(output.get("text", "") for output in cell.outputs)
