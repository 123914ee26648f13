"""Limit the time of a connection attempt, and answer its questions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .questions import Asker, Question


class Deadline:
    """Cancels a task after some seconds. The seconds in which it is :meth:`paused <pause>` do not count."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self.over = False

    def watch(self, task: asyncio.Future[Any]) -> None:
        """Start to count for this task."""
        self._task = task
        task.add_done_callback(lambda _task: self.pause())
        self.resume()

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= self._loop.time() - self._since

    def resume(self) -> None:
        if self._task is not None and not self._task.done() and self._timer is None:
            self._since = self._loop.time()
            self._timer = self._loop.call_later(max(self._left, 0.0), self._end)

    def _end(self) -> None:
        self._timer = None
        if self._task is not None and not self._task.done():
            self.over = True
            self._task.cancel()


class Answers:
    """The Asker of one target's attempts: keeps the answers that a later login needs again, until the process
    ends.

    Passwords and passphrases that led to a connection stay in memory; one-time codes and answers about host
    keys do not. ``may_ask`` is False for attempts that no person started: they fail where a person would have
    to answer.
    """

    def __init__(self, asker: Asker, asking: Callable[[bool], None]) -> None:
        self._asker = asker
        self._asking = asking
        self._kept: dict[tuple[str, str], str] = {}
        self._new: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()
        self._answered = False
        self.may_ask = False

    def begin(self, *, may_ask: bool) -> None:
        self.may_ask = may_ask
        self._new.clear()
        self._used.clear()
        self._answered = False

    def again(self) -> bool:
        """Handle the end of a connection; return True where a person answered meanwhile.

        The person may have taken longer than the host waits for a login (sshd: LoginGraceTime, 2 minutes).
        The next connection gets the same answers, each once.
        """
        answered, self._answered = self._answered, False
        self._used.clear()
        return answered

    def keep(self) -> None:
        """Keep the answers: the attempt led to a connection."""
        self._kept.update(self._new)
        self._new.clear()

    def forget(self) -> None:
        """Drop all answers."""
        self._kept.clear()
        self._new.clear()

    async def ask(self, question: Question) -> str | None:
        """Return the known answer, or ask the person."""
        key = (question.kind, question.text)
        known = self._new.get(key, self._kept.get(key))
        if known is not None and key not in self._used:
            self._used.add(key)
            return known
        if known is not None:  # the same connection asks again: the answer was wrong
            self._new.pop(key, None)
            self._kept.pop(key, None)
        if not self.may_ask:
            return None
        self._asking(True)
        try:
            answer = await self._asker.ask(question)
        finally:
            self._asking(False)
        self._answered = self._answered or answer is not None
        if answer is not None and question.kind in ("password", "passphrase"):
            self._new[key] = answer
            self._used.add(key)
        return answer
