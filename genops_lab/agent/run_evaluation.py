"""Ask models and score their answers on this host (``agent answers FOLDER``), for ``attach`` as a command.

The folder has what :mod:`.evaluations` placed there. This process becomes the one that asks: the Lab's own code, which
came along, in an interpreter with its requirements. The endpoints with their keys come from the Lab in a variable. They
go on through a pipe, so that they are in the environment of no process that stays, and in no file.
"""

from __future__ import annotations

import json
import os
import zipfile
from typing import NoReturn

SESSION, CODE = "session.json", "code.zip"
#: The variable with the endpoints. The process that asks does not have it.
ENDPOINTS = "GENOPS_ENDPOINTS"


def main(folder: str) -> NoReturn:
    """Become the process that asks."""
    with open(os.path.join(folder, SESSION), encoding="utf-8") as stream:
        session = json.load(stream)
    given = os.environ.pop(ENDPOINTS, "").encode()
    paths = [_unpacked(folder, str(session["code"])), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    os.dup2(_given_by_a_child(given), 0)
    os.chdir(folder)
    interpreter = str(session["interpreter"])
    os.execve(interpreter, [interpreter, "-m", str(session["module"]), folder], environment)  # noqa: S606


def _unpacked(folder: str, digest: str) -> str:
    """Return the folder with the Lab's code. It may be that of an earlier command of the session."""
    found = os.path.join(folder, "code-" + digest[:16])
    if not os.path.isdir(found):
        part = "{}.{}".format(found, os.getpid())
        with zipfile.ZipFile(os.path.join(folder, CODE)) as archive:
            archive.extractall(part)
        os.rename(part, found)
    return found


def _given_by_a_child(content: bytes) -> int:
    """Return a pipe to read from. A child writes it: nobody knows how much a pipe takes."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.close(reading)
            while content:
                content = content[os.write(writing, content) :]
        finally:
            os._exit(0)
    os.close(writing)
    return reading
