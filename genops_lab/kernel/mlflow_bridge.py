"""The user's own ``mlflow.*`` calls inside a tracked cell land in the tracked run."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from typing import Any, Optional

from . import lab
from .errors import GenOpsError
from .places import is_remote

RUN_VARIABLE = "MLFLOW_RUN_ID"
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


class MlflowBridge:
    """Makes MLflow's active run ours for as long as the cell runs.

    Where mlflow is imported, or the cell names it, the run is resumed as the active one: flavours ask for the
    active run and do not look further. A cell that calls ``start_run`` itself gets our run from
    ``MLFLOW_RUN_ID`` instead, as does an mlflow that is imported deep inside. ``tracking_uri`` is where the Lab
    writes: on another host mlflow takes part where it uses the same server by itself.
    """

    def __init__(self, run_id: str, code: str, tracking_uri: str = "") -> None:
        self._run_id = run_id
        self._given = os.environ.get(RUN_VARIABLE)
        names = _names(code)
        if is_remote() and not _is_given(tracking_uri):
            if "mlflow" in sys.modules or "mlflow" in names:
                print(_OWN_CALLS_STAY_AWAY, file=sys.stderr)
            return
        self._point_mlflow_to_the_lab()
        os.environ[RUN_VARIABLE] = run_id
        wanted = "mlflow" in sys.modules or "mlflow" in names
        if wanted and "start_run" not in names and importlib.util.find_spec("mlflow") is not None:
            self._resume()

    def _resume(self) -> None:
        import mlflow

        if mlflow.active_run() is not None:
            print(
                "GenOps: an MLflow run is active already; mlflow's calls go there, genops.log to the tracked run.",
                file=sys.stderr,
            )
            return
        try:
            mlflow.start_run(run_id=self._run_id)
        except Exception as error:  # whatever a foreign store raises: the cell runs, tracked without mlflow
            print(
                f"GenOps: mlflow's own calls in this cell do not reach the tracked run: {error}",
                file=sys.stderr,
            )
        else:
            os.environ.pop(RUN_VARIABLE, None)

    def _point_mlflow_to_the_lab(self) -> None:
        """In a kernel that the Lab did not start nothing says yet where mlflow shall write."""
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
        """Leave mlflow without an active run of ours."""
        if self._given is None:
            os.environ.pop(RUN_VARIABLE, None)
        else:
            os.environ[RUN_VARIABLE] = self._given
        mlflow: Optional[Any] = sys.modules.get("mlflow")
        active = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
        if mlflow is None or active is None or active.info.run_id != self._run_id:
            return
        try:
            mlflow.end_run(status)
        except Exception as error:  # its store may be gone by now; the Lab ends the run in any case
            print(f"GenOps: mlflow could not end its active run: {error}", file=sys.stderr)


def _is_given(tracking_uri: str) -> bool:
    """Whether this environment's mlflow writes to the server that the Lab writes to."""
    given = os.environ.get(URI_VARIABLE, "").rstrip("/")
    return given.startswith(("http://", "https://")) and given == tracking_uri.rstrip("/")


def mlflow_version() -> str:
    """The version of mlflow in this environment; empty where there is none."""
    import importlib.metadata

    for name in ("mlflow", "mlflow-skinny"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
