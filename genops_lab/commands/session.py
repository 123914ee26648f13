"""Connect a command to the Lab, print its answer, and end it with an exit code.

Exit codes, for CI:

====  =====================================================================================
0     done
1     failed, or not allowed
2     wrong usage: an unknown option, a wrong value
3     no such run, model, version, deployment, profile, target, kernel or file
4     a conflict, or a confirmation is needed (``--trust``)
5     MLflow, the running Lab or a host does not answer; the same command may succeed later
6     a trace is cut off, corrupt or without events; the answer holds what could be read
7     the answer was printed, and could not be written to the file (``--markdown``)
8     an evaluation of answers: answers or scores are missing
10    gates: a rule does not hold
11    gates: not enough data
12    gates: a rule cannot be checked
130   interrupted
====  =====================================================================================

Standard output holds the answer alone: a table, with ``--json`` one JSON document, with
``GENOPS_OUTPUT=notebook`` one object for the ``%genops`` magic. Everything else goes to standard error; with
``--json`` the last line there is a failure's ``{"error": {code, message, hint, details}}``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar

import msgspec
import typer

from genops_lab.core.client import Caller
from genops_lab.core.errors import (
    Conflict,
    ErrorBody,
    GenOpsError,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from genops_lab.core.paging import Page, PageQuery, every_page

from . import html, terminal
from .document import Document
from .unread_store import unread_store

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 1
EXIT_INCOMPLETE = 6
EXIT_NOT_WRITTEN = 7
EXIT_INTERRUPTED = 130
#: The code of an error about the file for an answer that was printed.
NOT_WRITTEN = "not_written"
_EXIT_CODES: dict[type[GenOpsError], int] = {InvalidRequest: 2, NotFound: 3, Conflict: 4, Unavailable: 5}

OUTPUT_VARIABLE = "GENOPS_OUTPUT"

#: Seconds after which a command says that it waits, and after which it says so again.
PATIENCE_S, AGAIN_S = 5.0, 30.0

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the deletion.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
#: For commands that say what calls of models cost before they make them.
Calls = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the calls.")]
View = Literal["", "deployment"]


class Session:
    """The calls, answers, remarks and questions of one command."""

    def __init__(self, as_json: bool) -> None:
        self.notebook = os.environ.get(OUTPUT_VARIABLE) == "notebook"
        self.json = as_json
        self.local = False

    def call(self, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of an operation, from the running Lab, or from services in this process."""
        with _offered():
            return self._caller.call(method, *args, **kwargs)

    def every(self, method: Callable[[S, PageQuery], Awaitable[Page[R]]], *, key: str) -> list[R]:
        """Return the items of all pages of a list. ``key``: the attribute that identifies an item."""
        return list(every_page(lambda query: self.call(method, query), attrgetter(key)))

    def stream(
        self, method: Callable[Concatenate[S, P], AsyncIterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[R]:
        """Yield the items of an operation that answers item by item."""
        with _offered():
            yield from self._caller.stream(method, *args, **kwargs)

    @cached_property
    def _caller(self) -> Caller:
        from genops_lab.app.features import OPERATIONS
        from genops_lab.core.client import LocalCaller, SocketCaller
        from genops_lab.core.running_labs import find

        found = find()
        if found is not None:
            return SocketCaller(found.socket, OPERATIONS)
        from genops_lab.app.application import Application
        from genops_lab.core.settings import Settings

        self.local = True
        return LocalCaller(lambda: Application.open(Settings.from_environment(), supervise=False), OPERATIONS)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say on standard error that MLflow has not given ``what`` yet, after 5 s and every 30 s from then on."""
        got = threading.Event()

        def tell() -> None:
            waited, pause = 0.0, PATIENCE_S
            while not got.wait(pause):
                waited += pause
                pause = AGAIN_S
                self.say(f"Waiting for MLflow for {waited:.0f} s: {what}. Press Ctrl+C to stop.")

        teller = threading.Thread(target=tell, name="genops-waiting", daemon=True)
        teller.start()
        try:
            yield
        finally:
            got.set()
            teller.join()

    def show(self, data: Any, document: Document, view: View = "") -> None:
        """Print the answer: as a document, as JSON, or for a notebook, which may open the live ``view`` of it."""
        if self.notebook:
            bundle = {
                "text": terminal.render(document, width=terminal.NOTEBOOK_WIDTH),
                "html": html.render(document),
                "data": data,
                "view": view,
            }
            print(msgspec.json.encode(bundle).decode(), flush=True)
        elif self.json:
            print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode(), flush=True)
        else:
            print(terminal.render_for_stdout(document), flush=True)

    def show_line(self, data: Any, document: Document) -> None:
        """Print one of several answers; with ``--json`` each is one line."""
        if self.json:
            print(msgspec.json.encode(data).decode(), flush=True)
        else:
            self.show(data, document)

    def say(self, message: str) -> None:
        """Print a remark on standard error."""
        print(message, file=sys.stderr, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether standard input and standard error are a terminal."""
        return not self.notebook and sys.stdin.isatty() and sys.stderr.isatty()

    def confirm(self, question: str) -> bool:
        """Ask at the terminal; return whether the answer is y or yes."""
        # Typer's own prompt writes to standard output.
        print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def agree(self, statement: str, yes: bool) -> None:
        """Ask before a deletion that cannot be undone. ``statement`` says what is deleted.

        Raises Conflict for a no, and without a terminal unless ``yes``.
        """
        if yes:
            return
        if not self.can_ask:
            raise Conflict(
                f"{statement} This cannot be undone.",
                code="confirmation_needed",
                hint="Add --yes to confirm the deletion.",
            )
        self.say(f"{statement} This cannot be undone.")
        if not self.confirm("Delete?"):
            raise Conflict("Nothing was deleted.", code="confirmation_needed")

    def agree_to_calls(self, cost: str, yes: bool) -> None:
        """Say what calls of models may cost, and ask before they are made.

        Raises Conflict for a no, and without a terminal unless ``yes``.
        """
        self.say(cost)
        if yes:
            return
        if not self.can_ask:
            raise Conflict(cost, code="confirmation_needed", hint="Add --yes to make the calls.")
        if not self.confirm("Make the calls?"):
            raise Conflict("Nothing was asked.", code="confirmation_needed")

    def agree_to_record(self, statement: str, yes: bool) -> None:
        """Say that requests and answers will be kept, and ask before. Raises as :meth:`agree_to_calls`."""
        self.say(statement)
        if yes:
            return
        if not self.can_ask:
            raise Conflict(statement, code="confirmation_needed", hint="Add --yes to keep them.")
        if not self.confirm("Keep them?"):
            raise Conflict("Nothing was changed.", code="confirmation_needed")

    def say_unread_store(self) -> None:
        """Print a remark if what an empty list lacks may be in an MLflow database that was not read."""
        if remark := unread_store(Path.cwd()):
            self.say(f"Hint: {remark}")

    def report(self, error: GenOpsError) -> None:
        """Print an error, and its JSON with ``--json``."""
        self.say(f"Error: {error.message}")
        if error.hint:
            self.say(f"Hint: {error.hint}")
        if self.json:
            self.say(msgspec.json.encode(ErrorBody(error.info())).decode())

    def close(self) -> None:
        """Close the connection to the Lab."""
        if "_caller" in vars(self):
            self._caller.close()


@contextlib.contextmanager
def _offered() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        if error.code != "http":
            raise
        raise NotFound(
            "The running GenOps Lab does not offer this command.",
            hint="Its administrator switched the feature off, or it has another version than this command. "
            "See: genops status",
        ) from error


def exit_code(error: GenOpsError) -> int:
    """Return the exit code of an error."""
    if error.code == NOT_WRITTEN:
        return EXIT_NOT_WRITTEN
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), EXIT_FAILED)


@contextlib.contextmanager
def command(as_json: bool) -> Iterator[Session]:
    """Run the body of a command; turn errors into messages and exit codes."""
    session = Session(as_json)
    try:
        try:
            yield session
        finally:
            session.close()
    except GenOpsError as error:
        session.report(error)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        session.say("Interrupted.")
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:  # the program's outermost boundary
        if os.environ.get("GENOPS_DEBUG"):
            traceback.print_exc()
        failure = GenOpsError(
            f"The command failed with an unexpected {type(error).__name__}: {error}",
            code="unexpected",
            hint="Run it again with GENOPS_DEBUG=1 to see the traceback. `genops doctor` checks the installation.",
        )
        session.report(failure)
        raise typer.Exit(EXIT_FAILED) from error
