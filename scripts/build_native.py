"""Builds ``scan.c`` beside its source, where there is a C compiler. Standard library only.

Without one the package works all the same: it reads traces in Python, in up to two and a half times the processor time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "genops_lab" / "profiling" / "engine" / "reading" / "native"
SOURCE, LIBRARY = FOLDER / "scan.c", FOLDER / "scan.so"
FLAGS = ("-O3", "-std=c11", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden")


def compiler() -> list[str]:
    """The command that Python itself was built with, or the usual one; empty where there is none."""
    if os.name != "posix":
        return []
    compilers = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    commands = (shlex.split(command) for command in compilers if command)
    return next((command for command in commands if command and shutil.which(command[0])), [])


def build(*, library: Path = LIBRARY, flags: tuple[str, ...] = FLAGS) -> str:
    """Why it could not be built, and then none is there; "" where it was."""
    # Beside it and then in its place: there is always one for others, and one that is loaded is never written into.
    new = library.with_suffix(f".{os.getpid()}")
    reason = _compile(new, flags)
    if reason:
        new.unlink(missing_ok=True)
        library.unlink(missing_ok=True)
    else:
        new.replace(library)
    return reason


def _compile(target: Path, flags: tuple[str, ...]) -> str:
    command = compiler()
    if not command:
        return "there is no C compiler"
    done = subprocess.run(
        [*command, *flags, str(SOURCE), "-o", str(target)], capture_output=True, text=True, check=False
    )
    return f"{command[0]} says: {(done.stderr or done.stdout).strip()}" if done.returncode else ""


if __name__ == "__main__":
    reason = build()
    if reason:
        print(f"scan.c was not built: {reason}", file=sys.stderr)
        sys.exit(1)
