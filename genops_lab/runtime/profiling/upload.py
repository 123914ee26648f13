"""Write a trace, send it to the Lab, and show its summary."""

from __future__ import annotations

import contextlib
import gzip
import linecache
import mmap
import os
import shutil
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Tuple

from .. import lab
from ..display import shell
from ..errors import GenOpsError, Refused
from ..paths import is_remote, notebook_path, private_dir
from ..provenance import OFF_VARIABLE, redactor_now
from ..state import runs
from ..views import ProfileView
from .budget import hot_lines_text
from .device_errors import named, without_device_events
from .recorder import said_at_first_start
from .steps import cost

if TYPE_CHECKING:
    from ...redaction.texts import Redactor
    from .capture import Capture
    from .lines import LineMarkers
    from .recording_options import Recording

ANALYSIS_WAIT_S = 60.0
_POLL_S = 0.25
#: A larger trace (packed) stays on its host, where the Lab has it analyzed.
STAYS_ABOVE_BYTES = 50 * 1024 * 1024
#: Level 1 already shrinks traces to a sixth, five times faster than the default level.
_LEVEL = 1

_WORTH_TELLING_S = 1.0
_WORTH_TELLING_PERCENT = 1.0
#: A recording that begins later than this misses some of the code.
_LATE_S = 0.05

#: Characters of a line, and number of lines, that are sent.
MAX_TEXT = 200
MAX_LINES = 5000
#: Longer cells are not searched for secrets, so none of their text is sent.
_MAX_LINE = 10_000


def expected() -> None:
    """Make the Lab on this machine start its profile worker, so that the end of a cell need not wait."""

    def ask() -> None:
        # An old Lab, or none: the end of the profile says so.
        with contextlib.suppress(GenOpsError):
            lab.call("POST", "/profiles/expected")

    if not is_remote():
        threading.Thread(target=ask, name="genops-expected", daemon=True).start()


def finished(capture: "Recording", write: Callable[[], None]) -> None:
    """``write`` the trace and have it analyzed; without a Lab the trace is kept and its path printed."""
    view = ProfileView(capture.title)
    try:
        view.open()
        write()
        view.note(capture.note)
        view.update({"state": "analyzing"})
        capture.profile = _hand_over(capture, view)
    except GenOpsError as error:
        view.update({"state": "failed", "message": error.message})
        print(f"GenOps: {error}{_kept(capture)}", file=sys.stderr)
    except BaseException:
        view.update({"state": "failed", "message": "The recording was interrupted."})
        print(f"GenOps: the analysis was interrupted.{_kept(capture)}", file=sys.stderr)
        raise
    finally:
        view.finish()


def _kept(capture: "Recording") -> str:
    if not capture.trace_path:
        return ""
    path = capture.trace_path
    return f" The trace is kept in {path}. To analyze it without a Lab, run `genops profiles analyze {path}`."


def write_trace(capture: "Capture") -> None:
    """Write the recording of PyTorch's profiler, and describe it and its cost. Raises GenOpsError."""
    part = capture.chosen()
    if part is None:
        raise GenOpsError(f"Nothing was recorded. {capture.trouble}".strip(), "Run the cell again.")
    # Written unpacked: a kernel that packs makes the user wait, and the Lab packs what it keeps.
    folder = new_folder()
    final = folder / "trace.json"
    try:
        markers = capture.markers
        cells = marked_cells(markers.files, markers.named()) if markers is not None else []
        part.recorder.save(str(folder / ".partial.json"), part.not_whole, cells)
        os.chmod(folder / ".partial.json", 0o600)
        (folder / ".partial.json").replace(final)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    capture.trace_path = str(final)
    said = part.recorder.messages.text
    if capture.device and not _has_device_events(final):
        capture.trouble = without_device_events(said_at_first_start() + said, capture.device)
    elif named(said):
        capture.trouble = named(said)
    capture.note = recording_note(capture)


def new_folder() -> Path:
    """Make a folder for one trace, from which the Lab takes it. Raises GenOpsError."""
    try:
        return private_dir("profiles", uuid.uuid4().hex)
    except OSError as error:
        raise GenOpsError(
            f"Cannot make a folder for the trace: {error}.",
            "Set GENOPS_DATA_DIR to a folder that you can write to.",
        ) from error


def _has_device_events(path: Path) -> bool:
    categories = (b'"kernel"', b'"gpu_memcpy"', b'"gpu_memset"')
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with mapped as text:
            return any(text.find(category) >= 0 for category in categories)


def _packed(path: str) -> str:
    """Pack the trace with gzip, for the transfer to another host."""
    target = f"{path}.gz"
    try:
        with open(path, "rb") as stream, open(f"{target}.part", "wb") as raw:
            os.chmod(raw.fileno(), 0o600)
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_LEVEL) as squeezed:
                shutil.copyfileobj(stream, squeezed, 1 << 20)
        os.replace(f"{target}.part", target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(f"{target}.part")
        raise GenOpsError(
            f"Cannot pack the trace for the Lab: {error}.", "Free disk space on this host."
        ) from error
    os.unlink(path)
    return target


def _read_beside(body: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Return the profile of a large trace, which stays on this host; None if the Lab does not analyze it
    here.
    """
    if os.path.getsize(body["trace_path"]) <= STAYS_ABOVE_BYTES:
        return None
    try:
        found: Dict[str, Any] = lab.call("POST", "/profiles/beside", body)
    except Refused:
        return None
    print(f"GenOps: the trace is large and stays on this host: {body['trace_path']}", file=sys.stderr)
    return found


def _given(capture: "Recording", body: Dict[str, Any]) -> Dict[str, Any]:
    """Upload a trace to the Lab and return its profile."""
    if is_remote():
        body["trace_path"] = lab.upload_file(capture.trace_path, "trace")
    profile: Dict[str, Any] = lab.call("POST", "/profiles", body, timeout_s=ANALYSIS_WAIT_S)
    if is_remote():
        # The Lab has it now; on its own machine it takes the file itself.
        shutil.rmtree(os.path.dirname(capture.trace_path), ignore_errors=True)
        capture.trace_path = ""
    return profile


def _hand_over(capture: "Recording", view: ProfileView) -> Dict[str, Any]:
    current = runs.current or runs.last
    run_id = (current.run_id or current.wait_started(2.0)) if current is not None else ""
    if is_remote():
        capture.trace_path = _packed(capture.trace_path)
    body: Dict[str, Any] = {
        "trace_path": capture.trace_path,
        "title": capture.title,
        "run_id": run_id,
        "notebook": notebook_path(),
    }
    if capture.wishes.usd_per_hour is not None:
        body["usd_per_hour"] = capture.wishes.usd_per_hour
    profile = _read_beside(body) if is_remote() else None
    if profile is None:
        profile = _given(capture, body)
    deadline = time.monotonic() + ANALYSIS_WAIT_S
    while profile["state"] == "analyzing" and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        profile = lab.call("GET", "/profiles/" + lab.segment(profile["id"]))
    view.update(profile)
    return profile


def recording_note(capture: "Capture") -> str:
    """Describe an ended recording; empty if all of it was recorded at no known cost."""
    said: List[str] = [_extent(capture)]
    compared = cost(capture.recorded_s, capture.unrecorded_s)
    if compared is not None:
        said.append(str(compared))
    markers = capture.markers
    if markers is not None:
        said.extend(_unmarked(markers))
    if capture.first_start_s >= _WORTH_TELLING_S:
        took = f"{capture.first_start_s:.1f} s"
        said.append(f"The profiler's first start in this kernel took {took} and was not recorded.")
    said.append(capture.trouble)
    return " ".join(one for one in said if one)


def _unmarked(markers: "LineMarkers") -> List[str]:
    """Return sentences on the lines without markers, and the largest share of time that they have."""
    said = []
    muted = sorted({code.co_name for code in markers.budget.muted})
    if muted:
        said.append(
            f"Lines of {', '.join(muted)} ran too often to be marked; their time counts for their callers."
        )
    lines = "; ".join(hot_lines_text(markers.budget))
    if lines:
        said.append(f"These ran too often to be marked: {lines}. Their time counts for the surrounding code.")
    percent = 100 * markers.unheard_s / markers.seconds if markers.seconds else 0.0
    if percent >= _WORTH_TELLING_PERCENT:
        part = f"{min(percent, 100.0):.0f} % of the time"
        said.append(
            f"Up to {part} therefore has no line of its own."
            if said
            else f"Other code was called too often to trace all lines: up to {part} has no line."
        )
    return said


def _extent(capture: "Capture") -> str:
    part = capture.chosen()
    if part is None:
        return ""
    wishes = capture.wishes
    bound = {
        "time": f"{wishes.seconds:g} s (more with --seconds)",
        "memory": f"{wishes.megabytes:g} MB of memory (more with --megabytes)",
        "growth": "the program's own memory grew (raise the limit with --megabytes)",
        "another profiler": "another profiler started",
        "error": f"it ended with {capture.raised}",
    }.get(part.ended_by, "")
    until = f", until {bound}." if bound else "."
    if part is capture.of_steps and part.steps:
        first = wishes.warmup + 1
        last = first + part.steps - 1
        steps = f"step {first}" if part.steps == 1 else f"steps {first} to {last}"
        return f"recorded {steps}, {part.seconds:.3g} s{until}"
    if bound or part.from_s > _LATE_S:
        start = "the first" if part.from_s <= _LATE_S else f"from second {part.from_s:.3g} on,"
        return f"recorded {start} {part.seconds:.3g} s{until}"
    if capture.steps_done:
        return f"recorded until the first of {capture.steps_done} optimizer steps (see --warmup)."
    return ""


def marked_cells(files: Dict[str, str], marked: Iterable[Tuple[str, int]]) -> List[Dict[str, Any]]:
    """Return, for each name of ``files`` with a marker (file and line; 0: the whole file), its number and
    lines.

    A cell that ran several times counts as it ran last. With GENOPS_NO_SOURCE set, no text is returned.
    """
    numbers, redactor = _numbers(), redactor_now()
    texts: Dict[str, List[str]] = {}
    cells: Dict[str, Dict[str, Any]] = {}
    order = sorted(marked, key=lambda one: (numbers.get(one[0], 0), one))[:MAX_LINES]
    for file, line in order:
        cell = cells.setdefault(files[file], {"name": files[file], "number": None, "lines": {}})
        cell["number"] = numbers.get(file) or cell["number"]
        if file not in texts:
            texts[file] = _lines(file, numbers.get(file, 0), redactor)
        text = texts[file][line - 1] if 0 < line <= len(texts[file]) else ""
        if text:
            cell["lines"][line] = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return list(cells.values())


def _numbers() -> Dict[str, int]:
    """Return the numbers of cells by their code's file name."""
    known = getattr(getattr(shell(), "compile", None), "_filename_map", None)
    return dict(known) if isinstance(known, dict) else {}


def _lines(file: str, number: int, redactor: Redactor) -> List[str]:
    """Return a cell's lines as they were typed, without secrets.

    The compiled file of a cell has its magics in another form. A secret may only be recognised from the lines
    around it.
    """
    if os.environ.get(OFF_VARIABLE):
        return []
    here = shell()
    typed: List[str] = list(here.history_manager.input_hist_raw) if number and here is not None else []
    if number < len(typed):
        lines = typed[number].split("\n")
        while lines and not lines[0].strip():  # IPython removes them before it compiles
            del lines[0]
    else:
        lines = "".join(linecache.getlines(file)).split("\n")
    text = "\n".join(line if len(line) <= _MAX_LINE else "" for line in lines)
    return [line.strip() for line in redactor.redact(text).split("\n")]
