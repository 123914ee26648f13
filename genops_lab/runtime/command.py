"""Run ``%genops``: the Lab's command line, in the Lab's environment."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import linecache
import os
import signal
import socket
import subprocess
import sys
import threading
from types import FrameType
from typing import Any, Dict, List, NoReturn, Optional

from .deploying import Progress
from .display import show
from .errors import CommandFailed, GenOpsError
from .lab import call, segment
from .paths import is_remote
from .results import result_of
from .scopes import words

CLI_VARIABLE = "GENOPS_CLI"
#: These variables would lead the Lab's interpreter to the kernel's modules.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
#: The command answered from the readable part of a damaged trace, and says so.
_INCOMPLETE = 6
_EXIT_WORDS = {2: "wrong usage", 3: "not found", 4: "a conflict", 5: "a backend that does not answer"}

_PULL_S = 90.0


def command_line() -> List[str]:
    """Return the words that start the Lab's command line. Raises GenOpsError if there is none."""
    if is_remote():
        raise GenOpsError(
            "%genops runs commands in GenOps Lab, and this kernel runs on another host, "
            f"{socket.gethostname()}.",
            "Use the GenOps panel, or `genops ...` in a terminal of JupyterLab. %%track, %%profile, genops.log and "
            "`%genops pull` work here.",
        )
    given = os.environ.get(CLI_VARIABLE)
    if given:
        try:
            prefix = json.loads(given)
        except ValueError as error:
            raise GenOpsError(
                f"{CLI_VARIABLE} is not a JSON list.", "Unset it, or restart the kernel."
            ) from error
        return [str(part) for part in prefix]
    if importlib.util.find_spec("genops_lab.commands") is not None:
        return [sys.executable, "-m", "genops_lab.commands"]
    raise GenOpsError(
        "This environment has no command line of GenOps Lab.",
        "Use a kernel that JupyterLab with GenOps Lab started, or run `%pip install genops-lab` here.",
    )


def run_command(line: str, *, always: bool = False) -> Any:
    """Run ``%genops line``: print its progress, then its answer. Raises CommandFailed.

    Returns the answer's data in the class that fits it. As a statement of its own (or with ``always``) the
    answer is displayed and nothing is returned.
    """
    arguments = words(line)
    if arguments[:1] == ["memory"]:
        from .memory import memory_command

        return memory_command(arguments[1:])
    if arguments[:1] == ["redaction"] and arguments[1:2] in ([], ["show"], ["set"]):
        from .trace_redaction import redaction_command

        return redaction_command(arguments[1:])
    if is_remote() and arguments[:1] == ["pull"]:
        return pull(arguments[1:])
    if is_remote() and arguments[:2] == ["folders", "pull"]:
        return pull(arguments[2:])
    as_json = "--json" in arguments
    env = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    env["PYTHONIOENCODING"] = "utf-8"
    if not as_json:
        env["GENOPS_OUTPUT"] = "notebook"
    deploys = arguments[:1] == ["deploy"] or arguments[:2] == ["deployments", "add"]
    progress = Progress(follows=deploys and not as_json)
    try:
        output, code = _run([*command_line(), *arguments], env, progress, as_json)
        shown = _displayed(output, as_json, progress, always)
    finally:
        progress.finish()
    if code and code != _INCOMPLETE:
        said = _EXIT_WORDS.get(code, "interrupted" if code in (130, -signal.SIGINT) else "")
        raise CommandFailed(code, f"genops ended with exit code {code}" + (f": {said}." if said else "."))
    return shown


def _run(command: List[str], env: Dict[str, str], progress: Progress, as_json: bool) -> "tuple[str, int]":
    # The program gets its own session, so that an interrupt reaches it once, whatever the front end does.
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    collected: List[str] = []
    reader = threading.Thread(target=lambda: collected.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        _follow(process, progress, as_json)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
        process.wait()
        raise
    process.wait()
    reader.join()
    return "".join(collected), process.returncode


def _follow(process: "subprocess.Popen[str]", progress: Progress, as_json: bool) -> None:
    assert process.stderr is not None
    failing = as_json  # then the cell's standard output is the JSON alone
    for line in process.stderr:
        failing = failing or line.startswith(("Error:", "Usage:", "Traceback"))
        if failing or not progress.takes(line):
            print(line, end="", file=sys.stderr if failing else sys.stdout, flush=True)


def _displayed(output: str, as_json: bool, progress: Progress, always: bool) -> Any:
    if not output.strip():
        return None
    if as_json:
        print(output, end="")
        try:
            return _value_or_none(result_of(json.loads(output)))
        except ValueError:
            return None
    try:
        answer = json.loads(output)
        text, html = str(answer["text"]), str(answer.get("html") or "")
        data, view = answer.get("data"), str(answer.get("view") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        print(output, end="")  # `--help`, `--version`
        return None
    result = result_of(data, html, text, view)
    statement = always or _is_statement()
    bundle = {"text/plain": text, **({"text/html": html} if html else {})}
    if view == "deployment" and progress.answered(data, bundle if statement else None):
        return None if statement else result
    if not statement:
        return result
    show(bundle)
    return None


def _value_or_none(result: Any) -> Any:
    return None if _is_statement() else result


def _is_statement() -> bool:
    """Return whether the magic stands alone on its line, unlike ``name = %genops ...``."""
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None:
        # IPython names a cell's frame "<module>" or "<cell line: 1>".
        if frame.f_code.co_name.startswith("<") and "get_ipython" in frame.f_globals:
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
            return line.strip().startswith(("get_ipython().run_line_magic(", "%genops"))
        frame = frame.f_back
    return False


class _PullParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GenOpsError(f"%genops pull: {message}.", "%genops pull [PATHS] [--theirs]")


def pull(arguments: List[str]) -> Any:
    """Ask for a pull, wait for the user's choice, and print what was copied. Raises GenOpsError."""
    parser = _PullParser(prog="%genops pull", add_help=False)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--theirs", action="store_true")
    options = parser.parse_args(arguments)
    print("Comparing the files. JupyterLab asks you before it copies any.", flush=True)
    answer = call(
        "POST", "/folder/pull", {"paths": options.paths, "replace": options.theirs}, timeout_s=_PULL_S
    )
    while answer["state"] == "running":
        answer = call("GET", "/folder/pull/" + segment(answer["id"]), timeout_s=_PULL_S)
    print(answer["text"])
