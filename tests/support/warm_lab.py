"""A JupyterLab whose workers come from the warm process: ``python -m tests.support.warm_lab ADDRESS jupyterlab ...``

It does not ask Node.js from which registry it would build extensions, 0.8 CPU seconds at each start: it starts as on a
machine without Node.js.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from jupyterlab import commands  # type: ignore[import-untyped]

from jupyterlab import commands

from tests.support import warm


def _no_registry(_logger: Any) -> dict[str, dict[str, Any]]:
    return {"yarn config": {}, "npm config": {}}


def main() -> None:
    """Run the application that the second argument names, with the arguments that follow it."""
    address, application = sys.argv[1:3]
    warm.use(address)
    commands._yarn_config = _no_registry
    sys.argv[:3] = [application]
    # At each start JupyterLab asks Node.js for npm's registry, half a second of CPU, for builds that no test makes.
    commands._yarn_config = lambda _log: {"yarn config": {}, "npm config": {}}
    runpy.run_module(application, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
