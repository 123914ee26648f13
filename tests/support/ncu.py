"""A stand-in for ``ncu`` on machines without a GPU: it takes the real one's arguments and no others, runs what it is
asked to, and adds to a report what "kernels" are launched while they are measured, late and in pieces.

What the program itself sees of ncu, a CUDA driver with an injection, is ``ncu_driver.c``: a cell launches with
``LAUNCH``. That the real one has these arguments, and answers so without a driver, tests say of the real one.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = """NVIDIA (R) Nsight Compute Command Line Profiler
Copyright (c) 2018-2024 NVIDIA Corporation
Version 2024.3.2.0 (build 34861637) (public-release)"""
#: What the real one says on standard error where there is no driver.
NO_DRIVER = """==ERROR== Nsight Compute failed to connect to the CUDA driver (stub libcuda.so[.1] on path?).
==ERROR== The application returned an error code (1).
"""
#: In a cell: ``launch("gemm")`` runs a kernel of this name.
LAUNCH = """
import ctypes
def launch(name):
    ctypes.CDLL("libcuda.so.1").cuLaunchNamed(name.encode())
"""

_PROGRAM = """#!{python}
import argparse, os, pathlib, subprocess, sys, tempfile, time
sys.path.insert(0, {tests!r})

here = pathlib.Path(__file__).parent
with open(here / "called", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1:] == ["--version"]:
    print({version!r})
    sys.exit()
parser = argparse.ArgumentParser(prog="ncu", allow_abbrev=False)
parser.add_argument("--profile-from-start", choices=["on", "off", "yes", "no"], default="on")
parser.add_argument("--nvtx", action="store_true")
parser.add_argument("--target-processes", choices=["application-only", "all"])
parser.add_argument("--set", choices=["basic", "detailed", "full"])
parser.add_argument("--call-stack", action="store_true")
parser.add_argument("--call-stack-type", choices=["native", "python"])
parser.add_argument("-f", "--force-overwrite", action="store_true")
parser.add_argument("-o", "--export")
parser.add_argument("--log-file")
parser.add_argument("command", nargs=argparse.REMAINDER)
given = parser.parse_args()
if (here / "refuse").exists():
    sys.exit((here / "refuse").read_text())
if given.export is None:
    sys.exit(subprocess.run(given.command).returncode)
from tests.support.ncu_reports import Writer, kernel

report = pathlib.Path(given.export + ".ncu-rep")
log = pathlib.Path(given.log_file)
log.write_text("")
events = pathlib.Path(tempfile.mkstemp(dir=here)[1])
injected = dict(
    os.environ, LD_LIBRARY_PATH=str(here / "lib"), NVTX_INJECTION64_PATH=str(here / "lib" / "libcuda.so.1"),
    NCU_LOG=str(log), NCU_EVENTS=str(events), NCU_FORBIDDEN=str(here / "forbidden"),
)
# As nsys does; a tool that is killed leaves its program.
process = subprocess.Popen(given.command, env=injected, start_new_session=True)
writer = Writer()
written = 0
with report.open("wb") as out:
    out.write(writer.head())
    out.flush()
    while True:
        ended = process.poll() is not None
        for line in events.read_text().splitlines()[written:]:
            written += 1
            if (here / "mute").exists():
                continue
            name, *ranges = line.split("\\t")
            block = writer.block([kernel(name, us=100.0 * written, ranges=ranges)])
            for part in (block[: len(block) // 2], block[len(block) // 2 :]):
                time.sleep(0.1)
                out.write(part)
                out.flush()
        if ended:
            break
        time.sleep(0.02)
events.unlink()
sys.exit(process.returncode)
"""


@dataclass(frozen=True)
class NcuStandIn:
    """The program is ``folder/ncu``; what it was called with stands in ``folder/called``."""

    folder: Path

    @property
    def program(self) -> Path:
        """What is started."""
        return self.folder / "ncu"

    @property
    def launches(self) -> list[list[str]]:
        """The arguments of each start of a kernel."""
        lines = (self.folder / "called").read_text().splitlines()
        return [line.split() for line in lines if "ipykernel_launcher" in line]

    def refuse(self, text: str = NO_DRIVER) -> None:
        """Start nothing, and say this."""
        (self.folder / "refuse").write_text(text)

    def forbid(self) -> None:
        """Let the driver forbid it to this user."""
        (self.folder / "forbidden").touch()

    def mute(self) -> None:
        """Measure, and write nothing to the report."""
        (self.folder / "mute").touch()


def ncu_stand_in(folder: Path, version: str = VERSION) -> NcuStandIn:
    """The program in ``folder``, which is made, and its driver, or the test is skipped."""
    driver = _driver()
    if driver is None:
        pytest.skip("no C compiler, to make a driver up")
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    (folder / "lib" / "libcuda.so.1").write_bytes(driver)
    made = NcuStandIn(folder)
    tests = str(Path(__file__).parents[2])
    made.program.write_text(_PROGRAM.format(python=sys.executable, version=version, tests=tests))
    made.program.chmod(0o755)
    return made


@functools.cache
def _driver() -> bytes | None:
    """A CUDA driver, compiled once a process; None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("ncu_driver.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libcuda.so.1"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        return library.read_bytes()
