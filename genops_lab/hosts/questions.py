"""Put questions of connections to a person: list open ones, accept one answer each, keep none."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.events import EventBus

from .models import Answer, OpenQuestion

if TYPE_CHECKING:
    from genops_lab.hosts.link.questions import Question

TIMEOUT_S = 180.0
MAX_ANSWER = 4096


@dataclass(frozen=True)
class _Waiting:
    question: OpenQuestion
    answer: asyncio.Future[str | None]


class QuestionsService:
    """The Asker of this process's connections: they ask from any loop, the Lab's loop has the open questions.

    An answer goes to the asking connection and nowhere else: not to the store, an event, or a log.
    """

    def __init__(self, events: EventBus, *, timeout_s: float = TIMEOUT_S) -> None:
        self._events = events
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, _Waiting] = {}

    async def list_questions(self) -> list[OpenQuestion]:
        """Return the open questions, oldest first."""
        return [each.question for each in self._waiting.values()]

    async def answer_question(self, question_id: str, body: Answer) -> None:
        """Answer a question, or refuse it with null."""
        if body.text is not None and len(body.text) > MAX_ANSWER:
            raise InvalidRequest(
                f"The answer has {len(body.text)} characters; the limit is {MAX_ANSWER}.",
                hint="Paste only the password or the code.",
            )
        waiting = self._waiting.get(question_id)
        if waiting is None or waiting.answer.done():
            raise NotFound(
                "This question is no longer open.",
                hint="It was answered elsewhere, was open for over 3 minutes, or its connection was "
                "cancelled. Connect again.",
            )
        waiting.answer.set_result(body.text)

    async def ask(self, question: Question) -> str | None:
        """Ask a question and wait; return None when it is refused or nobody answers in time. May be called
        from any event loop."""
        if asyncio.get_running_loop() is self._loop:
            return await self._ask(question)
        # A cancelled ask cancels the future, and with it the question.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._ask(question), self._loop))

    async def _ask(self, question: Question) -> str | None:
        now = time.time()
        shown = OpenQuestion(
            id=question.id,
            target=question.target,
            kind=question.kind,
            text=question.text,
            echo=question.echo,
            fingerprint=question.fingerprint,
            key_type=question.key_type,
            asked_at=now,
            expires_at=now + self._timeout_s,
        )
        waiting = _Waiting(shown, self._loop.create_future())
        self._waiting[question.id] = waiting
        self._events.emit("question", question.id)
        try:
            return await asyncio.wait_for(waiting.answer, self._timeout_s)
        except asyncio.TimeoutError:
            return None
        finally:
            del self._waiting[question.id]
            self._events.emit("question", question.id)

    async def withdraw(self, target: str = "") -> None:
        """Close all open questions (of one target): the askers get None."""
        for each in list(self._waiting.values()):
            if (not target or each.question.target == target) and not each.answer.done():
                each.answer.set_result(None)
