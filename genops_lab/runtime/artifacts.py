"""Where a run keeps what it came from.

Artifacts of the run, all below ``source/``:

=====================  ==================================================================
``cells.json``         ``[{execution_count, source, sha256, cell_id?, redacted?}]``
``notebook.py``        the same in the percent format; a script as it is
``uncommitted.patch``  what differs from the commit, for ``git apply``
``installed.txt``      the installed distributions, as pip takes them
a lock file            the project's own, under its name
``record.json``        the rest, and what was left out or redacted; written last
=====================  ==================================================================

A session that goes on with a run keeps the same in a folder of its own: ``source/resumed-<time>-<lot>/``. The names are
in the order of time.
"""

FOLDER = "source/"
CELLS = FOLDER + "cells.json"
SCRIPT = FOLDER + "notebook.py"
PATCH = FOLDER + "uncommitted.patch"
INSTALLED = FOLDER + "installed.txt"
RECORD = FOLDER + "record.json"

SESSIONS = "resumed-"
#: What was printed: ``output/stdout.txt``, ``output/stderr.txt``.
OUTPUT = "output"
STREAMS = ("stdout", "stderr")


def of_session(path: str, session: str) -> str:
    """Where a session that goes on with a run keeps what its first one keeps at ``path``."""
    folder, _, rest = path.partition("/")
    return f"{folder}/{session}/{rest}" if session else path
