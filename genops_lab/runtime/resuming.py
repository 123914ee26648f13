"""Find the run to continue: in the Lab, or, without a Lab, in this process and its spool."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

from . import lab
from .errors import GenOpsError, LabAway, Refused
from .paths import data_dir, this_process
from .run import Run
from .state import runs
from .steps import Steps, next_steps

LATEST = "latest"
_UNAVAILABLE = 503


class Resumption(NamedTuple):
    """The run to continue. ``run_id`` is empty for a run that MLflow does not have yet; its ``run_key`` is
    known.

    ``steps`` follow its last ones. ``session`` names this session's folder; names are in the order of time.
    ``before`` is the run's earlier session in this process, ``file`` the spool in which another process left
    it.
    """

    run_id: str
    run_key: str
    name: str
    experiment: str
    steps: Steps
    session: str
    before: Optional[Run] = None
    file: str = ""


def resumption(ref: str) -> Resumption:
    """Return the run that ``ref`` means: an id, its beginning, ``latest`` or a name. Raises GenOpsError."""
    for open_one in runs.all_open():
        if _means(ref, open_one):
            raise GenOpsError(
                f"The run {open_one.name or ref} is already open.", "Log to it with genops.log()."
            )
    own = next((run for run in runs.ended() if _means(ref, run)), None)
    if own is not None and not own.safe:
        return _of_own(own)
    try:
        found = lab.call("POST", "/tracking/resume", {"run": ref, "process": this_process()})
    except LabAway as error:
        return _while_away(ref, own, error)
    except Refused as error:
        if error.status != _UNAVAILABLE:
            raise
        return _while_away(ref, own, error)
    before = next((run for run in runs.ended() if run.run_id == found["run_id"]), None)
    return Resumption(
        str(found["run_id"]), "", str(found["name"]), str(found["experiment"]),
        Steps(*(int(found[name]) for name in ("next_step", "next_system_step", "next_auto_step"))),
        _session(), before,
    )  # fmt: skip


def _while_away(ref: str, own: Optional[Run], error: GenOpsError) -> Resumption:
    if own is None and ref == LATEST:
        own = next(iter(runs.ended()), None)
    if own is not None:
        return _of_own(own)
    spooled = _spooled(ref)
    if spooled is not None:
        return spooled
    raise GenOpsError(
        f"Cannot continue the run {ref!r} now: {error.message}",
        "Without the Lab, only runs of this process and runs that wait in its spool can be continued. "
        + error.hint,
    ) from error


def _means(ref: str, run: Run) -> bool:
    if run.run_id and len(ref) >= 4 and run.run_id.startswith(ref):
        return True
    return ref in (run.key, run.name)


def _of_own(run: Run) -> Resumption:
    return Resumption(run.run_id, run.key, run.name, run.experiment, run.next_steps(), _session(), run)


def _spooled(ref: str) -> Optional[Resumption]:
    """Return the latest run of this name or key whose events of this user wait for a Lab."""
    found = []
    for path in (data_dir() / "spool").glob("*.jsonl"):
        try:
            with open(path, "rb") as stream:
                header, start = json.loads(stream.readline()), json.loads(stream.readline())
                if start["kind"] == "start" and ref in (
                    LATEST,
                    str(header["run_key"]),
                    str(start["data"]["name"]),
                ):
                    found.append((float(start["timestamp"]), str(header["run_key"]), start["data"], path))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written, or just taken by another process
    for _, key, data, path in sorted(found, key=lambda one: one[0], reverse=True):
        try:
            steps = next_steps(_points(str(path)))
        except OSError:  # another process just took it
            continue
        return Resumption(
            "", key, str(data["name"]), str(data["experiment"]), steps, _session(), file=str(path)
        )
    return None


def _points(path: str) -> Iterator[Tuple[str, int]]:
    with open(path, "rb") as stream:
        for line in stream:
            try:
                event: Dict[str, Any] = json.loads(line)
                if event.get("kind") == "metrics":
                    step = int(event["data"]["step"])
                    yield from ((str(key), step) for key in event["data"]["values"])
            except (ValueError, KeyError, TypeError):
                continue  # torn


def _session() -> str:
    return time.strftime("resumed-%Y%m%dT%H%M%SZ-", time.gmtime()) + os.urandom(2).hex()
