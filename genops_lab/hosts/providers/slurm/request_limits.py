"""Hold a batch script against the administrator's limits: more options and lines of a script count too."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from genops_lab.core.errors import InvalidRequest

_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "": 1024**2}
_SHARES = ("nodes", "ntasks", "ntasks-per-node", "exclusive", "array")
#: By field of a target or of resources: the options of sbatch that change it, besides the one that is set.
_CHANGES = {
    "gpus": ("gres", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "tres-per-task", *_SHARES),
    "gpu_type": ("gres", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "tres-per-task"),
    "cpus": ("cpus-per-task", "cpus-per-gpu", "mincpus", "cores-per-socket", *_SHARES),
    "memory_bytes": ("mem", "mem-per-cpu", "mem-per-gpu", *_SHARES),
    "time_s": ("time", "time-min", "deadline"),
    "partition": ("partition", "clusters"),
    "account": ("account",),
    "qos": ("qos",),
    "constraint": ("constraint", "prefer", "cluster-constraint", "nodelist", "nodefile"),
    "reservation": ("reservation",),
}
_CHANGES["memory"], _CHANGES["time"] = _CHANGES["memory_bytes"], _CHANGES["time_s"]
_SHORT = {
    "p": "partition", "A": "account", "q": "qos", "C": "constraint", "G": "gpus", "c": "cpus-per-task",
    "n": "ntasks", "N": "nodes", "t": "time", "M": "clusters", "w": "nodelist", "F": "nodefile", "a": "array",
}  # fmt: skip


def size(text: str) -> int:
    """Return a size of Slurm in bytes; without a unit it is in MB."""
    return int(text.rstrip("KMGT")) * _UNITS[text[len(text.rstrip("KMGT")) :]]


def seconds(text: str) -> float:
    """Return a time limit of Slurm in seconds.

    >>> seconds("90"), seconds("4:00:00"), seconds("1-12")
    (5400.0, 14400.0, 129600.0)
    """
    days, dash, rest = text.rpartition("-")
    parts = [float(each) for each in rest.split(":")]
    if dash:  # hours come first
        parts += [0.0] * (3 - len(parts))
    elif len(parts) == 1:
        parts = [0.0, *parts, 0.0]
    while len(parts) < 3:
        parts.insert(0, 0.0)
    hours, minutes, rest_s = parts
    return 86400.0 * float(days or 0) + 3600 * hours + 60 * minutes + rest_s


def check_script(text: str, own: Collection[str], ruled: Sequence[str]) -> None:
    """Raise InvalidRequest for an option in the script that is not among its ``own`` and changes a field that
    is ``ruled``."""
    for line in text.splitlines():
        if not line.startswith("#SBATCH") or line.removeprefix("#SBATCH").strip() in own:
            continue
        for name in _names(line.removeprefix("#SBATCH")):
            # sbatch takes the beginning of an option's name for the option.
            field = next(
                (each for each in ruled if any(o.startswith(name) for o in _CHANGES.get(each, ()))), ""
            )
            if field:
                raise InvalidRequest(
                    f"The option --{name} would pass by the administrator's limit of {field}.",
                    hint="Leave it out of the script and of more options. Use the target's own field.",
                )


def _names(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    found = []
    for word in words:
        if long := re.match(r"--([A-Za-z][A-Za-z-]*)", word):
            found.append(long.group(1))
        elif len(word) > 1 and word.startswith("-") and word[1] in _SHORT:
            found.append(_SHORT[word[1]])
    return found
