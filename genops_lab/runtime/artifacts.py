"""Paths of the artifacts that record a run's source.

All of them are below ``source/`` of the run:

- ``cells.json``: ``[{execution_count, source, sha256, cell_id?, redacted?}]``
- ``notebook.py``: the same in the percent format; a script as it is
- ``uncommitted.patch``: changes since the commit, for ``git apply``
- ``installed.txt``: the installed distributions, in pip's format
- a lock file: the project's own, under its name
- ``record.json``: the rest, and what was left out or redacted; written last

A session that continues a run uses a folder of its own: ``source/resumed-<time>-<random>/``. Sorted by name,
the folders are in the order of time.
"""

FOLDER = "source/"
CELLS = FOLDER + "cells.json"
SCRIPT = FOLDER + "notebook.py"
PATCH = FOLDER + "uncommitted.patch"
INSTALLED = FOLDER + "installed.txt"
RECORD = FOLDER + "record.json"

SESSIONS = "resumed-"
#: The run's printed output: ``output/stdout.txt``, ``output/stderr.txt``.
OUTPUT = "output"
STREAMS = ("stdout", "stderr")


def of_session(path: str, session: str) -> str:
    """Return the path at which a session that continues a run keeps the artifact ``path``."""
    folder, _, rest = path.partition("/")
    return f"{folder}/{session}/{rest}" if session else path
