"""What the server extension adds to the start of JupyterLab's server, and what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from tests.support.homes import Home, temporary_home

from .figure import Figure

ROUNDS = 9

# Initialises the server as `jupyter lab` does, then runs the extensions' start hooks on the event loop: from then
# on it answers. GenOps' services open in the background; a request that needs them waits.
PROGRAM = """
import asyncio, json, os, sys, time
HEAVY = ("torch", "mlflow", "kubernetes", "paramiko", "pandas", "numpy")
from jupyterlab.labapp import LabApp
with_extension = sys.argv.pop() == "with"
started = time.perf_counter()
extensions = {"jupyterlab": True, "genops_lab": with_extension}
arguments = ["--no-browser", "--allow-root", "--ServerApp.port=0", f"--ServerApp.jpserver_extensions={extensions}"]
def since_start():
    return (time.perf_counter() - started) * 1000
async def main():
    server = LabApp.initialize_server(argv=arguments)
    await server._post_start()
    times = {"ms": since_start()}
    for app in server.extension_manager.extension_apps.get("genops_lab", ()):
        await app.opening
        assert app.lab is not None
        times["open_ms"] = since_start()
    return times
times = asyncio.new_event_loop().run_until_complete(main())
print(json.dumps({**times, "heavy": [name for name in HEAVY if name in sys.modules]}))
os._exit(0)
"""


def _start(home: Home, which: str) -> dict[str, object]:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, which], capture_output=True, text=True, cwd=home.work,
        env=home.environment(), check=False, timeout=120,
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(answer.stderr[-3000:])
    return json.loads(answer.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home:
        for which in ("with", "without"):
            _start(home, which)  # the store is made once, byte code is compiled
        pairs = [(_start(home, "with"), _start(home, "without")) for _ in range(ROUNDS)]
    bare = [float(bare["ms"]) for _ours, bare in pairs]  # type: ignore[arg-type]
    heavy = sorted({name for ours, _bare in pairs for name in ours["heavy"]})  # type: ignore[attr-defined]
    for name, key, target in (
        ("server_extension_start_added", "ms", 150),
        ("services_open_after", "open_ms", None),
    ):
        yield Figure(
            name=name,
            unit="ms",
            values=[float(ours[key]) - bare_ms for (ours, _bare), bare_ms in zip(pairs, bare, strict=True)],  # type: ignore[arg-type]
            target=target,
            baseline="the same start without the extension (whole start, not the difference)",
            baseline_values=bare,
            notes={"heavy_modules_imported": heavy},
        )
