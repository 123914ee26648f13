"""``import genops``: the public functions for notebooks and plain scripts."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, ContextManager, Iterator, Mapping, Optional

from .datasets import Fingerprint, fingerprint
from .errors import GenOpsError
from .mlflow_bridge import MlflowBridge
from .places import notebook_path, script_path
from .run import END_WAIT_S, FAILED, FINISHED, KILLED, START_WAIT_S, Run
from .state import runs

__all__ = [
    "GenOpsError",
    "Run",
    "dataset",
    "deployment",
    "end",
    "log",
    "log_file",
    "log_text",
    "params",
    "predict",
    "profile",
    "run",
    "start",
    "tag",
]

_told_about_fork = False


def start(
    name: str = "",
    experiment: str = "",
    *,
    tags: Optional[Mapping[str, Any]] = None,
    params: Optional[Mapping[str, Any]] = None,
    system_metrics: bool = True,
    source: bool = True,
) -> Run:
    """Open a run; what is logged from now on goes there, from any thread.

    Where mlflow is imported already its own calls land in the same run, which is waited for then; otherwise
    nothing is waited for. Without ``source`` the run keeps no code, no diff and no list of packages.
    """
    title = name or default_name()
    opened = runs.push(
        Run(
            title,
            experiment or default_experiment(),
            tags={**_source_tags(), **(tags or {})},
            params=params,
            system_metrics=system_metrics,
        )
    )
    opened.keep(source=source)
    if "mlflow" in sys.modules:
        run_id = opened.wait_started(START_WAIT_S)
        if run_id:
            opened.bridge = MlflowBridge(run_id, "", opened.tracking_uri)
    return opened


def end(status: str = FINISHED, wait_s: float = END_WAIT_S) -> None:
    """End the innermost open run (FINISHED, FAILED or KILLED); waits at most ``wait_s`` seconds for the Lab."""
    current = runs.current
    if current is None:
        raise GenOpsError("There is no open run to end.", "Open one with genops.start().")
    _close(current, status, wait_s)


@contextlib.contextmanager
def run(
    name: str = "",
    experiment: str = "",
    *,
    tags: Optional[Mapping[str, Any]] = None,
    params: Optional[Mapping[str, Any]] = None,
    system_metrics: bool = True,
    source: bool = True,
) -> Iterator[Run]:
    """``with genops.run("name") as run:``; FAILED when the block raises, KILLED when it is interrupted."""
    opened = start(name, experiment, tags=tags, params=params, system_metrics=system_metrics, source=source)
    try:
        yield opened
    except BaseException as error:
        _close(opened, KILLED if isinstance(error, KeyboardInterrupt) else FAILED, END_WAIT_S)
        raise
    _close(opened, FINISHED, END_WAIT_S)


def log(metrics: Mapping[str, Any], step: Optional[int] = None, timestamp: Optional[float] = None) -> None:
    """Log numbers to the current run, or to a new one named after the script or notebook.

    Without ``step`` each call is one step further. ``timestamp`` is in seconds since 1970. Never waits.
    """
    current = _current()
    if current is not None:
        current.log(metrics, step, timestamp)


def params(values: Mapping[str, Any]) -> None:
    """Set parameters of the current run; MLflow keeps the first value of each."""
    current = _current()
    if current is not None:
        current.params(values)


def tag(values: Mapping[str, Any]) -> None:
    """Set tags of the current run."""
    current = _current()
    if current is not None:
        current.tag(values)


def log_text(text: str, path: str) -> None:
    """Keep a text as an artifact of the current run."""
    current = _current()
    if current is not None:
        current.log_text(text, path)


def log_file(source: str, path: str = "") -> None:
    """Keep a file as an artifact of the current run; leave it in place until the run has ended."""
    current = _current()
    if current is not None:
        current.log_file(source, path)


def dataset(data: Any, name: str = "", context: str = "") -> Fingerprint:
    """Keep the fingerprint of a data set with the current run, as MLflow's data set, and return it.

    ``data`` is the path of a file or folder, an address such as ``s3://...`` (which is not read), a pandas, numpy or
    torch object. ``context`` says what it is for, such as ``training``.
    """
    current = _current()
    return fingerprint(data, name) if current is None else current.dataset(data, name, context)


def profile(title: str = "", *, seconds: float = 20.0, shapes: bool = False) -> ContextManager[Any]:
    """``with genops.profile() as p:`` records the block with PyTorch's profiler, for at most ``seconds``.

    The trace goes to the Lab and to the current (or last) run; ``p.profile`` is its summary afterwards.
    """
    from .profiling import profiled

    return profiled(title or default_name(), seconds=seconds, shapes=shapes)


def predict(name: str, inputs: Any, timeout_s: float = 60.0) -> Any:
    """The predictions of the deployment ``name`` for lists, dicts, numpy arrays, tensors or data frames."""
    from .serving import predict as ask

    return ask(name, inputs, timeout_s)


def deployment(name: str) -> Any:
    """The deployment ``name``: a mapping with its state, URL and key, and ``predict(inputs)``."""
    from .serving import find

    return find(name)


def default_name() -> str:
    """The notebook's or script's name without its ending."""
    path = notebook_path() or script_path()
    return os.path.splitext(os.path.basename(path))[0] or "python"


def default_experiment() -> str:
    """What ``MLFLOW_EXPERIMENT_NAME`` says, else the notebook's name, else MLflow's own default."""
    notebook = os.path.splitext(os.path.basename(notebook_path()))[0]
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or notebook or "Default"


def _source_tags() -> Mapping[str, str]:
    return {"python": ".".join(str(part) for part in sys.version_info[:3])}


def _current() -> Optional[Run]:
    global _told_about_fork
    if runs.muted:
        return None
    if runs.parent_had_run and runs.current is None:
        if not _told_about_fork:
            _told_about_fork = True
            print(
                "GenOps: a forked process does not log into its parent's run. "
                "Call genops.start() here for a run of its own.",
                file=sys.stderr,
            )
        return None
    return runs.current_or(_implicit_run)


def _implicit_run() -> Run:
    title = default_name()
    print(
        f"GenOps: started the run {title!r}; it ends with genops.end() or with this process.", file=sys.stderr
    )
    opened = Run(title, default_experiment(), tags=_source_tags())
    opened.keep()
    return opened


def _close(opened: Run, status: str, wait_s: float) -> None:
    if opened.bridge is not None:
        opened.bridge.close(status)
    safe = opened.end(status, wait_s)
    runs.remove(opened)
    if not safe:
        print(f"GenOps: {opened.message}", file=sys.stderr)
