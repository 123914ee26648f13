"""Limits of an endpoint are held together by all that ask it: models, judges, evaluations and processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from genops_lab.core.errors import Conflict
from genops_lab.core.locks import FileLock
from genops_lab.genai.endpoints import shared_limits
from genops_lab.genai.endpoints.endpoint import Connection, Endpoint
from genops_lab.genai.endpoints.endpoint_check import StepwiseTest
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.endpoints.models import ModelEndpoint
from genops_lab.genai.endpoints.probes import PROMPTS, probe
from genops_lab.genai.endpoints.shared_limits import SharedLimits, limits_folder
from genops_lab.genai.evaluations.models import AnswerEvaluation
from tests.support.openai_stub import OpenAIStub

from .answering import Evaluating, questions

JUDGE = {"scorer": "rubric", "criterion": "It is right.", "model": "j"}


class Clock:
    """A clock that sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(shared_limits.asyncio, "sleep", self.sleep)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def turn(self, limits: SharedLimits, tokens: float = 0.0) -> float:
        """Take a turn, and return when it came."""
        asyncio.run(limits.turn(tokens))
        return self.now


def test_two_that_ask_share_the_requests_and_tokens_of_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, folder = Clock(monkeypatch), limits_folder(tmp_path, "house")
    one, other = (SharedLimits(Limits(requests_per_minute=60), folder, clock) for _ in range(2))
    assert [clock.turn(each) for each in (one, other, one, other)] == [1000.0, 1001.0, 1002.0, 1003.0]
    # A faster limit of a file counts the calls of the slower one, and the other way round.
    fast = SharedLimits(Limits(requests_per_minute=120), folder, clock)
    assert [clock.turn(each) for each in (fast, one, fast)] == [1004.0, 1004.5, 1005.5]
    apart = SharedLimits(Limits(requests_per_minute=60), limits_folder(tmp_path, "another"), clock)
    assert clock.turn(apart) == 1005.5

    folder = limits_folder(tmp_path, "tokens")
    one, other = (SharedLimits(Limits(tokens_per_minute=6000), folder, clock) for _ in range(2))
    assert [clock.turn(one, 500) - 1005.5, clock.turn(other, 100) - 1005.5] == [0.0, 5.0]
    other.give_back(50)  # of the 100 that were set aside: a second's worth is half
    assert clock.turn(one, 100) - 1005.5 == pytest.approx(5.5)


def test_a_clock_that_is_set_back_holds_no_call_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    limits = SharedLimits(Limits(requests_per_minute=60), limits_folder(tmp_path, "house"), clock)
    clock.turn(limits)
    clock.now -= 3600
    assert clock.turn(limits) == 1000.0 - 3600


def test_a_process_that_is_killed_leaves_its_calls_at_once(tmp_path: Path) -> None:
    folder = limits_folder(tmp_path, "house")
    code = (
        "import asyncio, sys\n"
        "from genops_lab.genai.endpoints.limits import Limits\n"
        "from genops_lab.genai.endpoints.shared_limits import SharedLimits\n"
        "async def hold():\n"
        "    limits = SharedLimits(Limits(at_once=2), sys.argv[1])\n"
        "    async with limits.one_of_at_once(), limits.one_of_at_once():\n"
        "        print('held', flush=True)\n"
        "        await asyncio.sleep(3600)\n"
        "asyncio.run(hold())\n"
    )

    async def take() -> None:
        limits = SharedLimits(Limits(at_once=2), folder)
        async with limits.one_of_at_once(), limits.one_of_at_once():
            pass

    with subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        slots = sorted(Path(folder).glob("call-*.lock"))
        assert len(slots) == 2 and not any(FileLock(each).try_acquire() for each in slots)
        process.kill()
    asyncio.run(asyncio.wait_for(take(), 60))


def test_an_event_loop_that_ended_keeps_no_lock_file_open(tmp_path: Path) -> None:
    limits = SharedLimits(Limits(at_once=2), limits_folder(tmp_path, "house"))

    async def take_twice() -> list[str]:
        for _ in range(2):
            async with limits.one_of_at_once(), limits.one_of_at_once():
                pass
        files = [each.path for each in psutil.Process().open_files()]
        return sorted(each for each in files if each.startswith(str(tmp_path)))

    first, second = asyncio.run(take_twice()), asyncio.run(take_twice())
    assert first == second and len(first) == 2
    assert all(FileLock(Path(each)).try_acquire() for each in first), "no call is in flight"


def evaluating(folder: Path, stub: OpenAIStub, rows: int = 12, **more: Any) -> Evaluating:
    folder.mkdir()
    model = {"url": stub.url, "model": "stub-1"}
    return Evaluating(folder, stub.url, questions(rows), models={"a": model, "b": model}, **more)


def limited(endpoints: list[Endpoint], folder: str, limits: Limits) -> list[Endpoint]:
    return [msgspec.structs.replace(each, limits_folder=folder, limits=limits) for each in endpoints]


def test_models_judges_and_two_evaluations_share_the_calls_at_once(tmp_path: Path) -> None:
    with OpenAIStub(key="", delay_s=0.02, answers={"Rate": '{"reason": "so", "mark": 4}'}) as stub:
        judges = {"j": {"url": stub.url, "model": "stub-1"}}
        first = evaluating(tmp_path / "first", stub, scorers=[JUDGE], judges=judges)
        other = evaluating(tmp_path / "other", stub)
        folder, limits = limits_folder(tmp_path, "house"), Limits(at_once=3)

        def ask(each: Evaluating) -> AnswerEvaluation:
            return each.process.ask(each.id, limited(each.endpoints, folder, limits))

        ask(first)
        assert stub.status()["at_once"] == 3, "two models share the limit"
        judge = limited([Endpoint(name="j", url=stub.url, model="stub-1")], folder, limits)
        with ThreadPoolExecutor() as threads:  # the judge of one evaluation, and two models of another
            scored, asked = (
                threads.submit(first.process.score, first.id, judge),
                threads.submit(ask, other),
            )
            assert sum(each.answered for each in asked.result(60).models) == 24
            scored.result(60)
        status = stub.status()
    # Both models gave the same answers, and a judge is asked once about each.
    assert status["at_once"] == 3 and status["answered"] == 24 + 24 + 12


def test_two_models_stay_below_the_calls_that_an_endpoint_takes_in_a_second(tmp_path: Path) -> None:
    # 10 a second by the limit, and as many as a busy machine can make late. Apart they would make 20 for two seconds.
    with OpenAIStub(key="", calls_per_s=15) as stub:
        found = evaluating(tmp_path / "first", stub, rows=20)
        limits = Limits(at_once=2, requests_per_minute=600)
        folder = limits_folder(tmp_path, "house")
        state = found.process.ask(found.id, limited(found.endpoints, folder, limits))
        status = stub.status()
    assert sum(each.answered for each in state.models) == 40 and "rate" not in status, status


def test_calls_of_check_models_and_of_an_endpoints_test_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, turn = [], SharedLimits.turn

    async def counted(limits: SharedLimits, tokens: float) -> None:
        taken.append((limits._folder, tokens))
        await turn(limits, tokens)

    monkeypatch.setattr(SharedLimits, "turn", counted)
    folder, limits = limits_folder(tmp_path, "house"), Limits(requests_per_minute=6e4)
    with OpenAIStub(key="") as stub:
        found = evaluating(tmp_path / "first", stub, rows=1, check_models=True)
        found.process.ask(found.id, limited(found.endpoints, folder, limits))
        answered = stub.status()["answered"]
        assert answered == len(taken) >= 2 * 2 * len(PROMPTS)  # of two models, before and after
        [endpoint] = limited([Endpoint(name="a", url=stub.url, model="stub-1")], folder, limits)

        async def test() -> None:
            listed = ModelEndpoint(name="a", kind="own", url=stub.url, model="stub-1")
            steps = StepwiseTest(listed, lambda _steps: None)
            await steps.run(asyncio.sleep(0, endpoint), accept=False, longest_s=60.0)

        asyncio.run(test())
        assert stub.status()["answered"] == len(taken) == answered + len(PROMPTS) + 1  # and a streamed one
    assert {each[0] for each in taken} == {Path(folder)} and all(tokens > 0 for _, tokens in taken)


def test_a_test_waits_for_the_calls_of_others_and_says_so(tmp_path: Path) -> None:
    folder, limits = limits_folder(tmp_path, "house"), Limits(at_once=1)

    async def ask() -> int:
        [endpoint] = limited([Endpoint(name="house", url=stub.url, model="stub-1")], folder, limits)
        async with Connection(endpoint) as connection:
            async with SharedLimits(limits, folder).one_of_at_once():
                with pytest.raises(Conflict, match="Other calls used the limits of house"):
                    await probe(connection, wait_s=0.1)
                assert stub.status()["answered"] == 0
            return len((await probe(connection, wait_s=60.0)).answers)

    with OpenAIStub(key="") as stub:
        assert asyncio.run(ask()) == len(PROMPTS)


def test_tokens_that_an_endpoint_does_not_count_are_not_given_back(tmp_path: Path) -> None:
    folder, limits = limits_folder(tmp_path, "house"), Limits(tokens_per_minute=6e6)
    given: list[float] = []
    with OpenAIStub(key="", usage=False) as stub, pytest.MonkeyPatch.context() as patched:
        patched.setattr(SharedLimits, "give_back", lambda _limits, tokens: given.append(tokens))
        found = evaluating(tmp_path / "first", stub, rows=3)
        state = found.process.ask(found.id, limited(found.endpoints, folder, limits))
    assert sum(each.answered for each in state.models) == 6 and not any(given)
