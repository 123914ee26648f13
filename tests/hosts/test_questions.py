"""Questions: who asks, who answers, and where an answer never is."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.store import LocalStore
from genops_lab.hosts.link.questions import Question
from genops_lab.hosts.models import Answer
from genops_lab.hosts.questions import MAX_ANSWER, QuestionsService
from tests.support.homes import Home

from .labs import run, until

SECRET = "correct-horse-battery-staple"


def question(id: str = "q1", target: str = "gpu1") -> Question:
    return Question(id=id, target=target, kind="password", text=f"Password of ada@{target}:")


@asynccontextmanager
async def asking(
    home: Home, timeout_s: float = 100
) -> AsyncIterator[tuple[QuestionsService, list[tuple[str, str]]]]:
    store = LocalStore(home.data / "store.db")
    events, notified = EventBus(store), []
    events.listen(lambda kind, id, _revision: notified.append((kind, id)))
    try:
        yield QuestionsService(events, timeout_s=timeout_s), notified
    finally:
        await events.close()
        store.close()


def test_a_question_is_told_listed_answered_once_and_kept_nowhere(
    at_home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, notified):
            asked = asyncio.create_task(service.ask(question()))
            [shown] = await until(service.list_questions, bool)
            assert (shown.id, shown.target, shown.kind, shown.echo) == ("q1", "gpu1", "password", False)
            assert shown.expires_at - shown.asked_at == pytest.approx(100)
            await service.answer_question("q1", Answer(text=SECRET))
            assert await asked == SECRET
            assert await service.list_questions() == []
            with pytest.raises(NotFound, match="no longer open"):
                await service.answer_question("q1", Answer(text=SECRET))
        assert ("question", "q1") in notified
        assert SECRET not in repr(notified)

    with caplog.at_level(logging.DEBUG):
        run(body())
    assert SECRET not in caplog.text
    assert SECRET not in repr(Answer(text=SECRET))
    for file in at_home.data.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_question_can_be_refused(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            asked = asyncio.create_task(service.ask(question()))
            await until(service.list_questions, bool)
            await service.answer_question("q1", Answer(text=None))
            assert await asked is None

    run(body())


def test_a_question_that_nobody_answers_ends(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home, timeout_s=0.05) as (service, notified):
            assert await service.ask(question()) is None
            assert await service.list_questions() == []
        assert ("question", "q1") in notified

    run(body())


def test_a_question_is_withdrawn_with_who_asked(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            asked = asyncio.create_task(service.ask(question()))
            await until(service.list_questions, bool)
            asked.cancel()
            await until(service.list_questions, lambda found: not found)
            with pytest.raises(NotFound):
                await service.answer_question("q1", Answer(text=SECRET))

    run(body())


def test_questions_of_one_target_are_withdrawn(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            first = asyncio.create_task(service.ask(question("q1", "gpu1")))
            second = asyncio.create_task(service.ask(question("q2", "gpu2")))
            await until(service.list_questions, lambda found: len(found) == 2)
            await service.withdraw("gpu1")
            assert await first is None
            assert [each.id for each in await service.list_questions()] == ["q2"]
            await service.withdraw()
            assert await second is None

    run(body())


def test_a_link_in_its_own_thread_asks_and_hears(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            heard: list[str | None] = []
            links = threading.Thread(target=lambda: heard.append(asyncio.run(service.ask(question()))))
            links.start()
            await until(service.list_questions, bool)
            await service.answer_question("q1", Answer(text=SECRET))
            await asyncio.to_thread(links.join, 60)
            assert heard == [SECRET]

    run(body())


def test_a_link_in_its_own_thread_takes_its_question_back(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            shown = threading.Event()

            async def give_up() -> None:
                asked = asyncio.create_task(service.ask(question()))
                await asyncio.to_thread(shown.wait, 60)
                asked.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asked

            links = threading.Thread(target=lambda: asyncio.run(give_up()))
            links.start()
            await until(service.list_questions, bool)
            shown.set()
            await until(service.list_questions, lambda found: not found)
            await asyncio.to_thread(links.join, 60)
            assert not links.is_alive()

    run(body())


def test_an_answer_without_end_is_refused_and_the_question_stays(at_home: Home) -> None:
    async def body() -> None:
        async with asking(at_home) as (service, _told):
            asked = asyncio.create_task(service.ask(question()))
            await until(service.list_questions, bool)
            with pytest.raises(InvalidRequest) as caught:
                await service.answer_question("q1", Answer(text=SECRET * MAX_ANSWER))
            assert SECRET not in caught.value.message
            await service.answer_question("q1", Answer(text=SECRET))
            assert await asked == SECRET

    run(body())
