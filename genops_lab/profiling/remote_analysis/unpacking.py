"""Check the answer of a host's engine and unpack it into the profile's folder, in the profiler's worker
process."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import msgspec

from genops_lab.core.errors import ErrorInfo, Failed, GenOpsError

from ..models import ProfileSummary
from .host import ANSWER, COLUMNS, Answer

#: A summary has up to 1 MB. Columns shrink to about a third; a file that grows a hundred times is not valid.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_GROWTH = 100
_COLUMN = re.compile(rf"{COLUMNS}/([\w.]+)\Z")


class HostAnswers:
    """The answers of engines on hosts, as a backend."""

    def take(self, answer: str, folder: str, usd_per_hour: float | None, target: str) -> ProfileSummary:
        """Return the summary, with the cost of a step. Columns go into ``folder``; the file ``answer`` is
        deleted.

        Raises the errors of the engine, and Failed for an invalid answer.
        """
        from ..engine import column_files
        from ..engine.efficiency.pricing import priced

        aside = Path(folder) / f".{COLUMNS}"
        try:
            found = _unpacked(Path(answer), aside)
            if found.summary is None:
                raise GenOpsError.from_info(
                    found.status, ErrorInfo(code=found.code, message=found.message, hint=found.hint)
                )
            if aside.is_dir():
                column_files.load(aside)
                aside.rename(Path(folder) / COLUMNS)
            return priced(found.summary, usd_per_hour, target)
        except (tarfile.TarError, msgspec.MsgspecError, EOFError, OSError) as error:
            raise Failed(
                f"The host sent an invalid profile: {error}.",
                hint="Disconnect and connect the target, then try again.",
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            Path(answer).unlink(missing_ok=True)


def _unpacked(answer: Path, columns: Path) -> Answer:
    """Raises TarError, MsgspecError, EOFError, OSError."""
    left = answer.stat().st_size * _MAX_GROWTH + _MAX_ANSWER_BYTES
    found: Answer | None = None
    with tarfile.open(answer, "r:gz") as archive:
        for member in archive:
            left -= member.size
            name = _COLUMN.match(member.name)
            content = archive.extractfile(member) if member.isreg() else None
            if left < 0 or content is None or (member.name != ANSWER and name is None):
                raise tarfile.TarError(f"{member.name[:80]!r} is not part of a profile")
            if name is None:
                found = msgspec.json.decode(content.read(_MAX_ANSWER_BYTES), type=Answer)
            else:
                columns.mkdir(mode=0o700, exist_ok=True)
                with (columns / name[1]).open("xb") as target:
                    shutil.copyfileobj(content, target)
    if found is None:
        raise tarfile.TarError(f"it has no {ANSWER}")
    return found
