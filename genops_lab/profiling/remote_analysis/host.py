"""Run the engine on a host: read a trace, write its summary and columns into one file."""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

import msgspec

from genops_lab.core.errors import GenOpsError

from ..models import ProfileSummary

#: Members of the file: the answer, and the folder of the columns.
ANSWER, COLUMNS = "answer.json", "columns"
#: Compressing the columns of a large trace is slow, and higher levels save little more.
_LEVEL = 1


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``summary``, or the engine's error for the trace."""

    summary: ProfileSummary | None = None
    status: int = 500
    code: str = ""
    message: str = ""
    hint: str = ""


def main() -> None:
    """Analyze a trace. Arguments: the path of the trace, and the file to write."""
    trace, target = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ANSWER).write_bytes(msgspec.json.encode(_answer(trace, Path(folder) / COLUMNS)))
        with tarfile.open(target, "w:gz", compresslevel=_LEVEL) as archive:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    archive.add(path, str(path.relative_to(folder)))


def _answer(trace: str, columns: Path) -> Answer:
    from ..engine import analyze, column_files

    try:
        return Answer(
            summary=analyze(trace, watch=lambda found, _: column_files.save(found.columns, columns))
        )
    except GenOpsError as error:
        return Answer(status=error.status, code=error.code, message=error.message, hint=error.hint)
