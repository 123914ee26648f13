"""A stand-in for ``nsys`` on machines without a GPU: it takes the real one's arguments and no others, keeps sessions as
the real one does, runs what it is asked to launch, and gives one of the real exports for every report.

What it says where it refuses is our own text; the real one is in ``nsight_tools``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = "NVIDIA Nsight Systems version 2024.6.2.225-246235244400v0"

_PROGRAM = """#!{python}
import argparse, os, pathlib, shutil, signal, subprocess, sys, time

here = pathlib.Path(__file__).parent
verb = sys.argv[1]
with open(here / "called", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if verb == "--version":
    print({version!r})
    sys.exit()
if (here / f"refuse-{{verb}}").exists():
    sys.exit((here / f"refuse-{{verb}}").read_text())
parser = argparse.ArgumentParser(prog="nsys " + verb, allow_abbrev=False)
if verb == "launch":
    parser.add_argument("--session-new", required=True)
    parser.add_argument("--trace", required=True)
    parser.add_argument("--cuda-graph-trace", choices=["graph", "node"])
    parser.add_argument("--wait", choices=["primary", "all"])
    parser.add_argument("command", nargs=argparse.REMAINDER)
else:
    parser.add_argument("--session", required=verb != "export")
    parser.add_argument("--output", required=verb in ("start", "export"))
    for option in ("sample", "cpuctxsw", "force-overwrite", "type", "kill"):
        parser.add_argument("--" + option)
    parser.add_argument("report", nargs="?")
given = parser.parse_args(sys.argv[2:])
session = here / ("session-" + str(getattr(given, "session_new", None) or getattr(given, "session", "")))
if verb == "shutdown":
    session.unlink(missing_ok=True)
if verb in ("start", "stop"):
    if not session.exists():
        sys.exit(f"There is no session {{given.session}}.")
    if "CUDA_INJECTION64_PATH" in os.environ:
        sys.exit("nsys was injected into itself")
if verb == "launch":
    session.write_text("")
    injected = dict(os.environ, CUDA_INJECTION64_PATH="/injected")
    process = subprocess.Popen(given.command, env=injected)
    try:
        code = process.wait()
    except KeyboardInterrupt:  # its group was signalled: the real one ends with what it launched
        process.kill()
        code = process.wait()
    session.unlink(missing_ok=True)
    sys.exit(code)
elif verb == "start":
    if session.read_text():
        sys.exit("A collection is running already.")
    session.write_text(given.output)
    while (here / "dawdle").exists():
        time.sleep(0.05)
elif verb == "stop":
    if not session.read_text():
        sys.exit("No collection is running.")
    pathlib.Path(session.read_text()).write_text("a report")
    session.write_text("")
elif verb == "export":
    assert given.type == "sqlite" and pathlib.Path(given.report).read_text() == "a report"
    shutil.copyfile(here / "export.sqlite", given.output)
"""


@dataclass(frozen=True)
class NsysStandIn:
    """The program is ``folder/nsys``; what it was called with stands in ``folder/called``."""

    folder: Path

    @property
    def program(self) -> Path:
        """What is started."""
        return self.folder / "nsys"

    def calls(self, verb: str) -> list[str]:
        """The calls of one verb, each a line."""
        called = self.folder / "called"
        lines = called.read_text().splitlines() if called.exists() else []
        return [line for line in lines if line.split()[0] == verb]

    def refuse(self, verb: str, text: str) -> None:
        """Answer calls of ``verb`` with this text, and with an error."""
        (self.folder / f"refuse-{verb}").write_text(text)

    def dawdle(self, on: bool) -> None:
        """Record from a ``start`` on, and do not come back from it."""
        (self.folder / "dawdle").touch() if on else (self.folder / "dawdle").unlink()

    def export(self, database: bytes) -> None:
        """What reports hold, as SQLite."""
        (self.folder / "export.sqlite").write_bytes(database)


def nsys_stand_in(folder: Path, version: str = VERSION) -> NsysStandIn:
    """The program in ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = NsysStandIn(folder)
    made.program.write_text(_PROGRAM.format(python=sys.executable, version=version))
    made.program.chmod(0o755)
    return made
