"""Put the lines of GenOps Lab into a user's batch script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from genops_lab.core.errors import InvalidRequest

_HINT = "Change the file, or name another one in the target's field Batch script."
_SHELL = re.compile(r"#!\s*\S+.*\b(ba|da|k|z)?sh\b")
_BEGIN = "# >>> GenOps Lab (these lines are replaced at each start)"
_END = "# <<< GenOps Lab"
#: Lines after which nothing of the script runs. An ``exec`` with redirections alone is none.
_LEAVES = re.compile(r"exit\b|exec\s+[^<>&\d\s{]")
#: The long names of short options that the target may set.
_SHORT = {
    "A": "account", "C": "constraint", "c": "cpus-per-task", "D": "chdir", "J": "job-name", "N": "nodes",
    "n": "ntasks", "W": "wait", "a": "array", "e": "error", "o": "output", "p": "partition",
    "q": "qos", "t": "time",
}  # fmt: skip
_IMPOSSIBLE = {
    "array": "makes several jobs, and a kernel has one",
    "chdir": "moves the place of the job's log",
    "hetjob": "makes several jobs, and a kernel has one",
    "packjob": "makes several jobs, and a kernel has one",
    "test-only": "submits no job",
    "wait": "waits for the end of the job",
}
_DROPPED = {"error", "job-name", "no-requeue", "open-mode", "output", "parsable", "requeue"}


def read(path: str) -> str:
    """Return a batch script of this machine. Blocks. Raises InvalidRequest."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"The batch script {path} cannot be read: {error}", hint=_HINT) from error


def merged(base: str, options: Sequence[str], block: Sequence[str]) -> str:
    """Return a script that begins as ``base``, has ``options`` of sbatch and ends with the lines of ``block``.

    A block that an earlier call added is replaced, so a printed script may be the base of the next one. An option
    takes the place of the base's own. Raises InvalidRequest where the block could not run.

        merged("#!/bin/bash\\nmodule load cuda\\n", ["--time=60"], ["exec keeper"])
    """
    lines = _without_block(base.splitlines())
    if not lines or not _SHELL.match(lines[0]):
        raise InvalidRequest("The batch script does not begin with a line such as #!/bin/bash.", hint=_HINT)
    own = {_name(each) for each in options} | _DROPPED
    kept: list[str] = []
    last, in_head = 0, True
    for number, line in enumerate(lines, start=1):
        if _LEAVES.match(line):
            raise InvalidRequest(
                f"Line {number} of the batch script ({line.strip()[:60]}) ends it before a kernel can start.",
                hint=_HINT,
                details={"line": number},
            )
        in_head = in_head and (not line.strip() or line.startswith("#"))
        if in_head and line.startswith("#SBATCH"):
            names = _names(line)
            for each in names:
                if each in _IMPOSSIBLE:
                    raise InvalidRequest(
                        f"Line {number} of the batch script has --{each}, which {_IMPOSSIBLE[each]}.",
                        hint=_HINT,
                        details={"line": number},
                    )
            if names and set(names) <= own:
                continue
            last = len(kept)
        kept.append(line)
    directives = [f"#SBATCH {each}" for each in options]
    head, rest = kept[: last + 1], "\n".join(kept[last + 1 :]).strip("\n")
    return "\n".join([*head, *directives, "", *([rest, ""] if rest else []), _BEGIN, *block, _END, ""])


def _without_block(lines: list[str]) -> list[str]:
    if _BEGIN not in lines:
        return lines
    begin = lines.index(_BEGIN)
    if _END not in lines[begin:]:
        raise InvalidRequest(f"The batch script has no line {_END!r}.", hint=_HINT)
    end = lines.index(_END, begin)
    after = next((line for line in lines[end + 1 :] if line.strip() and not line.startswith("#")), "")
    if after:
        raise InvalidRequest(
            f"The batch script never comes to {after.strip()[:60]!r}: the kernel's lines end the script.",
            hint=f"Move your lines before {_BEGIN!r}.",
        )
    return lines[:begin]


def _names(line: str) -> list[str]:
    """Return the long names of the options in a line of ``#SBATCH``."""
    try:
        words = shlex.split(line, comments=False)[1:]
    except ValueError:
        words = line.split()[1:]
    return [_name(each) for each in words if each.startswith("-") or each == "hetjob"]


def _name(word: str) -> str:
    if word.startswith("--"):
        return word[2:].partition("=")[0]
    return _SHORT.get(word[1:2], word[1:2]) if word.startswith("-") else word
