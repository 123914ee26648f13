"""Wait for long work, and ask the questions of a connection at the terminal meanwhile."""

from __future__ import annotations

import getpass
import shutil
import sys
import time
from collections.abc import Callable

from genops_lab.core.errors import Failed, NotFound
from genops_lab.core.models import Task
from genops_lab.core.tasks import TasksService
from genops_lab.hosts.models import Answer, OpenQuestion
from genops_lab.hosts.questions import QuestionsService

from .document import clean
from .session import Session


class Prompts:
    """Ask the questions of one target at the terminal. An answer goes to the Lab alone."""

    def __init__(self, session: Session, target: str) -> None:
        self._session = session
        self._target = target
        self._seen: set[str] = set()

    def look(self) -> None:
        """Ask the open questions. Without a terminal a running Lab's panel asks, and without a Lab the answer is no."""
        for question in self._session.call(QuestionsService.list_questions):
            if question.target != self._target or question.id in self._seen:
                continue
            self._seen.add(question.id)
            if self._session.can_ask:
                self._put(question)
            elif self._session.local:
                self._session.say(f"{_worded(question)}\nNobody can answer. Run this command at a terminal.")
                self._answer(question, None)
            else:
                self._session.say(
                    f"{_worded(question)}\nAnswer the question in JupyterLab, in the panel of the targets."
                )

    def _put(self, question: OpenQuestion) -> None:
        try:
            answer = _asked(self._session, question)
        except EOFError:
            answer = None
        except KeyboardInterrupt:
            self._answer(question, None)
            raise
        self._answer(question, answer)

    def _answer(self, question: OpenQuestion, text: str | None) -> None:
        try:
            self._session.call(
                QuestionsService.answer_question, question_id=question.id, body=Answer(text=text)
            )
        except NotFound as error:
            self._session.say(f"{error.message} {error.hint}")


def _worded(question: OpenQuestion) -> str:
    lines = [clean(line) for line in question.text.splitlines() if line.strip()]
    key = f"{question.key_type} {question.fingerprint}".strip()
    if key and question.fingerprint not in question.text:
        lines.append(f"Host key: {clean(key)}")
    return f"{question.target}: " + "\n".join(lines)


def _asked(session: Session, question: OpenQuestion) -> str | None:
    worded = _worded(question)
    if question.kind == "host_key":
        session.say(worded)
        return "yes" if session.confirm("Accept this key?") else None
    if question.kind in ("folder_size", "folder_pull"):
        session.say(worded)
        return "yes" if session.confirm("Transfer the files?") else None
    if question.kind == "evaluation":
        session.say(worded)
        return "yes" if session.confirm("Begin the evaluation?") else None
    if question.echo:
        print(f"{worded} ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")
    return getpass.getpass(f"{worded} ", stream=sys.stderr)


POLL_S = 0.25
#: Where no terminal shows one line that changes, a line is printed this often.
FIGURES_EVERY_S = 10.0


def followed(session: Session, task: Task, look: Callable[[], None] = lambda: None) -> Task:
    """Print the log of a task until it ends, and return it; an interrupt cancels it. ``look`` is called meanwhile.

    Raises Failed.
    """
    log = _Log(session, task.id)
    try:
        while True:
            log.print()
            task = session.call(TasksService.get_task, task_id=task.id)
            if task.state != "running":
                break
            log.show_figures(task.message)
            look()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        log.say("Cancelling the task.")
        session.call(TasksService.cancel_task, task_id=task.id)
        log.print()
        raise
    log.print()
    if task.state != "done":
        raise Failed(task.message, hint=task.hint)
    return task


class _Log:
    """The lines of a task's log, and its figures that change all the time, such as the rate of a copy."""

    def __init__(self, session: Session, task: str) -> None:
        self._session = session
        self._task = task
        self._lines: list[str] = []
        self._drawn = False
        self._shown, self._at = "", time.monotonic()

    def print(self) -> None:
        """Print the lines that are new."""
        lines = self._session.call(TasksService.get_task_log, task_id=self._task).lines
        for line in lines[len(self._lines) :]:
            self.say(line)
        self._lines = lines

    def say(self, line: str) -> None:
        """Print a line in place of the figures."""
        if self._drawn:
            print("\r\033[K", end="", file=sys.stderr)
            self._drawn = False
        self._session.say(line)

    def show_figures(self, message: str) -> None:
        """Draw a message that is no line of the log: at the same place of a terminal, else now and then."""
        if message in self._lines or message == self._shown:
            return
        if self._session.can_ask:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{clean(message)[:width]}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        elif time.monotonic() - self._at < FIGURES_EVERY_S:
            return
        else:
            self._session.say(message)
        self._shown, self._at = message, time.monotonic()
