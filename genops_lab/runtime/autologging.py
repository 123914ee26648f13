"""mlflow's own autologging, on for as long as a run is open."""

from __future__ import annotations

import copy
from typing import Any, Dict


class Autologging:
    """Switched on when made. mlflow must be there, and its active run be the one that is open.

    What the user has switched on before is as it was afterwards.
    """

    def __init__(self, *, log_models: bool) -> None:
        import mlflow
        from mlflow.utils import autologging_utils

        self._mlflow: Any = mlflow
        self._integrations: Dict[str, Any] = autologging_utils.AUTOLOGGING_INTEGRATIONS
        self._before = copy.deepcopy(dict(self._integrations))
        mlflow.autolog(log_models=log_models, silent=True)

    def close(self) -> None:
        """Off again, also for libraries that are imported later."""
        self._mlflow.autolog(disable=True, silent=True)
        self._integrations.update(self._before)
