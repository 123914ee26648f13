"""Going on with a run: found by the Lab, or, while that is away, among what this process and its spool know."""

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
    """The run to go on with. Of one that MLflow does not have yet ``run_id`` is empty, and ``run_key`` is known.

    ``steps`` are those behind its last ones;
    ``session`` names what is kept of this session, in the order of time; ``before`` is the run's earlier session
    in this process, ``file`` the spool in which another process left it.
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
    """The run that ``ref`` means: an id, its beginning, ``latest`` or a name. Raises GenOpsError with the reason."""
    for open_one in runs.all_open():
        if _means(ref, open_one):
            raise GenOpsError(f"The run {open_one.name or ref} is open already.", "Log into it.")
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
        f"The run {ref!r} cannot be gone on with now: {error.message}",
        "Without the Lab only runs of this process, and those that still wait in its spool, are known. "
        + error.hint,
    ) from error


def _means(ref: str, run: Run) -> bool:
    if run.run_id and len(ref) >= 4 and run.run_id.startswith(ref):
        return True
    return ref in (run.key, run.name)


def _of_own(run: Run) -> Resumption:
    return Resumption(run.run_id, run.key, run.name, run.experiment, run.next_steps(), _session(), run)


def _spooled(ref: str) -> Optional[Resumption]:
    """A run of this user whose events wait for a Lab: the latest of that name or key."""
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
            continue  # half written, or just taken over
    for _, key, data, path in sorted(found, key=lambda one: one[0], reverse=True):
        try:
            steps = next_steps(_points(str(path)))
        except OSError:  # it was just taken over
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
