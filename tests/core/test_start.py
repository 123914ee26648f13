"""The services' start in the background of a Jupyter server, and its end before they are open."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.homes import temporary_home

# Ends the extension as soon as the server's start hooks are done.
PROGRAM = """
import asyncio, json, os
from jupyterlab.labapp import LabApp
arguments = ["--no-browser", "--allow-root", "--ServerApp.port=0"]
arguments.append("--ServerApp.jpserver_extensions={'jupyterlab': True, 'genops_lab': True}")
async def main():
    server = LabApp.initialize_server(argv=arguments)
    await server._post_start()
    (app,) = server.extension_manager.extension_apps["genops_lab"]
    open_at_once = app.lab is not None
    await asyncio.wait_for(app.stop_extension(), 60)
    left = [task.get_name() for task in asyncio.all_tasks() if "genops_lab" in repr(task.get_coro())]
    print(json.dumps([open_at_once, app.lab is not None and not app.lab.supervises, app.opening.done(), left]))
asyncio.run(main())
"""


def test_a_server_that_ends_while_the_lab_opens_leaves_nothing() -> None:
    with temporary_home() as home:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=home.work,
            env=home.environment(), check=False, timeout=120,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout.splitlines()[-1]) == [False, True, True, []]
        left = [*(home.path / "run").glob("genops-*.json"), *(home.path / "s").glob("*.sock")]
        assert not left
        assert "never retrieved" not in ended.stderr and "was destroyed" not in ended.stderr
