"""Run scorers: rules here, programs in a process of their own that may hang, print or die without harm."""

from __future__ import annotations

import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import msgspec

from .base import (
    Answered,
    CannotScore,
    Judge,
    NotScored,
    Program,
    Rule,
    Score,
    checked,
    column,
    not_scored,
    scored,
    yes,
)
from .child import Begin, Begun, Reply
from .programs import Code, Function
from .sandbox.sandbox import Bounds, box, chosen, confined, run

#: The time of a process until its first answer: an import of torch with a cold disk.
_START_S = 180.0
#: Start the child by the folder of this package: in the sandbox the folder above it cannot be listed.
_START = """
import importlib.util, sys
found = importlib.util.spec_from_file_location(
    "genops_lab", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]]
)
sys.modules["genops_lab"] = package = importlib.util.module_from_spec(found)
found.loader.exec_module(package)
from genops_lab.genai.scorers.child import main
main()
"""
_CHILD = [sys.executable, "-I", "-c", _START, str(Path(__file__).parents[2])]
_MOST_PRINTED = 8 << 20
_MOST_REPLY = 1 << 20


class _Start(NamedTuple):
    """The start of a scorer's process. ``files``: where it finds its files. ``environment``: None is the Lab's."""

    command: list[str]
    folder: Path
    files: Path
    environment: dict[str, str] | None = None


class Scoring(Protocol):
    """A scorer that is ready."""

    def score(self, answers: Sequence[Answered]) -> list[Score]:
        """Return a score for each answer, in their order. Blocks."""


@contextmanager
def running(scorer: Rule | Program, folder: Path) -> Iterator[Scoring]:
    """Make a scorer ready. Judges are no such scorers: they are asked as models are. Blocks.

    folder: that of the evaluation file, with files that the scorer names. Raises CannotScore.
    """
    if isinstance(scorer, Judge):
        raise TypeError(f"{scorer.label} is a judge: ask it")
    if isinstance(scorer, Rule):
        yield _Rule(scorer)
        return
    if isinstance(scorer, Code):
        yield _Code(scorer)
        return
    with (
        _in_sandbox(scorer, folder)
        if isinstance(scorer, Function) and scorer.sandbox
        else _plain(folder) as start
    ):
        process = _Process(scorer, start)
        try:
            process.start()
            yield process
        finally:
            process.stop()


class _Rule:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def score(self, answers: Sequence[Answered]) -> list[Score]:
        return [scored(self._rule, each) for each in answers]


@contextmanager
def _plain(folder: Path) -> Iterator[_Start]:
    yield _Start(_CHILD, folder, folder)


@contextmanager
def _in_sandbox(scorer: Function, folder: Path) -> Iterator[_Start]:
    """Give the start of a process in the sandbox with the files of a scorer. Raises CannotScore."""
    files = {}
    for name in (scorer.file, *scorer.files):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise CannotScore(f"{scorer.label}: {name} is outside the folder of the evaluation file.")
        try:
            files[path.name] = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotScore(f"{scorer.label}: cannot read {name}: {error}.") from error
    way = chosen()
    bounds = Bounds(memory_mb=scorer.memory_mb, timeout_s=scorer.timeout_s, processes=32)
    with box(files) as there:
        inside = there / "files" if way == "landlock" else Path("/sandbox")
        command = confined(_CHILD, there, bounds, way, die_with_parent=False)
        # The first process of a sandbox keeps what it was started with, where the function can read it.
        yield _Start(command, Path("/"), inside, environment={})


class _Code:
    """Runs the code of each answer in the sandbox, as many at once as there are processors."""

    def __init__(self, scorer: Code) -> None:
        self._scorer = scorer
        chosen()

    def score(self, answers: Sequence[Answered]) -> list[Score]:
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="code of answers") as threads:
            return list(threads.map(self._one, answers))

    def _one(self, answered: Answered) -> Score:
        scorer, row = self._scorer, answered.row
        # The program must come to its end: an answer that exits before its tests has not passed them.
        end = secrets.token_hex(16)
        try:
            program = scorer.written(answered)
            given = str(column(row, scorer.stdin)) if scorer.stdin else ""
            wanted = str(column(row, scorer.stdout)) if scorer.stdout else ""
        except NotScored as error:
            return not_scored(str(error))
        bounds = Bounds(timeout_s=scorer.timeout_s, memory_mb=scorer.memory_mb, processes=scorer.processes)
        found = run(program if scorer.stdout else f"{program}\nprint({end!r})\n", stdin=given, bounds=bounds)
        if found.why:
            return yes(False, found.why)
        if found.code == 125:  # the sandbox itself
            return not_scored(found.errors)
        if found.code:
            last = found.errors.strip().splitlines()[-1:] or [f"it ended with {found.code}"]
            return yes(False, last[0])
        if scorer.stdout:
            return yes(found.out.split() == wanted.split(), f"it printed {found.out[:200]!r}")
        return yes(found.out.rstrip().endswith(end), "it ended before its tests did")


class _Lost(Exception):
    """The process of a scorer gave no score."""


class _Process:
    """A scorer in a process, which is started again after an answer that it did not survive."""

    def __init__(self, scorer: Program, start: _Start) -> None:
        self._scorer, self._start = scorer, start
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process. Raises CannotScore."""
        self._process = process = subprocess.Popen(
            self._start.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, cwd=self._start.folder, env=self._start.environment,
        )  # fmt: skip
        self._printed = _Printed(process)
        self._rest, self._number = b"", 0
        begin = Begin(scorer=self._scorer, folder=str(self._start.files), memory_mb=self._scorer.memory_mb)  # type: ignore[arg-type]
        try:
            found = msgspec.json.decode(self._ask(msgspec.json.encode(begin), _START_S), type=Begun)
        except _Lost as lost:
            raise CannotScore(f"{self._scorer.label} does not start: {lost}") from lost
        if found.problem:
            raise CannotScore(found.problem, found.hint)

    def stop(self) -> None:
        """End the process and those that it started."""
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._printed.thread.join(5)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                _close(pipe)
        self._process = None

    def score(self, answers: Sequence[Answered]) -> list[Score]:
        """Return a score for each answer."""
        return [self._one(each) for each in answers]

    def _one(self, answered: Answered) -> Score:
        if self._process is None:
            self.start()
        try:
            line = self._ask(msgspec.json.encode(answered), self._scorer.timeout_s)
            reply = msgspec.json.decode(line, type=Reply)
            if reply.number != self._number:
                raise _Lost("it answered twice")
            self._number += 1
            return checked(reply.score)
        except (_Lost, msgspec.MsgspecError) as error:
            self.stop()
            return not_scored(f"{self._scorer.label}: {error}")

    def _ask(self, line: bytes, timeout_s: float) -> bytes:
        """Send a line and return the next one of the process. Raises _Lost."""
        process = self._process
        assert process is not None and process.stdin and process.stdout
        until = time.monotonic() + timeout_s
        try:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise _Lost(self._ended()) from None
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                left = until - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise _Lost(f"no score within {timeout_s:g} s")
                part = os.read(process.stdout.fileno(), 65536)
                if not part:
                    raise _Lost(self._ended())
                self._rest += part
                if len(self._rest) > _MOST_REPLY:
                    raise _Lost(f"a score of over {_MOST_REPLY >> 20} MB")
        found, _, self._rest = self._rest.partition(b"\n")
        return found

    def _ended(self) -> str:
        """Say why the process ended."""
        process = self._process
        assert process is not None
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            return "its process closed its output"
        if self._printed.too_much:
            return f"it printed over {_MOST_PRINTED >> 20} MB"
        self._printed.thread.join(1)
        last = self._printed.last.decode(errors="replace").strip().splitlines()
        words = f": {last[-1]}" if last else ""
        return (f"signal {-code} ended its process" if code < 0 else f"its process ended with {code}") + words


class _Printed:
    """Reads what a process prints, keeps the end, and ends a process that prints too much."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.last, self.too_much = b"", False
        self._process = process
        self.thread = threading.Thread(target=self._read, daemon=True, name="what a scorer prints")
        self.thread.start()

    def _read(self) -> None:
        pipe, count = self._process.stderr, 0
        assert pipe
        with pipe:
            while part := os.read(pipe.fileno(), 65536):
                count += len(part)
                self.last = (self.last + part)[-2000:]
                if count > _MOST_PRINTED and not self.too_much:
                    self.too_much = True
                    os.killpg(self._process.pid, signal.SIGKILL)


def _close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
