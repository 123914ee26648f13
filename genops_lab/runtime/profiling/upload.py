"""A trace on its way: written, handed to the Lab, its summary shown."""

from __future__ import annotations

import contextlib
import gzip
import mmap
import os
import shutil
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Protocol

from .. import lab
from ..errors import GenOpsError, Refused
from ..paths import is_remote, notebook_path, private_dir
from ..state import runs
from ..views import ProfileView
from .device_errors import named, without_device_events
from .recorder import said_at_first_start
from .recording_summary import told
from .sources import marked_cells

if TYPE_CHECKING:
    from .capture import Capture
    from .recording_options import RecordingOptions

ANALYSIS_WAIT_S = 60.0
_POLL_S = 0.25
#: A larger trace (packed) stays on its host, where the Lab has it read.
STAYS_ABOVE_BYTES = 50 * 1024 * 1024
#: Traces shrink to a sixth at level 1 already, five times faster than at the default level.
_LEVEL = 1


class Handed(Protocol):
    """What has a trace for the Lab, and gets its summary."""

    title: str
    trace_path: str
    note: str
    profile: Optional[Dict[str, Any]]
    wishes: "RecordingOptions"


def expected() -> None:
    """Have the Lab on this machine start what analyses profiles, so that a cell's end does not wait for that."""

    def ask() -> None:
        # An old Lab, or none: the profile's end tells.
        with contextlib.suppress(GenOpsError):
            lab.call("POST", "/profiles/expected")

    if not is_remote():
        threading.Thread(target=ask, name="genops-expected", daemon=True).start()


def finished(capture: Handed, write: Callable[[], None]) -> None:
    """``write`` the trace and have it analysed; with the Lab away it is kept and its path said."""
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
        view.update({"state": "failed", "message": "It was cut short."})
        print(f"GenOps: the analysis was cut short.{_kept(capture)}", file=sys.stderr)
        raise
    finally:
        view.finish()


def _kept(capture: Handed) -> str:
    if not capture.trace_path:
        return ""
    path = capture.trace_path
    return f" The trace is kept in {path}; `genops profile analyze {path}` reads it without a Lab."


def write_trace(capture: "Capture") -> None:
    """Write what PyTorch's profiler recorded, and say what and at which cost. Raises GenOpsError."""
    part = capture.chosen()
    if part is None:
        raise GenOpsError(f"Nothing was recorded. {capture.trouble}".strip(), "Run the cell again.")
    # Written plain: a kernel that packs is a kernel that waits, and the Lab packs what it keeps.
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
    capture.note = told(capture)


def new_folder() -> Path:
    """A folder for one trace, where the Lab takes it from. Raises GenOpsError."""
    try:
        return private_dir("profiles", uuid.uuid4().hex)
    except OSError as error:
        raise GenOpsError(
            f"There is no place for the trace: {error}.",
            "Set GENOPS_DATA_DIR to a folder that can be written.",
        ) from error


def _has_device_events(path: Path) -> bool:
    categories = (b'"kernel"', b'"gpu_memcpy"', b'"gpu_memset"')
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with mapped as text:
            return any(text.find(category) >= 0 for category in categories)


def _packed(path: str) -> str:
    """The trace in gzip, for the way to another host."""
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
            f"The trace could not be packed for the Lab: {error}.", "Free some space on this host."
        ) from error
    os.unlink(path)
    return target


def _read_beside(body: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The profile of a large trace, which stays on this host; None for others, and where the Lab reads none here."""
    if os.path.getsize(body["trace_path"]) <= STAYS_ABOVE_BYTES:
        return None
    try:
        found: Dict[str, Any] = lab.call("POST", "/profiles/beside", body)
    except Refused:
        return None
    print(f"GenOps: the trace is large and stays on this host: {body['trace_path']}", file=sys.stderr)
    return found


def _given(capture: Handed, body: Dict[str, Any]) -> Dict[str, Any]:
    """The profile of a trace that goes to the Lab."""
    if is_remote():
        body["trace_path"] = lab.hand_over(capture.trace_path, "trace")
    profile: Dict[str, Any] = lab.call("POST", "/profiles", body, timeout_s=ANALYSIS_WAIT_S)
    if is_remote():
        # The Lab has it now; on its own machine it takes the file itself.
        shutil.rmtree(os.path.dirname(capture.trace_path), ignore_errors=True)
        capture.trace_path = ""
    return profile


def _hand_over(capture: Handed, view: ProfileView) -> Dict[str, Any]:
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
