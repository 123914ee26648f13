"""Make the notebook: its origin, then the cells that ran, unchanged except for redacted secrets."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from typing import Any

from genops_lab.experiments.models import Run

from .models import EnvironmentDifference
from .run_source import INSTALLED, PATCH, Kept, KeptCell, Record

#: Rows of a table in the first cell; the others are counted.
MAX_ROWS = 30
SHORT_ID = 8
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def file_name(run: Run) -> str:
    """Return ``baseline-1a2b3c4d.ipynb``."""
    name = _NOT_IN_NAMES.sub("-", run.name).strip("-.")[:60]
    return f"{name or 'run'}-{run.run_id[:SHORT_ID]}.ipynb"


def total_redacted(cells: list[KeptCell]) -> dict[str, int]:
    """Return the number of marks by kind in all cells."""
    return dict(sum((Counter(cell.redacted) for cell in cells), Counter()))


def notebook(run: Run, kept: Kept, environment: EnvironmentDifference, kernel: str) -> dict[str, Any]:
    """Return a notebook in nbformat 4.5; ``kernel`` is a kernelspec's name, empty if unknown."""
    cells = [_markdown(run.run_id, "head", _head(run, kept, environment))]
    for index, cell in enumerate(kept.cells):
        if cell.redacted or cell.altered:
            cells.append(_markdown(run.run_id, f"note {index}", _warning(cell)))
        cells.append(_code(run.run_id, index, cell))
    metadata: dict[str, Any] = {
        "genops": {"run_id": run.run_id, "experiment": run.experiment, "git_commit": run.git_commit},
        "language_info": {"name": "python"},
    }
    if kernel:
        metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _id(run_id: str, what: str) -> str:
    return hashlib.sha256(f"{run_id} {what}".encode()).hexdigest()[:12]


def _markdown(run_id: str, what: str, text: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": _id(run_id, what),
        "metadata": {"genops": {"made": True}},
        "source": text,
    }


def _code(run_id: str, index: int, cell: KeptCell) -> dict[str, Any]:
    kept = {
        "sha256": hashlib.sha256(cell.source.encode()).hexdigest(),
        "execution_count": cell.execution_count,
        "cell_id": cell.cell_id,
        "redacted": cell.redacted,
        "altered": cell.altered,
    }
    return {
        "cell_type": "code",
        "id": _id(run_id, f"cell {index}"),
        "metadata": {"genops": {name: value for name, value in kept.items() if value}},
        "execution_count": None,
        "outputs": [],
        "source": cell.source,
    }


def _warning(cell: KeptCell) -> str:
    lines = []
    if cell.redacted:
        kinds = ", ".join(f"{_span(kind)} × {count}" for kind, count in sorted(cell.redacted.items()))
        lines.append(
            f"**The next cell is incomplete:** secrets were removed before it was kept ({kinds}). "
            "Replace each mark, for example by reading an environment variable. Do not write the secret into the cell."
        )
    if cell.altered:
        lines.append("**The next cell was changed after the run wrote it:** its hash differs.")
    return "\n\n".join(lines)


def _head(run: Run, kept: Kept, environment: EnvironmentDifference) -> str:
    title = _plain(run.name or run.run_id[:SHORT_ID])
    parts = [f"# {title}", _origin(run, kept.record)]
    parts += _git(run, kept)
    parts += _packages(kept, environment)
    if kept.datasets:
        rows = [[one.name, one.source, one.digest, one.context] for one in kept.datasets]
        parts += ["**Data sets**", _table(["name", "source", "digest", "context"], rows)]
    redacted = total_redacted(kept.cells)
    if redacted:
        count = sum(redacted.values())
        parts.append(
            f"**{count} {'secrets were' if count > 1 else 'secret was'} removed** from these cells. A mark such as "
            f"{_span(f'[redacted: {next(iter(redacted))}]')} replaces each."
        )
    return "\n\n".join(parts)


def _origin(run: Run, record: Record | None) -> str:
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started_at)) if run.started_at else ""
    facts = [
        f"Restored from the run {_span(run.run_id)} of the experiment {_span(run.experiment)}"
        + (f", started {started}." if started else ".")
    ]
    if run.source:
        facts.append(f"It came from {_span(run.source)}.")
    target = run.tags.get("genops.target", "")
    if record is not None:
        where = (
            f"the target {_span(target)}" if target else _span(record.host) if record.host else "a machine"
        )
        gpus = ", ".join(_span(f"{gpu.name} (driver {gpu.driver})") for gpu in record.gpus)
        facts.append(f"It ran on {where}" + (f" with {gpus}." if gpus else "."))
    elif target:
        facts.append(f"It ran on the target {_span(target)}.")
    facts.append("The cells below are those that ran, in their order, each as often as it ran.")
    return " ".join(facts)


def _git(run: Run, kept: Kept) -> list[str]:
    git = kept.record.git if kept.record is not None else None
    commit = git.commit if git is not None else run.git_commit
    if not commit:
        return []
    branch = f" of the branch {_span(git.branch)}" if git is not None and git.branch else ""
    remote = f" ({_span(git.remote)})" if git is not None and git.remote else ""
    changed = " with uncommitted changes" if kept.has_patch else ""
    parts = [
        f"**Code:** commit {_span(commit)}{branch}{remote}{changed}. To check it out beside the present code:"
    ]
    short = run.run_id[:SHORT_ID]
    commands = [
        f"git worktree add ../restored-{short} {commit if commit.isalnum() else ''}",
        f"cd ../restored-{short}",
    ]
    if kept.has_patch:
        commands += [
            f"genops runs restore {run.run_id} --diff ../{short}.patch",
            f"git apply ../{short}.patch",
        ]
    parts.append("```bash\n" + "\n".join(commands) + "\n```")
    if git is not None and git.patch is not None:
        if git.patch.redacted:
            names = ", ".join(_span(name) for name in sorted(git.patch.redacted)[:MAX_ROWS])
            parts.append(f"Secrets were removed from the changes of {names}, so these may not apply.")
        if git.patch.left_out:
            names = ", ".join(
                f"{_span(left.path)} ({_plain(left.reason)})" for left in git.patch.left_out[:MAX_ROWS]
            )
            parts.append(f"Changed files that were not kept: {names}.")
        if kept.has_patch:
            parts.append(f"The changes are the run's artifact {_span(PATCH)}.")
    return parts


def _packages(kept: Kept, environment: EnvironmentDifference) -> list[str]:
    python = (
        f"Python {_plain(environment.python_then)}"
        if environment.python_then
        else "an unknown version of Python"
    )
    parts = [f"**Environment:** {python}; its packages are the run's artifact {_span(INSTALLED)}."]
    lock = kept.record.environment.lock_file if kept.record is not None else None
    if lock is not None and lock.name:
        parts[0] += f" The project's {_span(lock.name)} was {_span('sha256:' + lock.sha256)}."
    if not environment.compared:
        return (
            [f"{parts[0]} {environment.why}"] if kept.installed else [f"**Environment:** {environment.why}"]
        )
    if not environment.packages:
        return [f"{parts[0]} The same packages are installed now."]
    rows = [[one.name, one.then or "none", one.now or "none"] for one in environment.packages]
    return [f"{parts[0]} These packages differ now:", _table(["package", "then", "now"], rows)]


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += [
        "| " + " | ".join(_span(cell) if cell else "" for cell in row) + " |" for row in rows[:MAX_ROWS]
    ]
    more = len(rows) - MAX_ROWS
    return "\n".join(lines) + (f"\n\nand {more} more" if more > 0 else "")


def _plain(text: str) -> str:
    """Return a run's name and the like as text, not as Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$&-])", r"\\\1", " ".join(text.split())[:200])


def _span(text: str) -> str:
    # Code spans have no escapes; a bar ends a table's cell even in a code span.
    shown = " ".join(text.split())[:300].replace("`", "'").replace("|", "¦")
    return f"`{shown}`" if shown else ""
