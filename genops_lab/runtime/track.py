"""Run a ``%%track`` cell as a tracked run."""

from __future__ import annotations

import sys
from typing import Any, Dict

from .mlflow_messages import QuietRequirements
from .opening import Options, bridged, close_run, open_run
from .run import START_WAIT_S
from .scopes import Scope
from .source import simple_params
from .views import RunView


class TrackScope(Scope):
    """A run that is open while its cell runs."""

    def __init__(self, shell: Any, given: Any, code: str) -> None:
        params: Dict[str, Any] = {**simple_params(code, shell.user_ns), **dict(given.param)}
        options = Options(
            given.name, given.experiment, dict(given.tag), params, given.nested, given.resume,
            not given.no_source, not given.no_output, not given.no_system, not given.no_auto,
            given.autolog or given.log_models, given.log_models,
        )  # fmt: skip
        self.run = open_run(options)
        self._view = RunView(self.run)
        if not bridged(self.run, options, code):
            why = self.run.trouble or f"The Lab did not answer within {START_WAIT_S:.0f} s."
            print(
                f"GenOps: {why} The cell runs; data that it logs with genops is kept and appears when a Lab takes it. "
                "mlflow's own calls are not part of the run.",
                file=sys.stderr,
            )
        self._quiet = QuietRequirements()

    def close(self, status: str) -> None:
        """End the run and replace the view by a picture."""
        try:
            close_run(self.run, status)
        finally:
            self._quiet.close()
            self._view.finish()
