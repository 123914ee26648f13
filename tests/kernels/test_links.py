"""Links: how they connect, ask, break and come back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Unavailable
from genops_lab.hosts.link import connection as link_module
from genops_lab.hosts.link import keepalive
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.errors import (
    AuthenticationFailed,
    CarrierEnded,
    HostUnreachable,
    QuestionUnanswered,
)
from genops_lab.hosts.link.questions import Question
from genops_lab.hosts.link.state import LinkDown, LinkState, RemoteError
from genops_lab.hosts.providers import route_of
from tests.kernels.fake_host import FakeHost

DEADLINE_S = 60.0


class Person:
    """Who answers."""

    def __init__(self) -> None:
        self.answers: list[str | None] = []
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0)


class Scene:
    """A host, a person, and the link between."""

    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.person = Person()
        self.links = HostConnections(folder, self.person, opener=self.host.open)
        self.states: list[LinkState] = []
        self.changed = threading.Condition()
        self.links.watch_all(self._told)
        self.link: HostConnection = self.links.link(route_of(target="gpu", kind="local"))

    def _told(self, target: str, state: LinkState) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def do(self, work: Any) -> Any:
        """Run in the links' loop."""
        return self.links.submit(work).result(DEADLINE_S)

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a change of state that makes this true."""
        with self.changed:
            assert self.changed.wait_for(reached, DEADLINE_S), [each.state for each in self.states]

    def names(self) -> list[str]:
        return [each.state for each in self.states]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path)
    yield found
    found.links.close()


def question(kind: Any = "password", text: str = "Password:") -> Question:
    return Question(id="1", target="gpu", kind=kind, text=text)


def test_connects_when_asked_and_calls(scene: Scene) -> None:
    progress: list[Any] = []
    scene.do(scene.link.up())
    assert scene.names() == ["connecting", "up"]
    assert scene.link.hello["boot_id"] == "b" and scene.link.state.carrier == "fake"
    found = scene.do(scene.link.call("kernels.list", {"a": 1}, progress=progress.append))
    assert found == {"method": "kernels.list", "a": 1} and progress == [1]


def test_nothing_connects_unasked(scene: Scene) -> None:
    with pytest.raises(LinkDown, match="not connected"):
        scene.do(scene.link.call("probe"))
    with pytest.raises(LinkDown):
        scene.do(_open(scene.link))
    assert scene.host.opened == 0


async def _open(link: HostConnection) -> None:
    link.open("kernel", {})


def test_a_host_that_refuses_a_call_says_why(scene: Scene) -> None:
    scene.do(scene.link.up())
    scene.host.answer = lambda method, params: KeyError("no such kernel")
    with pytest.raises(RemoteError, match="no such kernel") as caught:
        scene.do(scene.link.call("kernels.info"))
    assert (caught.value.code, caught.value.status, caught.value.hint) == (
        "not_found",
        404,
        "Look elsewhere.",
    )


def test_a_call_that_nobody_answers_ends(scene: Scene) -> None:
    scene.do(scene.link.up())
    scene.host.answer = lambda method, params: None
    with pytest.raises(Unavailable, match="did not answer probe within"):
        scene.do(scene.link.call("probe", timeout_s=0.1))
    assert scene.link.is_up


def test_a_cut_link_comes_back_by_itself_and_the_call_is_asked_again(scene: Scene) -> None:
    scene.do(scene.link.up())
    asked: list[str] = []

    def answer(method: str, params: dict[str, Any]) -> Any:
        asked.append(method)
        return {"ok": True} if len(asked) > 1 else None

    scene.host.answer = answer
    waiting = scene.links.submit(scene.link.call("kernels.info"))
    _wait(lambda: len(asked) == 1)
    scene.do(scene.host.cut())
    assert waiting.result(DEADLINE_S) == {"ok": True}
    assert scene.names() == ["connecting", "up", "down", "connecting", "up"] and asked == ["kernels.info"] * 2


def test_a_start_that_is_cut_is_not_asked_twice(scene: Scene) -> None:
    scene.do(scene.link.up())
    asked: list[str] = []
    scene.host.answer = lambda method, params: asked.append(method)
    waiting = scene.links.submit(scene.link.call("kernels.start"))
    _wait(lambda: len(asked) == 1)
    scene.do(scene.host.cut())
    with pytest.raises(RemoteError) as caught:
        waiting.result(DEADLINE_S)
    assert caught.value.code == "gone" and asked == ["kernels.start"]


def test_attempts_go_on_until_the_host_is_back(scene: Scene) -> None:
    scene.do(scene.link.up())
    scene.host.errors = [HostUnreachable("No route.", hint="Wait.") for _ in range(3)]
    scene.do(scene.host.cut())
    scene.until(lambda: scene.names().count("up") == 2)
    downs = [each for each in scene.states if each.state == "down"]
    assert len(downs) == 4 and downs[-1].message == "No route." and downs[-1].retry_at is not None


def test_the_first_attempt_is_the_only_one(scene: Scene) -> None:
    scene.host.errors = [HostUnreachable("Refused.", hint="Is sshd up?")]
    with pytest.raises(HostUnreachable, match="Refused"):
        scene.do(scene.link.up())
    assert (scene.link.state.state, scene.link.state.step, scene.link.state.hint) == (
        "failed",
        "reachable",
        "Is sshd up?",
    )
    with pytest.raises(LinkDown, match="Refused"):
        scene.do(scene.link.call("probe"))
    scene.do(scene.link.up())
    assert scene.link.state.state == "up" and scene.host.opened == 2


def test_a_password_is_asked_once_and_used_again(scene: Scene) -> None:
    scene.host.question, scene.host.expected = question(), "secret"
    scene.person.answers = ["secret"]
    scene.do(scene.link.up())
    assert scene.names() == ["connecting", "asking", "connecting", "up"]
    scene.do(scene.host.cut())
    scene.until(lambda: scene.names().count("up") == 2)
    assert len(scene.person.asked) == 1
    assert not any("secret" in repr(each) for each in scene.states)


def test_a_one_time_code_is_not_kept_and_nobody_is_asked_unasked(scene: Scene) -> None:
    scene.host.question, scene.host.expected = question("keyboard_interactive", "Code:"), "123456"
    scene.person.answers = ["123456"]
    scene.do(scene.link.up())
    scene.do(scene.host.cut())
    scene.until(lambda: scene.link.state.state == "failed")
    assert len(scene.person.asked) == 1 and scene.link.state.code == "question_unanswered"
    scene.person.answers = ["123456"]
    scene.do(scene.link.up())
    assert scene.link.state.state == "up" and len(scene.person.asked) == 2


def test_a_wrong_password_fails_and_is_asked_anew(scene: Scene) -> None:
    scene.host.question, scene.host.expected = question(), "secret"
    scene.person.answers = ["wrong", "secret"]
    with pytest.raises(AuthenticationFailed):
        scene.do(scene.link.up())
    scene.do(scene.link.up())
    assert len(scene.person.asked) == 2


def test_an_answer_that_comes_after_the_host_ended_the_connection_is_used_by_the_next_one(
    scene: Scene,
) -> None:
    scene.host.question, scene.host.expected, scene.host.impatient = question(), "secret", 1
    scene.person.answers = ["secret"]
    scene.do(scene.link.up())
    assert scene.names() == ["connecting", "asking", "connecting", "up"]
    assert len(scene.person.asked) == 1


def test_a_connection_that_ends_after_an_answer_is_made_again_once(scene: Scene) -> None:
    scene.host.question, scene.host.expected, scene.host.impatient = question(), "secret", 99
    scene.person.answers = ["secret"]
    with pytest.raises(CarrierEnded):
        scene.do(scene.link.up())
    assert scene.host.opened == 2 and len(scene.person.asked) == 1


def test_a_refused_question_ends_the_attempt(scene: Scene) -> None:
    scene.host.question, scene.host.expected = question(), "secret"
    scene.person.answers = [None]
    with pytest.raises(QuestionUnanswered):
        scene.do(scene.link.up())


def test_a_host_that_hangs_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FIRST_ATTEMPT_S", 0.2)
    scene.host.stuck = True
    with pytest.raises(HostUnreachable, match="did not answer"):
        scene.do(scene.link.up())


@pytest.mark.parametrize("why", ["question", "silence"])
def test_what_asks_nobody_waits_until_somebody_connects(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(link_module, "FIRST_ATTEMPT_S", 5.0 if why == "question" else 0.2)
    scene.host.question, scene.host.expected = (question(), "secret") if why == "question" else (None, "")
    scene.host.stuck = why == "silence"
    failures: list[Exception] = []
    reaching = scene.links.submit(scene.link.up_unasked(failures.append))
    scene.until(lambda: scene.link.state.state == "failed")
    time.sleep(0.1)
    assert not reaching.done() and scene.person.asked == []
    assert [type(each) for each in failures] == [QuestionUnanswered if why == "question" else HostUnreachable]
    scene.host.stuck, scene.person.answers = False, ["secret"]
    scene.do(scene.link.up())
    reaching.result(DEADLINE_S)


def test_a_person_may_take_longer_than_a_host(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FIRST_ATTEMPT_S", 3.0)
    scene.host.question, scene.host.expected = question(), "secret"

    class Slow:
        async def ask(self, _question: Question) -> str | None:
            await asyncio.sleep(4.0)
            return "secret"

    scene.links.asker = Slow()
    scene.do(scene.link.up())
    assert scene.link.state.state == "up"


def test_silence_is_noticed_while_a_kernel_is_attached(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "ATTENTIVE_S", 0.2)
    scene.do(scene.link.up())
    scene.do(_silence(scene.host))
    scene.do(_hold(scene.link))
    scene.until(lambda: scene.names().count("up") == 2)
    assert "no longer answers" in next(each for each in scene.states if each.state == "down").message


async def _hold(link: HostConnection) -> None:
    link.hold()


async def _silence(host: FakeHost) -> None:
    """The host's end reads on and says nothing any more."""
    host.muxes[-1]._next_portion = lambda: b""  # type: ignore[method-assign]


def test_the_round_trip_is_measured(scene: Scene) -> None:
    scene.do(scene.link.up())
    _wait(lambda: scene.link.state.rtt_s is not None)
    assert scene.link.state.rtt_s > 0 and scene.names() == ["connecting", "up"]


def test_disconnected_on_purpose_it_stays_so(scene: Scene) -> None:
    scene.do(scene.link.up())
    scene.do(scene.link.down())
    assert scene.link.state.state == "idle" and not scene.link.is_up
    with pytest.raises(LinkDown):
        scene.do(scene.link.call("probe"))
    scene.do(scene.link.up())
    assert scene.link.is_up


def test_disconnecting_ends_an_attempt_and_tells_who_waits(scene: Scene) -> None:
    scene.host.stuck = True
    waiting = scene.links.submit(scene.link.up())
    _wait(lambda: scene.host.opened == 1)
    scene.do(scene.link.down())
    with pytest.raises(LinkDown):
        waiting.result(DEADLINE_S)


def test_a_channel_that_the_host_opens_reaches_its_service(scene: Scene) -> None:
    got: list[bytes] = []

    async def lab(channel: Any) -> None:
        got.append(await channel.read())
        channel.write(b"pong")
        channel.write_eof()

    scene.link.serve("lab", lab)
    scene.do(scene.link.up())

    async def from_host(service: str) -> bytes:
        channel = scene.host.muxes[-1].open(service, {"kernel_id": "k"})
        channel.write(b"ping")
        return await channel.read()

    assert scene.do(from_host("lab")) == b"pong" and got == [b"ping"]
    with pytest.raises(Exception, match="no service 'other'"):
        scene.do(from_host("other"))


def test_closing_takes_little_time_and_ends_the_thread(scene: Scene) -> None:
    others = set(threading.enumerate())
    scene.do(scene.link.up())
    (own,) = set(threading.enumerate()) - others
    scene.links.close()
    scene.links.close()
    assert not own.is_alive()
    with pytest.raises(LinkDown, match="closed"):
        scene.links.submit(scene.link.up())


def test_a_changed_route_counts_from_the_next_connection(scene: Scene) -> None:
    scene.do(scene.link.up())
    changed = route_of(target="gpu", kind="local", python="python3.12")
    assert scene.links.link(changed) is scene.link and scene.link.route == changed


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
