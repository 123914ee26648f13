"""``import genops``: the public functions for notebooks and plain scripts."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Callable, ContextManager, Iterator, Mapping, Optional

from .datasets import Fingerprint, fingerprint
from .errors import GenOpsError
from .opening import Options, bridged, close_run, default_name, open_run, profile_title
from .own_models import follow
from .run import END_WAIT_S, FAILED, FINISHED, KILLED, Run
from .state import runs

__all__ = [
    "GenOpsError",
    "Run",
    "dataset",
    "deployment",
    "end",
    "log",
    "log_file",
    "log_histogram",
    "log_image",
    "log_table",
    "log_text",
    "params",
    "predict",
    "profile",
    "run",
    "start",
    "tag",
]

_told_about_fork = False
follow()


def start(
    name: str = "",
    experiment: str = "",
    *,
    tags: Optional[Mapping[str, Any]] = None,
    params: Optional[Mapping[str, Any]] = None,
    nested: Optional[bool] = None,
    resume: str = "",
    source: bool = True,
    output: bool = True,
    system_metrics: bool = True,
    auto: bool = True,
    autolog: bool = False,
    log_models: bool = False,
) -> Run:
    """Open a run; what is logged from now on goes there, from any thread.

    Opened while another one is open it stands below that one, in the same experiment (``nested=False``: by itself).
    ``resume`` goes on with an existing run: an id, its beginning, a name, or ``latest``.

    Where mlflow is imported already its own calls land in the same run, which is waited for then; otherwise
    nothing is waited for. ``auto`` logs step time, learning rate and gradient norm of torch's optimizers, ``autolog``
    what mlflow.autolog finds (with the models only if ``log_models``). Without ``source`` the run keeps no code, no
    diff and no list of packages, without ``output`` nothing that is printed.
    """
    options = Options(
        name or ("" if resume else default_name()), experiment, tags or {}, params or {}, nested, resume, source,
        output, system_metrics, auto, autolog, log_models,
    )  # fmt: skip
    opened = open_run(options)
    if "mlflow" in sys.modules or autolog:
        bridged(opened, options, "")
    return opened


def end(status: str = FINISHED, wait_s: float = END_WAIT_S) -> None:
    """End the innermost open run (FINISHED, FAILED or KILLED); waits at most ``wait_s`` seconds for the Lab."""
    current = runs.current
    if current is None:
        raise GenOpsError("There is no open run to end.", "Open one with genops.start().")
    _close(current, status, wait_s)


@contextlib.contextmanager
def run(name: str = "", experiment: str = "", **options: Any) -> Iterator[Run]:
    """``with genops.run("name") as run:``; FAILED when the block raises, KILLED when it is interrupted.

    Takes what ``start`` takes.
    """
    opened = start(name, experiment, **options)
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
    _on_current(Run.log, metrics, step, timestamp)


def params(values: Mapping[str, Any]) -> None:
    """Set parameters of the current run; MLflow keeps the first value of each."""
    _on_current(Run.params, values)


def tag(values: Mapping[str, Any]) -> None:
    """Set tags of the current run."""
    _on_current(Run.tag, values)


def log_text(text: str, path: str) -> None:
    """Keep a text as an artifact of the current run."""
    _on_current(Run.log_text, text, path)


def log_file(source: str, path: str = "") -> None:
    """Keep a file as an artifact of the current run; leave it in place until the run has ended."""
    _on_current(Run.log_file, source, path)


def log_image(name: str, image: Any, step: Optional[int] = None) -> None:
    """Keep a picture of the current run at a step: an array or tensor, a PIL image, a matplotlib figure, a path, bytes.

    Without ``step`` each picture of this name is one step further. Never waits for the Lab.
    """
    _on_current(Run.log_image, name, image, step)


def log_histogram(name: str, values: Any, step: Optional[int] = None, bins: int = 64) -> None:
    """Keep how values are spread at a step: of a tensor (counted on its device), an array or a list.

    ``bins`` of equal width from the smallest value to the largest, at most 512; NaN and infinite values are counted
    apart. Without ``step`` each histogram of this name is one step further.
    """
    _on_current(Run.log_histogram, name, values, step, bins)


def log_table(name: str, rows: Any, step: Optional[int] = None) -> None:
    """Keep rows of the current run at a step, such as answers of a model: a list of dicts, a dict of lists, or a pandas
    data frame; at most 1,000 rows. Without ``step`` each table of this name is one step further."""
    _on_current(Run.log_table, name, rows, step)


def dataset(data: Any, name: str = "", context: str = "") -> Fingerprint:
    """Keep the fingerprint of a data set with the current run, as MLflow's data set, and return it.

    ``data`` is the path of a file or folder, an address such as ``s3://...`` (which is not read), a pandas, numpy or
    torch object. ``context`` says what it is for, such as ``training``.
    """
    current = _current()
    return fingerprint(data, name) if current is None else current.dataset(data, name, context)


def profile(
    title: str = "",
    *,
    steps: int = 0,
    warmup: int = 2,
    seconds: float = 0.0,
    megabytes: float = 200.0,
    shapes: bool = False,
    stacks: bool = False,
    memory: bool = False,
    graphs: bool = False,
    lines: bool = True,
) -> ContextManager[Any]:
    """``with genops.profile() as p:`` records the block with PyTorch's profiler.

    At most ``steps`` optimizer steps (10) behind ``warmup`` unrecorded ones, ``seconds`` (20), or ``megabytes`` of
    memory; with Nsight Compute 1 step and 60 s where nothing is said.
    A block without optimizer steps is recorded from its start. ``shapes``, ``stacks`` and ``memory`` record more and
    are slower, ``graphs`` keeps CUPTI attached for CUDA graphs, ``lines`` marks the lines of the cells or of this file.
    The trace goes to the Lab and to the current (or last) run; ``p.profile`` is its summary afterwards. Without a Lab
    the trace is kept at ``p.trace_path``.
    """
    from .profiling import RecordingOptions, profiled

    wishes = RecordingOptions(steps, warmup, seconds, megabytes, shapes, stacks, memory, graphs, lines)
    return profiled(title or profile_title(), wishes)


def predict(name: str, inputs: Any, timeout_s: float = 60.0) -> Any:
    """The predictions of the deployment ``name`` for lists, dicts, numpy arrays, tensors or data frames."""
    from .serving import predict as ask

    return ask(name, inputs, timeout_s)


def deployment(name: str) -> Any:
    """The deployment ``name``: a mapping with its state, URL and key, and ``predict(inputs)``."""
    from .serving import find

    return find(name)


def _on_current(method: Callable[..., None], *given: Any) -> None:
    current = _current()
    if current is not None:
        method(current, *given)


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
    return open_run(Options(title), implicit=True)


def _close(opened: Run, status: str, wait_s: float) -> None:
    if not close_run(opened, status, wait_s):
        print(f"GenOps: {opened.message}", file=sys.stderr)
