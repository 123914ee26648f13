"""Say what a test of a target finds out about its cluster: the version, the expected start, notices before an end."""

from __future__ import annotations

import re
import shlex
import time

import msgspec

from .config import SlurmConfig
from .jobs import clock

_START = re.compile(r"to start at (\d+)")
_VERSION = re.compile(r"^slurm\S* (\d[\w.-]*)", re.MULTILINE)
_FIELD = re.compile(r"(\w+)=(\S+)")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Slurm's answers about a target's request. ``starts_in_s`` is None where it expects no start; ``grace_s`` where
    the partition is not known."""

    version: str
    starts_in_s: float | None
    grace_s: int | None
    #: whether jobs of a higher priority may take the partition's resources
    preempts: bool


def line(config: SlurmConfig) -> str:
    """Return the line of sh that asks Slurm; its standard input is a batch script. Nothing is submitted."""
    first = config.partition.partition(",")[0]
    partition = shlex.quote(first) if first else ""
    return (
        "export SLURM_TIME_FORMAT=%s; cd && sbatch --version; sbatch --test-only 2>&1; "
        f"scontrol show config | grep -E '^Preempt(Type|Mode) '; scontrol -o show partition {partition}"
    )


def read(printed: str) -> Facts:
    """Read what :func:`line` printed."""
    version, start = _VERSION.search(printed), _START.search(printed)
    partitions = [
        dict(_FIELD.findall(each)) for each in printed.splitlines() if each.startswith("PartitionName=")
    ]
    own = partitions[0] if len(partitions) == 1 else next(
        (each for each in partitions if each.get("Default") == "YES"), {}
    )  # fmt: skip
    grace = own.get("GraceTime", "")
    never = re.search(r"^PreemptType\s*=\s*(preempt/none|\(null\))", printed, re.MULTILINE)
    return Facts(
        version=version.group(1) if version else "",
        starts_in_s=max(0.0, float(start.group(1)) - time.time()) if start else None,
        grace_s=int(grace) if grace.isdigit() else None,
        preempts=not never and own.get("PreemptMode") != "OFF",
    )


def said_of_slurm(facts: Facts) -> str:
    """Return the sentence of the step that finds Slurm's commands."""
    return f"The login node has Slurm {facts.version}." if facts.version else "The login node has Slurm."


def said_of_queue(facts: Facts) -> str:
    """Return the sentences of the step that runs a job."""
    if facts.starts_in_s is None:
        start = "It gave no expected start"
    elif facts.starts_in_s < 60:
        start = "It expected to start it at once"
    else:
        start = f"It expected the start at {clock(time.time() + facts.starts_in_s)}"
    if not facts.preempts:
        notice = "The partition's jobs are not preempted."
    elif facts.grace_s is None:
        notice = "Whether a preemption is announced is not known."
    elif facts.grace_s:
        notice = f"A preemption is announced {facts.grace_s} s before."
    else:
        notice = "A preemption comes without a notice, unless the QOS has a grace time."
    return f"Slurm took a job and ran it. {start}. A time limit is announced 15 minutes before. {notice}"
