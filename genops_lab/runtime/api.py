"""Public functions of ``import genops`` for notebooks and plain scripts."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Callable, ContextManager, Iterator, Mapping, Optional

from . import prompts
from .datasets import Fingerprint, fingerprint
from .errors import GenOpsError
from .opening import Options, bridged, close_run, default_name, open_run, profile_title
from .own_models import follow
from .run import END_WAIT_S, FAILED, FINISHED, KILLED, Run
from .state import runs

__all__ = [
    "GenOpsError",
    "Run",
    "chat",
    "dataset",
    "deployment",
    "end",
    "evaluate",
    "feedback",
    "log",
    "log_file",
    "log_histogram",
    "log_image",
    "log_predictions",
    "log_table",
    "log_text",
    "params",
    "predict",
    "profile",
    "prompts",
    "run",
    "start",
    "tag",
]

_warned_of_fork = False
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
    """Open a run and return it. From now on all threads of this process log to it.

    Example::

        genops.start("baseline", experiment="digits", params={"lr": 0.01})
        genops.log({"loss": 0.5}, step=1)
        genops.end()

    A run that opens while another one is open becomes its child, in the same experiment; ``nested=False``
    prevents that. ``resume`` continues a run: give its id, the beginning of its id, its name, or ``latest``.

    ``auto`` logs step time, learning rate and gradient norm of torch's optimizers. ``autolog`` switches on
    mlflow.autolog, and ``log_models`` lets it log models too. ``source=False`` keeps no code, uncommitted
    changes or packages, ``output=False`` nothing that is printed, and ``system_metrics=False`` no load of the
    machine.

    If mlflow is imported, its own calls go to the same run, and the function waits until the Lab has taken
    the run. Otherwise it does not wait. Raises GenOpsError for a run that cannot be continued.
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
    """End the innermost open run with the status FINISHED, FAILED or KILLED.

    Waits at most ``wait_s`` seconds until the Lab has all events. Raises GenOpsError if no run is open.
    """
    current = runs.current
    if current is None:
        raise GenOpsError("There is no open run to end.", "Open one with genops.start().")
    _close(current, status, wait_s)


@contextlib.contextmanager
def run(name: str = "", experiment: str = "", **options: Any) -> Iterator[Run]:
    """Open a run for the length of a ``with`` block.

    Example::

        with genops.run("baseline", params={"lr": 0.01}) as run:
            run.log({"loss": 0.5}, step=1)

    Takes the arguments of ``start``. The run is FAILED if the block raises and KILLED if it is interrupted.
    """
    opened = start(name, experiment, **options)
    try:
        yield opened
    except BaseException as error:
        _close(opened, KILLED if isinstance(error, KeyboardInterrupt) else FAILED, END_WAIT_S)
        raise
    _close(opened, FINISHED, END_WAIT_S)


def log(metrics: Mapping[str, Any], step: Optional[int] = None, timestamp: Optional[float] = None) -> None:
    """Log numbers to the current run, or to a new run named after the script or notebook. Never waits.

    Example::

        genops.log({"loss": loss.item(), "accuracy": 0.91}, step=epoch)

    Without ``step`` each call counts one step further. ``timestamp`` is in seconds since 1970. Raises
    TypeError for a value that is not a number.
    """
    _on_current(Run.log, metrics, step, timestamp)


def params(values: Mapping[str, Any]) -> None:
    """Set parameters of the current run. MLflow keeps the first value of each.

    Example::

        genops.params({"lr": 0.01, "layers": 3})
    """
    _on_current(Run.params, values)


def tag(values: Mapping[str, Any]) -> None:
    """Set tags of the current run. A later value replaces an earlier one.

    Example::

        genops.tag({"purpose": "demo"})
    """
    _on_current(Run.tag, values)


def log_text(text: str, path: str) -> None:
    """Keep a text of at most 4,000,000 characters as the artifact ``path`` of the current run.

    Example::

        genops.log_text(report, "reports/errors.txt")

    Raises GenOpsError for a longer text.
    """
    _on_current(Run.log_text, text, path)


def log_file(source: str, path: str = "") -> None:
    """Keep a file as an artifact of the current run. Leave the file in place until the run has ended.

    Example::

        genops.log_file("model.onnx", "models/model.onnx")

    Without ``path`` the artifact has the file's name. Raises GenOpsError if the file does not exist.
    """
    _on_current(Run.log_file, source, path)


def log_image(name: str, image: Any, step: Optional[int] = None) -> None:
    """Keep a picture with the current run at a step. Never waits for the Lab.

    Example::

        genops.log_image("samples", batch[0], step=epoch)

    ``image`` is an array or tensor, a PIL image, a matplotlib figure, the path of a file, or a file's bytes.
    Without ``step`` each picture of this name counts one step further. Raises GenOpsError for anything else.
    """
    _on_current(Run.log_image, name, image, step)


def log_histogram(name: str, values: Any, step: Optional[int] = None, bins: int = 64) -> None:
    """Keep the distribution of values at a step: of a tensor (counted on its device), an array or a list.

    Example::

        genops.log_histogram("weights", layer.weight, step=epoch, bins=64)

    The histogram has ``bins`` (1 to 512) of equal width from the smallest value to the largest. NaN and
    infinite values are counted apart. Without ``step`` each histogram of this name counts one step further.
    Raises GenOpsError for values that are not numbers.
    """
    _on_current(Run.log_histogram, name, values, step, bins)


def log_table(name: str, rows: Any, step: Optional[int] = None) -> None:
    """Keep rows with the current run at a step, such as answers of a model.

    Example::

        genops.log_table("answers", [{"question": "2 + 2", "answer": "4"}], step=epoch)

    ``rows`` is a list of dicts, a dict of lists, or a pandas data frame. At most 1,000 rows are kept. Without
    ``step`` each table of this name counts one step further. Raises GenOpsError for anything else.
    """
    _on_current(Run.log_table, name, rows, step)


def dataset(data: Any, name: str = "", context: str = "") -> Fingerprint:
    """Keep the fingerprint of a data set with the current run, as an MLflow dataset, and return it.

    Example::

        genops.dataset("data/train.parquet", context="training")

    ``data`` is the path of a file or folder, an address such as ``s3://...`` (which is not read), or a
    pandas, numpy or torch object. ``context`` says what the data is for. Raises GenOpsError for data that
    cannot be read.
    """
    current = _current()
    return fingerprint(data, name) if current is None else current.dataset(data, name, context)


def log_predictions(
    *,
    model: str,
    version: Any = "",
    data: Any,
    ids: Any = None,
    labels: Any = None,
    predictions: Any,
    scores: Any = None,
    groups: Any = None,
    latency_s: Any = None,
    against: Optional[str] = None,
    task: str = "",
) -> Any:
    """Keep predictions that you computed as an evaluation of a model version, and return its report.

    Example::

        genops.log_predictions(
            model="digits", version=3, data="holdout.parquet", ids=ids, labels=y, predictions=model.predict(x)
        )

    ``version`` is a number or an alias, or empty for the newest. ``data`` is the path of a file,
    ``NAME@DIGEST`` of a data set that MLflow knows, or an object with a fingerprint (:func:`dataset`).
    ``ids`` and ``predictions`` have the shape (rows,); without ``ids`` they are the row numbers. Without
    ``labels`` the Lab reads them from the data and joins by id. ``scores`` has a column a class (dict, data
    frame, or array of shape (rows, classes)), ``groups`` one a name. ``latency_s``: seconds for one row.
    ``against`` is a version or an alias (default: champion); its evaluation on the same data is compared.
    ``task``: "classification" or "regression" (default: from the values). Raises GenOpsError.
    """
    from .predictions import keep

    return keep(model, version, data, ids, labels, predictions, scores, groups, latency_s, against, task)


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
    """Record a ``with`` block with PyTorch's profiler.

    Example::

        with genops.profile("epoch", steps=10) as p:
            train()
        p.profile

    The recording skips ``warmup`` optimizer steps. It ends after ``steps`` further ones (10), ``seconds``
    (20), or ``megabytes`` of memory. Under Nsight Compute the defaults are 1 step and 60 s. A block without
    optimizer steps is recorded from its start.

    ``shapes``, ``stacks`` and ``memory`` record more and are slower. ``graphs`` keeps CUPTI attached for CUDA
    graphs. ``lines`` marks the lines of the cells or of this file.

    The trace goes to the Lab and to the current (or last) run. ``p.profile`` is its summary. Without a Lab
    the trace stays at ``p.trace_path``.
    """
    from .profiling import RecordingOptions, profiled

    wishes = RecordingOptions(steps, warmup, seconds, megabytes, shapes, stacks, memory, graphs, lines)
    return profiled(title or profile_title(), wishes)


def evaluate(file: Any, rows: Any = None, *, name: str = "", keep_running: bool = False, on: str = "") -> Any:
    """Evaluate what models answer to rows, and return the report: a mapping that a notebook shows as a card.

    Example::

        found = genops.evaluate(
            {
                "prompt": "What is the capital of {{country}}? Answer with its name alone.",
                "models": {"small": {"endpoint": "small"}, "large": {"endpoint": "large"}},
                "scorers": [{"scorer": "exact"}],
            },
            rows=[{"country": "Peru", "expected": "Lima"}],
        )
        found["report"]["scored"][0]["mean"]

    ``file`` is the path of an evaluation file, its text, or its content as a dict. ``rows`` is a data frame, a
    list of dicts or the path of a file; without it the file's ``data`` names one. ``name`` is what the
    evaluation calls the rows. An interrupt cancels the evaluation, except with ``keep_running``; the answers so
    far are kept. ``on``: the connected target on whose host models are asked and answers scored. Raises GenOpsError
    for a file that is wrong and an evaluation that stopped early, and LabAway.
    """
    from .evaluating import evaluate as run

    return run(file, rows, name=name, keep_running=keep_running, on=on)


def predict(name: str, inputs: Any, timeout_s: float = 60.0, request_id: str = "") -> Any:
    """Return the predictions of the deployment ``name`` for lists, dicts, numpy arrays, tensors or data
    frames.

    Example::

        genops.predict("digits", [[0.0, 1.0]])

    Waits at most ``timeout_s`` seconds. ``request_id`` names the request for ``feedback``. Raises GenOpsError
    with the model's message, or Refused if there is no such deployment.
    """
    from .serving import predict as ask

    return ask(name, inputs, timeout_s, request_id)


def feedback(request_id: str, name: str, value: float, deployment: str = "") -> bool:
    """Send an outcome of a request to the rollout that answered it, such as whether a person accepted it.

    Example::

        genops.predict("digits", rows, request_id="order-17")
        genops.feedback("order-17", "accepted", 1)

    ``name`` is an outcome of the rollout's policy. Returns whether the value was counted, and warns why not: the
    request is older than an hour, the value was sent before, or no rollout collects it. Without ``deployment``
    all rollouts are asked.
    """
    from .serving import feedback as send

    return send(request_id, name, value, deployment)


def chat(name: str, messages: Any, *, stream: bool = False, timeout_s: float = 600.0, **options: Any) -> Any:
    """Return the answer of the deployed language model ``name`` as text.

    Example::

        genops.chat("chat", "Hello", temperature=0, max_tokens=100)
        for part in genops.chat("chat", [{"role": "user", "content": "Hello"}], stream=True):
            print(part, end="")

    ``messages`` is a text, or messages with role and content. ``options`` are those of OpenAI's chat
    completions. With ``stream`` the parts arrive one by one. Waits at most ``timeout_s`` seconds for each.
    Raises GenOpsError with the engine's message, also for a stream that breaks off, or Refused if there is no
    such deployment.
    """
    from .chatting import chat as ask

    return ask(name, messages, stream, timeout_s, options)


def deployment(name: str) -> Any:
    """Return the deployment ``name``: a mapping with its state, URL and key, and ``predict(inputs)``.

    Example::

        genops.deployment("digits")["state"]

    Raises Refused if there is no such deployment.
    """
    from .serving import find

    return find(name)


def _on_current(method: Callable[..., None], *given: Any) -> None:
    current = _current()
    if current is not None:
        method(current, *given)


def _current() -> Optional[Run]:
    global _warned_of_fork
    if runs.muted:
        return None
    if runs.parent_had_run and runs.current is None:
        if not _warned_of_fork:
            _warned_of_fork = True
            print(
                "GenOps: a forked process does not log to its parent's run. "
                "To log here, open a run in this process: genops.start().",
                file=sys.stderr,
            )
        return None
    return runs.current_or(_implicit_run)


def _implicit_run() -> Run:
    title = default_name()
    print(
        f"GenOps: started the run {title!r}. It ends at genops.end(), or when this process ends.",
        file=sys.stderr,
    )
    return open_run(Options(title), implicit=True)


def _close(opened: Run, status: str, wait_s: float) -> None:
    if not close_run(opened, status, wait_s):
        print(f"GenOps: {opened.message}", file=sys.stderr)
