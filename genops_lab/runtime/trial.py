"""Run a trial inside its fresh kernel; the server calls these functions between the cells that it runs.

The order is :func:`begin`, the cells before the trial's own, :func:`prepare`, the cell that sets names,
:func:`open_run`, the trial's cell. The run ends with that cell, with or without a Lab.
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any, Callable, Dict

from . import opening
from .display import shell
from .errors import GenOpsError
from .imports import when_imported
from .paths import is_remote
from .run import START_WAIT_S
from .scopes import status_of
from .source import simple_params
from .state import runs
from .value_substitution import placed

#: Set in a trial's kernel, so that no trial starts sweeps.
VARIABLE = "GENOPS_TRIAL"
#: Seconds for a trial's run to reach the Lab, before its kernel may end.
END_WAIT_S = 60.0


def answer(function: str, text: str) -> str:
    """Call one of the functions below with a JSON text: ``{"value"}``, or an error's ``{"message", "hint"}``."""
    known = {"begin": begin, "prepare": prepare, "open_run": open_run}
    try:
        return json.dumps({"value": known[function](json.loads(text))})
    except GenOpsError as error:
        return json.dumps({"message": error.message, "hint": error.hint})


def begin(given: Dict[str, Any]) -> None:
    """Prepare the kernel: the notebook's folder, the magics. Logs of the cells before the trial are dropped."""
    from .magics import offer_api, register

    folder = given["cwd"]
    if folder and not is_remote() and os.path.isdir(folder):
        os.chdir(folder)
    register(_shell())
    offer_api(_shell())
    runs.muted = True


def prepare(given: Dict[str, Any]) -> Dict[str, str]:
    """Return the trial's cells with its values in place. Raises GenOpsError for a wrong name."""
    found = placed(given["code"], given["params"], _shell().transform_cell, given["optional"])
    return {"before": found.before, "cell": found.cell}


def open_run(given: Dict[str, Any]) -> None:
    """Open the trial's run for the next cell. Raises GenOpsError if no Lab takes it."""
    runs.muted = False
    seed = given.get("seed")
    if seed is not None:
        seed_all(int(seed))
    _Trial(_shell(), given)


def seed_all(seed: int) -> Callable[[], None]:
    """Seed ``random`` now, and numpy and torch when they are imported, so that a cell without them need not
    wait.

    The returned function cancels the seeds of packages that are not imported yet.
    """
    random.seed(seed)
    numpy = when_imported(
        "numpy", lambda module: module.random.seed(seed % 2**32)
    )  # the range that numpy accepts
    torch = when_imported("torch", lambda module: module.manual_seed(seed))

    def forget() -> None:
        numpy()
        torch()

    return forget


class _Trial:
    """The run that is open while the trial's cell runs."""

    def __init__(self, session: Any, given: Dict[str, Any]) -> None:
        self._shell = session
        code = session.transform_cell(given["cell"])
        params = {**simple_params(code, session.user_ns), **given["params"]}
        options = opening.Options(
            given["name"], given["experiment"], given["tags"], params, nested=False, **given["track"]
        )
        self._run = opening.open_run(options)
        if not opening.bridged(self._run, options, code):
            why = self._run.trouble or f"The Lab did not answer within {START_WAIT_S:.0f} s."
            opening.close_run(self._run, "KILLED")
            raise GenOpsError(
                f"Could not start the trial's run: {why}", "To find the cause, run `genops doctor`."
            )
        session.events.register("post_run_cell", self._after)

    def _after(self, result: Any) -> None:
        self._shell.events.unregister("post_run_cell", self._after)
        error = KeyboardInterrupt() if result is None else result.error_before_exec or result.error_in_exec
        if not opening.close_run(self._run, status_of(error), END_WAIT_S):
            print(f"GenOps: {self._run.message}", file=sys.stderr)


def _shell() -> Any:
    found = shell()
    if found is None:
        raise GenOpsError("A trial needs an IPython kernel.", "Choose a Python kernel: --on NAME.")
    return found
