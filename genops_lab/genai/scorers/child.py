"""The process of a scorer: reads answers as lines of JSON, and writes a score for each."""

from __future__ import annotations

import math
import os
import signal
import sys
from pathlib import Path

import msgspec

from .base import Answered, CannotScore, Program, Score, scored
from .kinds import Scorer

_GRACE_S = 5


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """The scorer, and the folder of the evaluation file."""

    scorer: Scorer
    folder: str
    memory_mb: int


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the scorer can score; ``problem`` says why not."""

    problem: str = ""
    hint: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The score of the ``number``-th answer."""

    number: int
    score: Score


def main() -> None:
    """Score until the input ends. The scorer's own output goes to the error output."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lines = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    begin = msgspec.json.decode(lines.readline(), type=Begin)
    scorer = begin.scorer
    assert isinstance(scorer, Program)
    _bound(begin.memory_mb)
    leader = os.getpid()
    try:
        scorer.prepare(Path(begin.folder))
        begun = Begun()
    except CannotScore as error:
        begun = Begun(problem=error.message, hint=error.hint)
    except BaseException as error:
        begun = Begun(problem=f"{scorer.label} raised {type(error).__name__}: {error}"[:500])
    replies.write(msgspec.json.encode(begun) + b"\n")
    decoder = msgspec.json.Decoder(type=Answered)
    for number, line in enumerate(lines):
        signal.alarm(math.ceil(scorer.timeout_s) + _GRACE_S)  # the parent may be gone
        score = scored(scorer, decoder.decode(line))
        if os.getpid() != leader:  # the scorer forked, and its child came back
            os._exit(0)
        signal.alarm(0)
        replies.write(msgspec.json.encode(Reply(number=number, score=score)) + b"\n")


def _bound(memory_mb: int) -> None:
    """Bound the memory of this process."""
    if memory_mb and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
