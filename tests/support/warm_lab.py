"""JupyterLab whose workers come from the warm process: ``python -m tests.support.warm_lab ADDRESS jupyterlab ...``,
or its fork (:mod:`.forked_labs`)."""

from __future__ import annotations

import os
import runpy
import sys

from jupyterlab import commands  # type: ignore[import-untyped]

from tests.support import warm

# At each start JupyterLab asks Node.js for npm's registry, half a second of CPU, for builds that no test makes.
commands._yarn_config = lambda _log: {"yarn config": {}, "npm config": {}}


def main() -> None:
    """Run the application that the second argument names, with the arguments that follow it."""
    if os.getpgrp() != os.getpid():  # a fork
        os.setsid()
        # JupyterLab reads where these lie when it is imported, which was in another home.
        sys.argv += [
            f"--LabApp.user_settings_dir={commands.get_user_settings_dir()}",
            f"--LabApp.workspaces_dir={commands.get_workspaces_dir()}",
        ]
    address, application = sys.argv[1:3]
    warm.use(address)
    sys.argv[:3] = [application]
    runpy.run_module(application, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
