"""Log to a tracked run from the process that trains."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Set

from ..redaction.secret_names import MIN_VALUE, is_secret, remember
from ..redaction.texts import VARIABLE, mark
from .datasets import Fingerprint, fingerprint
from .errors import GenOpsError
from .histograms import DEFAULT_BINS, histogram
from .history import DIVERGED, History
from .media import MediaSteps, image_event, table_event
from .paths import is_remote, script_path, this_process
from .provenance import ProvenanceKeeper, redactor_now
from .sender import Ack, Sender
from .spool import Spool
from .steps import Steps
from .system import SystemSampler
from .values import MAX_TEXT_CHARACTERS, clean, number, spelled

if TYPE_CHECKING:
    from .mlflow_bridge import MlflowBridge
    from .resuming import Resumption

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"

END_WAIT_S = 8.0
#: The Lab's first use of MLflow takes seconds, on a busy machine many. Without a Lab there is no wait.
START_WAIT_S = 60.0


#: Seconds for which automatic metrics wait, until the user's own names are known.
HELD_S = 3.0
#: Characters of the tag that names diverged metrics.
_TAG_CHARACTERS = 1000


class _Auto(NamedTuple):
    values: Dict[str, float]
    step: int
    timestamp: float


class Run:
    """One run. ``log`` writes to a file, which a thread sends to the Lab and the Lab to MLflow: it never
    waits.

    Example::

        with genops.run("baseline") as run:
            run.log({"loss": 0.5}, step=1)

    ``run_id`` is MLflow's id, empty until the Lab has answered.
    """

    def __init__(
        self,
        name: str = "",
        experiment: str = "",
        *,
        tags: Optional[Mapping[str, Any]] = None,
        params: Optional[Mapping[str, Any]] = None,
        system_metrics: bool = True,
        parent: Optional["Run"] = None,
        resumed: Optional["Resumption"] = None,
    ) -> None:
        self.key = uuid.uuid4().hex
        redactor = redactor_now()
        self.name = redactor.redact(clean(name)) or ("" if resumed is None else resumed.name)
        self.experiment = redactor.redact(clean(experiment))
        self.status = RUNNING
        self.message = ""
        self.started_at = time.time()
        self.ended_at: Optional[float] = None
        self.history = History()
        self.shown_params: Dict[str, str] = {}
        self.run_id = ""
        self.experiment_id = ""
        #: where the Lab writes, without credentials; empty for a store that only the Lab can open
        self.tracking_uri = ""
        #: opened by the first genops.log
        self.implicit = False
        #: the folder of this session, in a run that is continued; empty for a run's first session
        self.session = "" if resumed is None else resumed.session
        #: the key of the run's first session or, for a continued run, MLflow's id: either finds the run
        self.first_key = self.key if resumed is None else resumed.run_key
        self.known_id = "" if resumed is None else resumed.run_id
        self.before = None if resumed is None else resumed.before
        #: the number of the last cell that is kept
        self.kept_cells = 0
        self._steps = Steps() if resumed is None else resumed.steps
        self._next_step = self._steps.own
        self._named: Set[str] = set()
        self._held: Optional[List[_Auto]] = []
        self._media_steps = MediaSteps(self.key)
        self._warned: Dict[str, bool] = {}
        self._lock = threading.RLock()
        process = this_process()
        self._spool = Spool(self.key, process)
        given = _without_secrets(params or {})
        self.shown_params.update(given)
        self._keeper: Optional[ProvenanceKeeper] = None
        #: functions that end recordings which last until the run ends
        self.until_end: List[Callable[[], None]] = []
        start = {
            "name": self.name,
            "experiment": self.experiment,
            "script": script_path(),
            "tags": _without_secrets(tags or {}),
            "params": given,
        }
        if parent is not None:
            start["parent"] = parent.key
        if resumed is not None:
            start["experiment"] = self.experiment = resumed.experiment
            start["resume"] = {"run_id": resumed.run_id, "run_key": resumed.run_key}
        self._spool.append("start", self.started_at, start)
        #: makes mlflow's own calls part of this run, if requested
        self.bridge: Optional[MlflowBridge] = None
        after = (
            self.before.sender if self.before is not None else parent.sender if parent is not None else None
        )
        self.sender: Sender = Sender(
            self.key,
            process,
            self._spool,
            self._hear,
            after,
            whole=resumed is not None,
            after_file=resumed.file if resumed is not None else "",
        )
        self._sampler = SystemSampler(self._log_system, self._steps.system) if system_metrics else None
        if self._spool.trouble:
            self._warn("disk", f"Events are kept in memory only ({self._spool.trouble}).")

    def _hear(self, ack: Optional[Ack], trouble: str) -> None:
        if ack is not None:
            self.run_id = str(ack.get("run_id") or "")
            self.name = str(ack.get("name") or self.name)
            self.experiment_id = str(ack.get("experiment_id") or "")
            self.tracking_uri = str(ack.get("tracking_uri") or "")
        self.message = f"{trouble} Logged data is kept and sent later." if trouble else ""

    @property
    def ended(self) -> bool:
        """Whether ``end`` was called."""
        return self.status != RUNNING

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, up to the end."""
        return (self.ended_at or time.time()) - self.started_at

    @property
    def safe(self) -> bool:
        """Whether all of an ended run is in MLflow."""
        return self.sender.done and self._spool.empty

    def next_steps(self) -> Steps:
        """The steps that follow the last ones."""
        with self._lock:
            return self._steps

    def wait_started(self, timeout_s: float) -> str:
        """Return MLflow's id of this run; empty if no Lab took the run within ``timeout_s``."""
        ack = self.sender.wait_for_ack(timeout_s)
        if ack is not None:
            self._hear(ack, "")
        return self.run_id

    @property
    def trouble(self) -> str:
        """Return why the Lab has not taken the events so far; empty if it has."""
        return self.sender.trouble

    def log(
        self, metrics: Mapping[str, Any], step: Optional[int] = None, timestamp: Optional[float] = None
    ) -> None:
        """Log numbers. Without ``step`` each call counts one step further. ``timestamp`` is in seconds since
        1970.

        Raises TypeError for a value that is not a number.
        """
        values = {clean(key): number(key, value) for key, value in metrics.items()}
        with self._lock:
            step = self._next_step if step is None else int(step)
            self._next_step = step + 1
            self._steps = self._steps._replace(own=max(self._steps.own, step + 1))
            self._named.update(values)
        self._log(values, step, time.time() if timestamp is None else float(timestamp))

    def _log(self, values: Dict[str, float], step: int, timestamp: float) -> None:
        diverging = [key for key, value in values.items() if self.history.add(key, step, value)]
        sent = {key: spelled(value) for key, value in values.items()}
        self._append("metrics", {"values": sent, "step": step, "timestamp": timestamp}, timestamp)
        if diverging:
            notes = [f"{key} is {words}" for key, words in self.history.diverged.items()]
            self._append("tags", {DIVERGED: ", ".join(notes)[:_TAG_CHARACTERS]})

    def _log_system(self, values: Dict[str, float], step: int) -> None:
        with self._lock:
            if not self.ended:
                self._steps = self._steps._replace(system=step + 1)
                self._log(values, step, time.time())

    def log_auto(self, values: Dict[str, float], step: int, timestamp: float) -> None:
        """Log automatic metrics, except under names that the user logs; at first it waits for those names."""
        with self._lock:
            if self.ended:
                return
            self._steps = self._steps._replace(auto=max(self._steps.auto, step + 1))
            if self._held is None:
                self._append_auto(_Auto(values, step, timestamp))
                return
            self._held.append(_Auto(values, step, timestamp))
            if self._named or timestamp - self._held[0].timestamp > HELD_S:
                self._let_go()

    def _let_go(self) -> None:
        waiting, self._held = self._held, None
        for each in waiting or ():
            self._append_auto(each)

    def _append_auto(self, auto: "_Auto") -> None:
        left = {key: spelled(value) for key, value in auto.values.items() if key not in self._named}
        if left:
            data = {"values": left, "step": auto.step, "timestamp": auto.timestamp}
            self._append("metrics", data, auto.timestamp)

    def _append(self, kind: str, data: Dict[str, Any], timestamp: Optional[float] = None) -> None:
        had_trouble = bool(self._spool.trouble)
        with self._lock:  # no event follows the one that ends the run
            if self.ended:
                raise GenOpsError(
                    f"The run {self.name or self.key} has ended.", "Start another run: genops.start()."
                )
            self._spool.append(kind, time.time() if timestamp is None else timestamp, data)
        if self._spool.trouble and not had_trouble:
            self._warn("disk", f"Events are now kept in memory only ({self._spool.trouble}).")

    def params(self, values: Mapping[str, Any]) -> None:
        """Set parameters; MLflow keeps the first value of each. Secrets among the values are redacted."""
        given = _without_secrets(values)
        self.shown_params.update(given)
        self._append("params", given)

    def tag(self, values: Mapping[str, Any]) -> None:
        """Set tags; a later value replaces an earlier one. Secrets among the values are redacted."""
        self._append("tags", _without_secrets(values))

    def keep(self, *, source: bool = True) -> None:
        """Keep the run's source (:mod:`.provenance`); with ``source=False`` only the commit's tags."""
        self._keeper = ProvenanceKeeper(self, source)

    def log_text(self, text: str, path: str) -> None:
        """Keep a text of at most 4,000,000 characters as the artifact ``path``. Raises GenOpsError."""
        if len(text) > MAX_TEXT_CHARACTERS:
            raise GenOpsError(
                f"{path} has {len(text):,} characters; a text artifact has at most {MAX_TEXT_CHARACTERS:,}.",
                "Write the text to a file and call genops.log_file.",
            )
        self._append("text", {"path": clean(path), "content": clean(text)})

    def log_file(self, source: str, path: str = "") -> None:
        """Keep a file as an artifact. The Lab copies it soon; leave it in place until the run has ended.

        Raises GenOpsError if the file does not exist.
        """
        full = os.path.abspath(os.fspath(source))
        if not os.path.isfile(full):
            raise GenOpsError(f"The file {full} does not exist.", "Give the path of an existing file.")
        self._append("file", {"path": clean(path or os.path.basename(full)), "source": clean(full)})

    def log_image(self, name: str, image: Any, step: Optional[int] = None) -> None:
        """Keep a picture (:mod:`.pictures`) of a step; without ``step`` each counts one step further."""
        self._log_media(name, step, *image_event(image))

    def log_histogram(
        self, name: str, values: Any, step: Optional[int] = None, bins: int = DEFAULT_BINS
    ) -> None:
        """Keep a distribution (:mod:`.histograms`) of a step; without ``step`` each counts one step further."""
        self._log_media(name, step, {"type": "histogram", **histogram(values, bins)}, "")

    def log_table(self, name: str, rows: Any, step: Optional[int] = None) -> None:
        """Keep rows (:mod:`.media`) of a step; without ``step`` each table counts one step further."""
        self._log_media(name, step, *table_event(rows))

    def _log_media(self, name: str, step: Optional[int], made: Dict[str, Any], note: str) -> None:
        title = redactor_now().redact(clean(name))
        with self._lock:
            placed = self._media_steps.place(made["type"], title, step)
        self._append("media", {"name": title, **placed, **made})
        if note:
            self._warn(f"media {title}", f"{made['type']} {title!r}: {note}.")

    def own_model(self, model: Mapping[str, str]) -> None:
        """Record a model that this process logged (:mod:`.own_models`)."""
        self._append("model", {key: clean(value) for key, value in model.items()})

    def dataset(self, data: Any, name: str = "", context: str = "") -> Fingerprint:
        """Keep the fingerprint of the run's data (:mod:`.datasets`), and return it."""
        redactor = redactor_now()
        made = fingerprint(data, redactor.redact(name))
        shown = made._replace(source=redactor.redact(made.source))
        event = {**shown.event(redactor.redact(context)), "digest": made.digest}
        self._append("dataset", {key: clean(value) for key, value in event.items()})
        return made

    def end(self, status: str = FINISHED, wait_s: float = END_WAIT_S) -> bool:
        """End the run and wait at most ``wait_s`` seconds until all of it is safe; return whether it is.

        The rest stays in the spool. This process sends it when the Lab is back, or the Lab takes it itself.
        """
        if status not in (FINISHED, FAILED, KILLED):
            raise GenOpsError(
                f"{status!r} is not a status of a run.", f"Use {FINISHED}, {FAILED} or {KILLED}."
            )
        if self._keeper is not None and not self.ended:
            self._keeper.finish()
        while self.until_end:
            self.until_end.pop()()
        with self._lock:
            if self.ended:
                return self.safe
            if self._sampler is not None:
                self._sampler.stop()
            self._let_go()
            now = time.time()
            self._append("end", {"status": status}, now)
            self.status, self.ended_at = status, now
        safe = self.sender.finish(wait_s)
        if not safe:
            self.message = self._kept_message()
        return safe

    def _kept_message(self) -> str:
        why = self.sender.trouble or "The Lab has not confirmed all events yet."
        if self._spool.path is None or self._spool.trouble:
            return f"{why} The events could not be written to disk; they are sent while this process lives."
        when = "the Lab is connected again" if is_remote() else "a Lab starts"
        return f"{why} The run's events are kept in {self._spool.path}; they appear when {when}."

    def _warn(self, kind: str, message: str) -> None:
        if not self._warned.get(kind):
            self._warned[kind] = True
            print(f"GenOps: {message}", file=sys.stderr)

    def __repr__(self) -> str:
        return f"<GenOps run {self.name or self.key} {self.status}{' ' + self.run_id if self.run_id else ''}>"


def _without_secrets(values: Mapping[str, Any]) -> Dict[str, str]:
    given = {clean(key): clean(value) for key, value in values.items()}
    secret = {key: value for key, value in given.items() if _is_secret(key, value)}
    remember(secret.values())  # genops.params({"api_key": key})
    redactor = redactor_now()
    return {key: mark(VARIABLE) if key in secret else redactor.redact(value) for key, value in given.items()}


def _is_secret(key: str, value: str) -> bool:
    return is_secret(key, value) and len(value) >= MIN_VALUE and not value.replace(".", "", 1).isdigit()
