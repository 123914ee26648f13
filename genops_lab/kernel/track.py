"""``%%track``: the cell as a tracked run."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

from .api import default_experiment
from .mlflow_bridge import MlflowBridge
from .options import as_dict
from .run import START_WAIT_S, Run
from .scopes import Scope
from .source import simple_params
from .state import runs
from .views import RunView


class TrackScope(Scope):
    """A run that is open while its cell runs."""

    def __init__(self, shell: Any, options: Any, code: str) -> None:
        params: Dict[str, Any] = {**simple_params(code, shell.user_ns), **as_dict(options.param)}
        tags = {"python": ".".join(str(part) for part in sys.version_info[:3]), **as_dict(options.tag)}
        self.run = runs.push(
            Run(
                options.name,
                options.experiment or default_experiment(),
                tags=tags,
                params=params,
                system_metrics=not options.no_system,
            )
        )
        self._view = RunView(self.run)
        self.run.keep(source=not options.no_source)
        self._bridge: Optional[MlflowBridge] = None
        run_id = self.run.wait_started(START_WAIT_S)
        if run_id:
            self._bridge = MlflowBridge(run_id, code, self.run.tracking_uri)
        else:
            why = self.run.trouble or f"The Lab did not answer within {START_WAIT_S:.0f} s."
            print(
                f"GenOps: {why} The cell runs; what it logs with genops is kept and appears when a Lab takes it. "
                "mlflow's own calls are not part of the run.",
                file=sys.stderr,
            )

    def close(self, status: str) -> None:
        """End the run; the view becomes a picture."""
        try:
            if self._bridge is not None:
                self._bridge.close(status)
            self.run.end(status)
        finally:
            runs.remove(self.run)
            self._view.finish()
