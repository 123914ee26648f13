"""Read jobs from the output of Slurm's commands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import msgspec

#: squeue's format where it has no --json. Times are in seconds since 1970 with SLURM_TIME_FORMAT=%s.
FORMAT = "%i|%T|%r|%P|%S|%e|%j"
#: sacct's fields.
SACCT = "JobID,State,Reason,Partition,Start,End,JobName"
ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "COMPLETING",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
#: Parts of a state in JSON that are no state of their own.
_FLAGS = frozenset(
    {"CONFIGURING", "COMPLETING", "STAGE_OUT", "POWER_UP_NODE", "LAUNCH_FAILED", "RECONFIG_FAIL"}
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Times are in seconds since 1970; None: Slurm does not know them.

    ``cancelled_by`` is the user (or its number) who cancelled the job, as far as it is known. Lines of text have
    neither ``restarts`` nor ``preempted_at``.
    """

    id: int
    name: str
    state: str
    reason: str = ""
    partition: str = ""
    starts_at: float | None = None
    ends_at: float | None = None
    cancelled_by: str = ""
    #: how often Slurm has put the job back into the queue
    restarts: int = 0
    #: the time at which Slurm took its resources for another job; it runs on for the grace of its partition
    preempted_at: float | None = None

    @property
    def ended(self) -> bool:
        """Return whether the job is no kernel's host any more. One that Slurm starts again lost its kernel."""
        return self.state in ENDED or self.restarts > 0


def from_json(printed: str) -> list[Job]:
    """Return the jobs that ``squeue --json`` printed, in any of its versions. Raises ValueError."""
    found = json.loads(printed).get("jobs")
    if not isinstance(found, list):
        raise ValueError("squeue printed no jobs")
    return [_of_json(each) for each in found]


def from_lines(printed: str) -> list[Job]:
    """Return the jobs that ``squeue -o`` printed with :data:`FORMAT`, or sacct with :data:`SACCT`."""
    rows = (line.split("|", 6) for line in printed.splitlines())
    return [_of_row(row) for row in rows if len(row) == 7 and row[0].isdigit()]


def newest(jobs: Iterable[Job]) -> dict[str, Job]:
    """Return one job for each name: one that has not ended before others, then the last one."""
    found: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda each: (not each.ended, each.id)):
        found[job.name] = job
    return found


def _of_json(job: dict[str, Any]) -> Job:
    given = job.get("job_state")
    states = [given] if isinstance(given, str) else list(given or [])
    state = next((each for each in states if each not in _FLAGS), "")
    if state == "RUNNING" and "CONFIGURING" in states:
        state = "CONFIGURING"
    return Job(
        id=int(job.get("job_id") or 0),
        name=str(job.get("name") or ""),
        state=state,
        reason=str(job.get("state_reason") or ""),
        partition=str(job.get("partition") or ""),
        starts_at=_number(job.get("start_time")),
        ends_at=_number(job.get("end_time"))
        if _number(job.get("time_limit"))
        else None,  # no limit: in a year
        restarts=int(_number(job.get("restart_cnt")) or 0),
        preempted_at=_number(job.get("preempt_time")),
    )


def _number(given: Any) -> float | None:
    if isinstance(given, dict):
        given = given.get("number") if given.get("set") and not given.get("infinite") else None
    return float(given) if isinstance(given, int | float) and given > 0 else None


def _of_row(row: list[str]) -> Job:
    state, _, who = row[1].partition(" by ")
    return Job(
        id=int(row[0]), state=state, reason=row[2], partition=row[3], starts_at=_time(row[4]),
        ends_at=_time(row[5]), name=row[6], cancelled_by=who,
    )  # fmt: skip


def _time(text: str) -> float | None:
    return float(text) if text.isdigit() and text != "0" else None


def places(printed: str) -> dict[int, int]:
    """Return the place of each waiting job in its partition, from 1. The lines are ``ID|PARTITION|PRIORITY``."""
    waiting: dict[str, list[tuple[int, int]]] = {}
    for line in printed.splitlines():
        number, _, rest = line.partition("|")
        partition, _, priority = rest.partition("|")
        first = number.partition("_")[0]  # of an array
        if first.isdigit() and priority.isdigit():
            waiting.setdefault(partition, []).append((-int(priority), int(first)))
    return {
        job: place
        for jobs in waiting.values()
        for place, (_priority, job) in enumerate(sorted(jobs), start=1)
    }


def clock(at: float) -> str:
    """Return a time in this machine's zone: without the day where it is today."""
    then = time.localtime(at)
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M" if today else "%d %b %Y %H:%M", then)
