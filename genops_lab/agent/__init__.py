"""Run on a kernel's host: only the standard library (and pyzmq next to a kernel), Python 3.8 or later.

``attach`` serves one connection: its standard input and output are the stream of :mod:`.mux`. ``keep`` owns
one kernel, independent of all connections.
"""

from __future__ import annotations

import sys


def version() -> str:
    """Return the version of GenOps Lab that this agent belongs to."""
    return str(getattr(sys.modules.get("genops_lab"), "__version__", ""))
