"""``%genops pull`` in a kernel on another host: that writes nothing here, the person is asked in JupyterLab."""

from __future__ import annotations

import argparse
from typing import Any, List, NoReturn

from .errors import GenOpsError
from .lab import call, segment

_CALL_S = 90.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GenOpsError(f"%genops pull: {message}.", "%genops pull [PATHS] [--theirs]")


def pull(arguments: List[str]) -> Any:
    """Ask, wait for the person, say what came. Raises GenOpsError."""
    parser = _Parser(prog="%genops pull", add_help=False)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--theirs", action="store_true")
    options = parser.parse_args(arguments)
    print("Looking at the files; JupyterLab asks you before any is brought.", flush=True)
    answer = call(
        "POST", "/folder/pull", {"paths": options.paths, "replace": options.theirs}, timeout_s=_CALL_S
    )
    while answer["state"] == "running":
        answer = call("GET", "/folder/pull/" + segment(answer["id"]), timeout_s=_CALL_S)
    print(answer["text"])
