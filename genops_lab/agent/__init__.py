"""What runs on a kernel's host: standard library (and pyzmq beside a kernel) alone, Python 3.8 or later.

``attach`` is one connection: its standard input and output are the stream of :mod:`.mux`. ``keep`` is one kernel's
owner, apart from all connections.
"""

from __future__ import annotations

import sys


def version() -> str:
    """The version of GenOps Lab that this agent belongs to."""
    return str(getattr(sys.modules.get("genops_lab"), "__version__", ""))
