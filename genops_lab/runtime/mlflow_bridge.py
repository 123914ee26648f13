"""The user's own ``mlflow.*`` calls inside a tracked cell land in the tracked run."""

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
    """Whether the cell calls ``start_run`` other than for runs below (``nested=True``)."""
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
    """Makes MLflow's active run ours for as long as the cell runs.

    Where mlflow is imported, or the cell names it, the run is resumed as the active one: flavours ask for the
    active run and do not look further, and runs that the cell nests stand below it. A cell that calls ``start_run``
    itself gets our run from ``MLFLOW_RUN_ID`` instead, as does an mlflow that is imported deep inside. ``tracking_uri``
    is where the Lab writes: on another host mlflow takes part where it uses the same server by itself. ``wanted``:
    mlflow shall take part though the cell does not name it.
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
                "GenOps: an MLflow run is active already; mlflow's calls go there, genops.log to the tracked run.",
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
            if self._experiment_id:  # runs that the cell starts below ours are where ours is
                os.environ[EXPERIMENT_VARIABLE] = self._experiment_id

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
