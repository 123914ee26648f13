"""Open and close runs: find the parent or the run to continue, and start what is recorded with it."""

from __future__ import annotations

import copy
import os
import sys
import threading
from typing import Any, Dict, Mapping, NamedTuple, Optional

from .display import in_notebook, shell
from .errors import GenOpsError
from .mlflow_bridge import MlflowBridge, mlflow_version
from .optimizers import OptimizerHooks
from .output import OutputKeeper
from .paths import notebook_path, script_path
from .resuming import resumption
from .run import END_WAIT_S, START_WAIT_S, Run
from .state import runs


class Options(NamedTuple):
    """The arguments of ``genops.start``. ``nested=None``: child of the open run, unless that run opened by
    itself.
    """

    name: str = ""
    experiment: str = ""
    tags: Mapping[str, Any] = {}
    params: Mapping[str, Any] = {}
    nested: Optional[bool] = None
    resume: str = ""
    source: bool = True
    output: bool = True
    system_metrics: bool = True
    auto: bool = True
    autolog: bool = False
    log_models: bool = False


def open_run(options: Options, *, implicit: bool = False) -> Run:
    """Open a run, which becomes the current one. Raises GenOpsError for a run that cannot be continued."""
    parent = _parent(options.nested)
    earlier = None
    if options.resume:
        if options.nested:
            raise GenOpsError(
                "A continued run keeps its parent, so resume and nested exclude each other.",
                "Leave nested out.",
            )
        parent, earlier = None, resumption(options.resume)
    inherited = parent.experiment if parent is not None else ""
    python = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    opened = runs.push(
        Run(
            options.name,
            options.experiment or inherited or default_experiment(),
            tags={**python, **options.tags},
            params=options.params,
            system_metrics=options.system_metrics,
            parent=parent,
            resumed=earlier,
        )
    )
    opened.implicit = implicit
    opened.keep(source=options.source)
    if options.output:
        opened.until_end.append(OutputKeeper(opened).finish)
    if options.auto:
        opened.until_end.append(OptimizerHooks(opened, opened.next_steps().auto).close)
    return opened


def bridged(opened: Run, options: Options, code: str) -> bool:
    """Make mlflow's own calls part of a run; return whether the Lab took the run in time."""
    run_id = opened.wait_started(START_WAIT_S)
    if run_id:
        opened.bridge = MlflowBridge(
            run_id, code, opened.tracking_uri, experiment_id=opened.experiment_id, wanted=options.autolog
        )
    if options.autolog:
        _autolog(opened, options.log_models)
    return bool(run_id)


def _autolog(opened: Run, log_models: bool) -> None:
    if not mlflow_version():
        why = "mlflow is not installed here: %pip install mlflow"
    elif opened.bridge is None or not opened.bridge.takes_part:
        why = "mlflow's calls do not reach this run"
    else:
        opened.until_end.append(Autologging(log_models=log_models).close)
        # mlflow writes in threads that stop at a script's end before the open runs are ended.
        register = getattr(threading, "_register_atexit", None)  # Python 3.9 and later
        if register is not None:
            register(lambda: opened.ended or close_run(opened, runs.failure))
        return
    print(f"GenOps: autologging is off: {why}.", file=sys.stderr)


def close_run(opened: Run, status: str, wait_s: float = END_WAIT_S) -> bool:
    """End a run; return whether all of it is safe."""
    try:
        if opened.bridge is not None:
            opened.bridge.close(status)
        return opened.end(status, wait_s)
    finally:
        runs.remove(opened)


def _parent(nested: Optional[bool]) -> Optional[Run]:
    current = runs.current
    if nested and current is None:
        raise GenOpsError(
            "nested=True needs an open run, and no run is open.",
            "Call genops.start() first, or leave nested out.",
        )
    if current is None or nested is False or (nested is None and current.implicit):
        return None
    return current


def default_name() -> str:
    """Return the notebook's or script's name without its suffix."""
    path = notebook_path() or script_path()
    return os.path.splitext(os.path.basename(path))[0] or "python"


def profile_title() -> str:
    """Return the default name with the number of the running cell: a notebook has many profiles."""
    if not in_notebook():
        return default_name()
    # In some versions of IPython the shell's own count is that of the next cell already.
    return f"{default_name()} [{len(shell().history_manager.input_hist_raw) - 1}]"


def default_experiment() -> str:
    """Return ``MLFLOW_EXPERIMENT_NAME``, else the notebook's name, else MLflow's default."""
    notebook = os.path.splitext(os.path.basename(notebook_path()))[0]
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or notebook or "Default"


class Autologging:
    """Switches mlflow.autolog on until it is closed. mlflow must be importable and our run its active one.

    ``close`` restores the user's own settings of autologging.
    """

    def __init__(self, *, log_models: bool) -> None:
        import mlflow
        from mlflow.utils import autologging_utils

        self._mlflow: Any = mlflow
        self._integrations: Dict[str, Any] = autologging_utils.AUTOLOGGING_INTEGRATIONS
        self._before = copy.deepcopy(dict(self._integrations))
        mlflow.autolog(log_models=log_models, silent=True)

    def close(self) -> None:
        """Switch autologging off, also for libraries that are imported later."""
        self._mlflow.autolog(disable=True, silent=True)
        self._integrations.update(self._before)
