"""Send the user's own ``mlflow.*`` calls inside a tracked cell to the tracked run."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from typing import Any, Optional

from . import lab
from .errors import GenOpsError
from .paths import is_remote

RUN_VARIABLE = "MLFLOW_RUN_ID"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_ID"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
_OWN_CALLS_STAY_AWAY = (
    "GenOps: mlflow's own calls in a kernel on another host do not reach the tracked run. genops.log, "
    "genops.params, genops.tag, genops.log_text and genops.log_file do."
)


def _names(code: str) -> "set[str]":
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def _starts_a_run(code: str) -> bool:
    """Return whether the cell calls ``start_run`` without ``nested=True``."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    nested = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(
            word.arg == "nested" and isinstance(word.value, ast.Constant) and word.value.value is True
            for word in node.keywords
        ):
            nested.add(id(node.func))
    return any(
        id(node) not in nested
        and (node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "")
        == "start_run"
        for node in ast.walk(tree)
    )


class MlflowBridge:
    """Makes our run MLflow's active run while the cell runs.

    If mlflow is imported, or the cell names it, the run is resumed as the active one. Flavors only look at
    the active run, and nested runs of the cell become its children. A cell that calls ``start_run`` gets our
    run from ``MLFLOW_RUN_ID`` instead, as does an mlflow that is imported later.

    ``tracking_uri`` is where the Lab writes. On another host mlflow takes part only if it uses the same
    server. ``wanted``: mlflow takes part even if the cell does not name it.
    """

    def __init__(
        self, run_id: str, code: str, tracking_uri: str = "", *, experiment_id: str = "", wanted: bool = False
    ) -> None:
        self._run_id = run_id
        self._experiment_id = experiment_id
        #: whether mlflow's own calls reach the run
        self.takes_part = False
        self._given = {name: os.environ.get(name) for name in (RUN_VARIABLE, EXPERIMENT_VARIABLE)}
        names = _names(code)
        if is_remote() and not _is_given(tracking_uri):
            if wanted or "mlflow" in sys.modules or "mlflow" in names:
                print(_OWN_CALLS_STAY_AWAY, file=sys.stderr)
            return
        self._point_mlflow_to_the_lab()
        os.environ[RUN_VARIABLE] = run_id
        self.takes_part = True
        wanted = wanted or "mlflow" in sys.modules or "mlflow" in names
        if wanted and not _starts_a_run(code) and importlib.util.find_spec("mlflow") is not None:
            self._resume()

    def _resume(self) -> None:
        import mlflow

        from .state import runs

        active = mlflow.active_run()
        below = active is not None and active.info.run_id in {run.run_id for run in runs.all_open()}
        self.takes_part = active is None or below
        if not self.takes_part:
            print(
                "GenOps: an MLflow run is already active. mlflow's calls go to that run, genops.log to the "
                "tracked run.",
                file=sys.stderr,
            )
            return
        try:
            mlflow.start_run(run_id=self._run_id, nested=below)
        except Exception as error:  # whatever a foreign store raises: the cell runs, tracked without mlflow
            self.takes_part = False
            print(
                f"GenOps: mlflow's own calls in this cell do not reach the tracked run: {error}",
                file=sys.stderr,
            )
        else:
            os.environ.pop(RUN_VARIABLE, None)
            if self._experiment_id:  # child runs of the cell go to our run's experiment
                os.environ[EXPERIMENT_VARIABLE] = self._experiment_id

    def _point_mlflow_to_the_lab(self) -> None:
        """Set mlflow's tracking URI in a kernel that the Lab did not start."""
        if os.environ.get(URI_VARIABLE):
            return
        version = mlflow_version()
        if not version:
            return
        try:
            found = lab.call("GET", "/tracking/kernel", query={"mlflow_version": version}, timeout_s=20)
        except GenOpsError as error:
            print(f"GenOps: mlflow's own calls do not reach the Lab: {error}", file=sys.stderr)
            return
        os.environ[URI_VARIABLE] = found["tracking_uri"]
        if found.get("token"):
            os.environ["MLFLOW_TRACKING_TOKEN"] = found["token"]
        if found.get("artifact_root"):
            os.environ.setdefault("_MLFLOW_SERVER_ARTIFACT_ROOT", found["artifact_root"])

    def close(self, status: str) -> None:
        """End MLflow's active run if it is ours."""
        for name, given in self._given.items():
            if given is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = given
        mlflow: Optional[Any] = sys.modules.get("mlflow")
        active = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
        if mlflow is None or active is None or active.info.run_id != self._run_id:
            return
        try:
            mlflow.end_run(status)
        except Exception as error:  # its store may not answer any more; the Lab ends the run in any case
            print(f"GenOps: mlflow could not end its active run: {error}", file=sys.stderr)


def _is_given(tracking_uri: str) -> bool:
    """Return whether this environment's mlflow writes to the Lab's server."""
    given = os.environ.get(URI_VARIABLE, "").rstrip("/")
    return given.startswith(("http://", "https://")) and given == tracking_uri.rstrip("/")


def mlflow_version() -> str:
    """Return the version of mlflow in this environment; empty without mlflow."""
    import importlib.metadata

    for name in ("mlflow", "mlflow-skinny"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
