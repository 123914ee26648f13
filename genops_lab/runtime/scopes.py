"""Open what lasts as long as a cell, from the cell's first lines, and close it after the cell.

``%%track`` and ``%%profile`` do not run the cell. An input transformer replaces their lines by calls, so that
the rest is a plain cell. Tracebacks, displays, ``await``, interrupts and "Run All" then work as in a plain
cell. Several of these lines may follow one another.
"""

from __future__ import annotations

import abc
import asyncio
import functools
import itertools
import linecache
import shlex
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .errors import GenOpsError
from .run import FAILED, FINISHED, KILLED

OPEN_MAGIC = "genops_open"
REPEAT_MAGIC = "genops_repeat"
_CALL = f"get_ipython().run_line_magic({OPEN_MAGIC!r}, "


class Scope(abc.ABC):
    """Something that is open while a cell runs."""

    def raises(self, error: BaseException) -> None:  # noqa: B027 - most have nothing to do
        """The cell ends with ``error``, which the shell has not shown yet; ``close`` follows."""

    def begins(self, code: CodeType) -> None:  # noqa: B027
        """A statement at the top of the cell begins, compiled by itself."""

    def ends(self) -> None:  # noqa: B027
        """The statement that began last has ended."""

    @abc.abstractmethod
    def close(self, status: str) -> None:
        """The cell has run: FINISHED, FAILED or KILLED."""


class _Open(NamedTuple):
    info: Any
    scope: Scope


class _Replaced(NamedTuple):
    """A replaced method of the shell; ``was_own``: the shell itself had it, such as another extension's hook."""

    theirs: Any
    ours: Any
    was_own: bool


def status_of(error: Optional[BaseException]) -> str:
    """Return the status of a run whose code raised ``error``."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return FINISHED
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        return KILLED
    return FAILED


def cell_body(raw: str) -> str:
    """Return the cell without its first ``%%`` lines."""
    lines = raw.lstrip("\n").splitlines(keepends=True)
    while lines and (lines[0].startswith("%%") or not lines[0].strip()):
        del lines[0]
    return "".join(lines)


def repeats_transformed(lines: List[str]) -> List[str]:
    """Turn ``%%track --repeat`` into a cell magic of its own, because it does not run its cell as it is."""
    first = lines[0].split() if lines else []
    if first[:1] == ["%%track"] and any(word in first for word in ("--repeat", "--seeds")):
        return [lines[0].replace("%%track", f"%%{REPEAT_MAGIC}", 1), *lines[1:]]
    return lines


class Scopes:
    """The open scopes of one shell."""

    def __init__(self, shell: Any, kinds: Dict[str, Callable[[str, str], Scope]]) -> None:
        self._shell = shell
        self._kinds = kinds
        self._infos: List[Any] = []
        self._open: List[_Open] = []
        #: Methods of the shell that are replaced while a scope is open, because no event reports their calls.
        self._replaced: Dict[str, _Replaced] = {}

    def register(self) -> None:
        """Listen to the shell."""
        self._shell.input_transformers_cleanup.append(self.transform)
        self._shell.events.register("pre_run_cell", self._before)
        self._shell.events.register("post_run_cell", self._after)

    def unregister(self) -> None:
        """Remove the listeners and restore the shell."""
        self._shell.input_transformers_cleanup.remove(self.transform)
        self._shell.events.unregister("pre_run_cell", self._before)
        self._shell.events.unregister("post_run_cell", self._after)

    def transform(self, lines: List[str]) -> List[str]:
        """Turn leading ``%%track`` and ``%%profile`` lines into calls; the line numbers stay."""
        calls: List[Tuple[int, str]] = []
        kinds = list(self._kinds)
        rest = list(lines)
        while rest and rest[0].startswith("%%"):
            kind, _, options = rest[0][2:].strip().partition(" ")
            if kind not in self._kinds:
                break
            given = f"{kind} {options.strip()}".strip()
            calls.append((kinds.index(kind), f"{_CALL}{given!r})\n"))
            del rest[0]
        if calls and rest and rest[0].startswith("%%"):
            from IPython.core import inputtransformer2

            foreign: Any = inputtransformer2.cell_magic
            rest = foreign(rest)
        # In the order of the kinds: the profile does not cover the tracking.
        return [call for _, call in sorted(calls, key=lambda one: one[0])] + rest

    def open(self, line: str) -> None:
        """Open the scope of a ``%%`` line for the cell that runs now."""
        if not self._infos:
            raise GenOpsError(
                "%%track and %%profile work only in a cell that the front end runs.",
                "Run the cell in the notebook.",
            )
        kind, _, options = line.partition(" ")
        info = self._infos[-1]
        raw = str(getattr(info, "raw_cell", ""))
        _show_as_typed(raw)
        code = self._shell.transform_cell(cell_body(raw))
        self._open.append(_Open(info, self._kinds[kind](options, code)))
        for name, ours in (("showtraceback", self._show), ("run_code", self._run)):
            if name not in self._replaced:
                self._replaced[name] = _Replaced(getattr(self._shell, name), ours, name in vars(self._shell))
                setattr(self._shell, name, ours)

    def _of_this_cell(self) -> List[Scope]:
        return [opened.scope for opened in reversed(self._open) if opened.info is self._infos[-1]]

    def _show(self, *arguments: Any, **options: Any) -> Any:
        error = sys.exc_info()[1]
        if error is not None and options.get("running_compiled_code"):
            for scope in self._of_this_cell():
                self._do(functools.partial(scope.raises, error))
        return self._replaced["showtraceback"].theirs(*arguments, **options)

    async def _run(self, code: CodeType, *arguments: Any, **options: Any) -> Any:
        run = self._replaced["run_code"].theirs
        # While a statement waits, others may run.
        scopes = [] if options.get("async_") else self._of_this_cell()
        for scope in scopes:
            self._do(functools.partial(scope.begins, code))
        try:
            return await run(code, *arguments, **options)
        finally:
            for scope in reversed(scopes):
                self._do(scope.ends)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as failure:  # a scope that cannot be closed must not keep the others open
            print(f"GenOps: {failure}", file=sys.stderr)

    def _give_back(self) -> None:
        for name, replaced in self._replaced.items():
            if vars(self._shell).get(name) != replaced.ours:
                continue  # another program has replaced it by now
            if replaced.was_own:
                setattr(self._shell, name, replaced.theirs)
            else:
                delattr(self._shell, name)
        self._replaced = {}

    def _before(self, info: Any) -> None:
        self._infos.append(info)

    def _after(self, result: Any) -> None:
        info = getattr(result, "info", None)
        if info not in self._infos:
            if result is not None or not self._infos:
                return
            info = self._infos[-1]
        while self._infos and self._infos.pop() is not info:
            continue
        error = KeyboardInterrupt() if result is None else result.error_before_exec or result.error_in_exec
        status = status_of(error)
        closing = [opened for opened in reversed(self._open) if opened.info is info]
        self._open = [opened for opened in self._open if opened.info is not info]
        if not self._open:
            self._give_back()
        for opened in closing:
            self._do(functools.partial(opened.scope.close, status))


def _show_as_typed(raw: str) -> None:
    """Show the ``%%`` lines of the running cell in tracebacks, as comments that Python can parse."""
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        lines = linecache.getlines(name) if "get_ipython" in frame.f_globals else []
        if lines and lines[0].startswith(_CALL):
            count = len(list(itertools.takewhile(lambda line: line.startswith(_CALL), lines)))
            typed = [f"# {line}" for line in raw.splitlines(keepends=True) if line.strip()][:count]
            whole = typed + lines[count:]
            linecache.cache[name] = (sum(map(len, whole)), None, whole, name)
            return
        frame = frame.f_back


def evaluate(shell: Any, statement: str) -> Any:
    """Run one statement in the user's namespace and return an expression's value."""
    code = shell.transform_cell(statement)
    try:
        compiled = compile(code.strip(), "<genops>", "eval")
    except SyntaxError:
        exec(compile(code, "<genops>", "exec"), shell.user_ns)  # noqa: S102
        return None
    return eval(compiled, shell.user_ns)  # noqa: S307


def words(line: str) -> List[str]:
    """Split a magic's line into words. Raises GenOpsError for an open quote."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise GenOpsError(f"Cannot read the line: {error}.", "Close the quote.") from error
