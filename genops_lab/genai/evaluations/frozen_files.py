"""Copy the files that an evaluation file names when the evaluation begins, so that later changes do not count."""

from __future__ import annotations

import shutil
from pathlib import Path

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paths import private_dir
from genops_lab.genai.scorers.programs import Function

from .evaluation_file import Evaluation
from .tools import check_files

_MOST_BYTES = 50_000_000


def contained(folder: Path, name: str) -> Path:
    """Return a file's path below a folder. Raises InvalidRequest, NotFound."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidRequest(
            f"{name} is outside the folder of the evaluation file.", hint="Put it beside the evaluation file."
        )
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint=f"{name} is beside the evaluation file.")
    return path


def keep_files(file: Evaluation, source: Path, target: Path) -> None:
    """Copy the files of tools and of scorers. Blocks. Raises InvalidRequest, NotFound, OSError."""
    private_dir(target)
    names = [each.file for each in file.tools if each.file]
    if file.harness:
        names += [each for each in (file.harness.task_file, *file.harness.files) if each]
    for scorer in file.scorers:
        if isinstance(scorer, Function):
            names += [scorer.file, *scorer.files]
    for name in names:
        path = contained(source, name)
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidRequest(
                f"{name} has {path.stat().st_size:,} bytes.", hint=f"Use at most {_MOST_BYTES:,} bytes."
            )
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    check_files(file.tools, target)
