"""Ask models for all answers of an evaluation: at once, within limits, again after failures that pass."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import msgspec

from genops_lab.genai.endpoints.endpoint import (
    MAY_COST,
    PASSING,
    Answer,
    CallFailed,
    Connection,
    Endpoint,
    most_tokens,
)
from genops_lab.genai.endpoints.limits import Budget, BudgetReached, Reserved, Usage
from genops_lab.genai.endpoints.shared_limits import SharedLimits

from .journal import NOTHING, Call, Journal, Key
from .steps import summed

#: Calls that fail in a row, at the beginning, until nothing more is asked.
_HOPELESS = 5
#: Failures that say that nobody is there: the wait for them is that of ``patience_s``, not of ``tries``.
_ABSENT = frozenset({"rate", "connection", "away"})
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.5, 20.0
#: After this many seconds without an answer, the progress says why.
_SILENT_S = 5.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to be asked for. ``attached_tokens``: the most of files that the messages name."""

    example: str
    repeat: int
    messages: list[dict[str, Any]]
    settings: dict[str, Any] = {}
    attached_tokens: int = 0


class Asked(msgspec.Struct, kw_only=True):
    """How far an evaluation came with one model. ``stopped`` says why not all answers were asked for.

    ``over_budget``: because the next call could pass the budget. ``waits`` says why no answer comes for the moment.
    """

    model: str
    wanted: int
    answered: int = 0
    failed: int = 0
    kept: int = 0
    repeated: int = 0
    spent: Usage = Usage()
    money: float | None = None
    stopped: str = ""
    over_budget: bool = False
    waits: str = ""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to go on: ``tries`` calls at most for one answer; ``patience_s`` while an endpoint is away or limits
    its rate."""

    tries: int = 4
    patience_s: float = 900.0


class Asking:
    """Asks one model. ``tell`` is called after each answer."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        patience: Patience | None = None,
        tell: Callable[[Asked], None] = lambda _asked: None,
    ) -> None:
        endpoint = connection.endpoint
        self._connection, self._journal, self._tell = connection, journal, tell
        self._patience = patience or Patience()
        self._endpoint: Endpoint = endpoint
        self._limits = SharedLimits(endpoint.limits, endpoint.limits_folder)
        self._away_until = self._answered_at = 0.0
        self._joined: dict[bytes, asyncio.Future[Call]] = {}
        self._in_a_row = 0
        self._tried: set[Key] = set()

    async def ask(self, wanted: Sequence[Wanted]) -> Asked:
        """Ask for all answers that the journal does not have yet. Raises OSError if the journal cannot be written.

        May be called again with more answers: a call that this object made and that failed is not made again.
        """
        found = self._kept(wanted)
        self._join_kept(wanted)
        missing = iter([each for each in wanted if self._needs(each)])
        self._tried.update(map(self._key, wanted))
        budget = Budget(self._endpoint.limits, self._endpoint.price, found.spent)
        self._teach(budget)
        found.money = budget.money
        workers = [
            asyncio.create_task(self._work(missing, budget, found))
            for _ in range(self._endpoint.limits.at_once)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for each in workers:
                each.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return found

    def _kept(self, wanted: Sequence[Wanted]) -> Asked:
        """Return what earlier processes asked; the calls that they lost count as paid in full."""
        calls = [call for each in wanted if (call := self._call(each)) is not None]
        name = self._endpoint.name
        return Asked(
            model=name, wanted=len(wanted), spent=self._journal.spent(name),
            repeated=sum(key[0] == name for key, _most in self._journal.lost),
            answered=sum(call.answer is not None for call in calls), kept=len(calls),
        )  # fmt: skip

    def _teach(self, budget: Budget) -> None:
        """Tell a budget which earlier calls used more than was set aside for them."""
        for key, call in self._journal.calls.items():
            if key[0] == self._endpoint.name and call.answer and key in self._journal.most:
                budget.learn(self._journal.most[key], call.answer.usage)

    def _call(self, wanted: Wanted) -> Call | None:
        return self._journal.calls.get(self._key(wanted))

    def _needs(self, wanted: Wanted) -> bool:
        """Return whether an answer is missing. A call that failed is made again."""
        call = self._call(wanted)
        return (call is None or call.answer is None) and self._key(wanted) not in self._tried

    def _key(self, wanted: Wanted) -> Key:
        return (self._endpoint.name, wanted.example, wanted.repeat)

    async def _work(self, missing: Iterable[Wanted], budget: Budget, found: Asked) -> None:
        for wanted in missing:
            if found.stopped:
                return
            call = await self._joined_or_asked(wanted, budget, found)
            found.spent, found.money = budget.spent, budget.money
            if call is None:
                return
            found.answered += call.answer is not None
            found.failed += call.answer is None
            self._tell(found)

    def _join_kept(self, wanted: Sequence[Wanted]) -> None:
        """Let calls share the answers that earlier processes got to the same messages."""
        for each in wanted:
            call = self._call(each) if self._key(each) not in self._tried else None
            if call is not None and call.answer is not None and (same := _same(each)) not in self._joined:
                self._joined[same] = promise = asyncio.get_running_loop().create_future()
                promise.set_result(call)

    async def _joined_or_asked(self, wanted: Wanted, budget: Budget, found: Asked) -> Call | None:
        """Return the call; one for all examples with the same messages. None where nothing more is asked."""
        same = _same(wanted)
        first = self._joined.get(same)
        if first is not None:
            shared = await first
            if shared.answer is None and found.stopped:
                return None
            shared = msgspec.structs.replace(shared, example=wanted.example, joined=True, lost=NOTHING)
            self._journal.end(shared)
            return shared
        self._joined[same] = promise = asyncio.get_running_loop().create_future()
        call = await self._asked(wanted, budget, found)
        promise.set_result(
            call or Call(model=self._endpoint.name, example=wanted.example, repeat=wanted.repeat)
        )
        return call

    async def kept_or_asked(self, wanted: Wanted, budget: Budget, found: Asked) -> Call | None:
        """Return the call that the journal has, or make it."""
        call = self._journal.calls.get(self._key(wanted))
        return call if call is not None and call.answer else await self._asked(wanted, budget, found)

    async def _asked(self, wanted: Wanted, budget: Budget, found: Asked) -> Call | None:
        most = _most_of(wanted)
        try:
            reserved = budget.reserve(most)
        except BudgetReached as reached:
            found.stopped = f"The budget of {reached} would be passed by the next call."
            found.over_budget = True
            return None
        used = Usage()
        before = self._journal.calls.get(self._key(wanted))
        lost, earlier = before.lost if before else NOTHING, NOTHING
        began, at, tries, failing_since, taken = time.monotonic(), time.time(), 0, 0.0, 0
        try:
            while True:
                try:
                    async with self._turn(most):
                        taken, tries, sent = most.total, tries + 1, time.monotonic()
                        self._journal.begin(self._key(wanted), reserved, earlier)
                        answer = await self._connection.ask(wanted.messages, wanted.settings)
                except CallFailed as failed:
                    if failed.kind in MAY_COST:  # it counts as paid, and another try needs tokens of its own
                        lost, earlier = summed([lost, reserved]), summed([earlier, reserved])
                        budget.settle(reserved, reserved)
                        reserved = Reserved()
                    failing_since = failing_since or time.monotonic()
                    if await self._again(failed, tries, (began, failing_since), found):
                        try:
                            reserved = reserved if reserved.total else budget.reserve(most)
                            continue
                        except BudgetReached as reached:
                            found.stopped = f"The budget of {reached} would be passed by the next call."
                            found.over_budget = True
                    return self._ended(wanted, at, sent, tries, lost, failed=failed)
                self._in_a_row, used, self._answered_at = 0, answer.usage, time.monotonic()
                found.waits = ""
                return self._ended(wanted, at, sent, tries, lost, answer=answer)
        finally:
            budget.settle(reserved, used)
            if used.known:
                self._limits.give_back(max(0, taken - used.total))

    @contextlib.asynccontextmanager
    async def _turn(self, most: Usage) -> AsyncIterator[None]:
        """Wait until the endpoint may be asked, and hold one of its calls at once."""
        while (pause := self._away_until - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        async with self._limits.one_of_at_once():
            await self._limits.turn(most.total)
            yield

    async def _again(self, failed: CallFailed, tries: int, since: tuple[float, float], found: Asked) -> bool:
        """Wait before another try of a call that failed, or return that there is none.

        ``since``: when the call began, and when it failed first.
        """
        if failed.kind == "key":
            found.stopped = f"The endpoint {self._endpoint.name} refuses the key: {failed.message}"
            return False
        if failed.kind == "refused":
            self._in_a_row += 1
            if self._in_a_row >= _HOPELESS and found.answered == 0:
                found.stopped = f"The endpoint {self._endpoint.name} refuses every call: {failed.message}"
        waited = time.monotonic() - since[0]
        absent = failed.kind in _ABSENT
        if failed.kind == "away" and self._answered_at > since[1]:  # it answers others: this call is at fault
            absent = False
        if absent and waited > self._patience.patience_s:
            found.stopped = (
                f"The endpoint {self._endpoint.name} did not answer for {waited:.0f} s: {failed.message}"
            )
            return False
        if failed.after_s is not None and waited + failed.after_s > self._patience.patience_s:
            found.stopped = (
                f"The endpoint {self._endpoint.name} asks to wait for {failed.after_s:,.0f} s, and patience_s is "
                f"{self._patience.patience_s:g}: {failed.message}"
            )
            return False
        if failed.kind not in PASSING or (not absent and tries >= self._patience.tries):
            return False
        pause = min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        pause = pause if failed.after_s is None else failed.after_s
        if absent:  # all calls wait: each would be refused
            self._away_until = max(self._away_until, time.monotonic() + pause)
            if time.monotonic() - max(self._answered_at, since[0]) > _SILENT_S:
                found.waits = f"{self._endpoint.name} is asked again until it answers: {failed.message}"
                self._tell(found)
        else:
            await asyncio.sleep(pause)
        return True

    def _ended(
        self, wanted: Wanted, at: float, sent: float, tries: int, lost: Usage, answer: Answer | None = None,
        failed: CallFailed | None = None,
    ) -> Call:  # fmt: skip
        call = Call(
            model=self._endpoint.name, example=wanted.example, repeat=wanted.repeat, at=at, tries=tries,
            latency_s=round(time.monotonic() - sent, 6), answer=answer, lost=lost,
            failure=failed.kind if failed else "", message=failed.message if failed else "",
        )  # fmt: skip
        self._journal.end(call)
        return call


def _same(wanted: Wanted) -> bytes:
    """Return what is the same for calls that share an answer: a digest, since it is kept for all calls."""
    text = json.dumps([wanted.repeat, wanted.messages, wanted.settings], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _most_of(wanted: Wanted) -> Usage:
    """Return the most tokens of a call, with the files that its messages name."""
    most = most_tokens(wanted.messages, wanted.settings)
    return msgspec.structs.replace(most, input=most.input + wanted.attached_tokens)
