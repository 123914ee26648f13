"""Run the command of a rule: this happens where the command line runs, not in the Lab."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from .models import CommandResult
from .plan import Command

#: Bytes of the output that are read, and characters that a report keeps.
MOST_READ, MOST_SAID = 64_000, 500


def run_command(rule: Command, folder: Path, model: str, version: str) -> CommandResult:
    """Run a rule's command without a shell in ``folder``, and return its end. Blocks.

    The command gets the model as GENOPS_MODEL and GENOPS_VERSION. JSON on its standard output is kept: all of it, or
    the text of its key ``message``. Its standard error is shown. It ends with all its children after ``limit_s``.

    >>> run_command(Command(run=["true"]), Path("."), "digits", "3").exit_code
    0
    """
    environment = {**os.environ, "GENOPS_MODEL": model, "GENOPS_VERSION": version}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                rule.run, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return CommandResult(problem=f"cannot be started: {getattr(error, 'strerror', None) or error}")
        try:
            code = process.wait(rule.limit_s)
        except subprocess.TimeoutExpired:
            return CommandResult(problem=f"did not end within {rule.limit_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = _said(output.read(MOST_READ + 1))
    if code < 0:
        return CommandResult(problem=f"was ended by signal {-code}", said=said)
    return CommandResult(exit_code=code, said=said)


def _said(output: bytes) -> str:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return ""
    message = found.get("message") if isinstance(found, dict) else None
    if isinstance(message, str):
        return message[:MOST_SAID]
    return json.dumps(found, ensure_ascii=False)[:MOST_SAID]
