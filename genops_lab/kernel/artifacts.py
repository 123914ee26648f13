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
"""

FOLDER = "source/"
CELLS = FOLDER + "cells.json"
SCRIPT = FOLDER + "notebook.py"
PATCH = FOLDER + "uncommitted.patch"
INSTALLED = FOLDER + "installed.txt"
RECORD = FOLDER + "record.json"
