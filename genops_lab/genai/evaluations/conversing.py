"""Ask for whole conversations: turns of a user, calls of tools, and each of them durable in a journal of turns."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from genops_lab.genai.endpoints.endpoint import Answer, Connection, Endpoint
from genops_lab.genai.endpoints.limits import Budget, Usage
from genops_lab.genai.scorers.base import CannotScore
from genops_lab.runtime.money import money_text

from .asking import Asked, Asking, Patience, Wanted
from .conversation_file import User
from .evaluation_file import Evaluation, Message
from .journal import Call, Journal, Key, spent_in
from .rows import turns_in, written
from .steps import Step, summed
from .tools import Tools

#: What begins the model of a call in the journal of turns that no answering model made.
_USERS, _TOOLS = "users/", "tools/"


class Conversations:
    """The conversations of an evaluation. Use as an asynchronous context manager.

    others: the endpoints of ``judges``, of which one may play the user. files: the folder with files of tools.
    """

    def __init__(
        self, file: Evaluation, rows: Mapping[str, Mapping[str, Any]], path: Path, files: Path,
        others: Sequence[Endpoint], patience: Patience,
    ) -> None:  # fmt: skip
        self.file, self.rows = file, rows
        self.tools = Tools(file.tools, files)
        self._path, self._patience = path, patience
        self._endpoints = {each.name: each for each in others}
        self.user: _UserModel | None = None

    async def __aenter__(self) -> Conversations:
        self._stack = await AsyncExitStack().__aenter__()
        self.turns = await self._stack.enter_async_context(Journal(self._path))
        if user := self.file.conversation.user:
            endpoint = replace(self._endpoints[user.model], name=_USERS + user.model)
            connection = await self._stack.enter_async_context(Connection(endpoint))
            settings = {**self.file.judges[user.model].settings, **user.settings}
            self.user = _UserModel(user, settings, connection, self.turns, self._patience)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    @property
    def lost(self) -> list[tuple[Key, Usage]]:
        """Return calls that were in flight when a process ended."""
        return self.turns.lost

    def asking(self, connection: Connection, journal: Journal, tell: Callable[[Asked], None]) -> Asking:
        """Return what asks one model for conversations. ``journal`` gets a call for each whole one."""
        return _Conversing(self, connection, journal, self._patience, tell)


class _UserModel(Asking):
    """Asks the model that plays the user."""

    def __init__(
        self, user: User, settings: dict[str, Any], connection: Connection, turns: Journal, patience: Patience
    ) -> None:
        super().__init__(connection, turns, patience)
        self.end, self._prompt, self._settings = user.end, user.prompt, settings
        self._budget = Budget(self._endpoint.limits, self._endpoint.price, turns.spent(self._name))
        self._teach(self._budget)
        self.asked = Asked(model=self._name, wanted=0)

    @property
    def _name(self) -> str:
        return self._endpoint.name

    async def say(
        self, example: str, repeat: int, row: Mapping[str, Any], messages: Sequence[dict[str, Any]]
    ) -> Call | None:
        """Return the call for the user's next turn; None where nothing more is asked."""
        [system] = written([Message(role="system", content=self._prompt)], dict(row), example.split("\n")[0])
        seen = [
            {"role": "user" if each["role"] == "assistant" else "assistant", "content": each["content"]}
            for each in messages
            if each["role"] in ("user", "assistant") and each.get("content")
        ]
        if not seen or seen[0]["role"] == "assistant":  # many models want a user's turn first
            seen.insert(0, {"role": "user", "content": "Begin the conversation."})
        wanted = Wanted(example=example, repeat=repeat, messages=[system, *seen], settings=self._settings)
        return await self.kept_or_asked(wanted, self._budget, self.asked)


class _Talk:
    """A conversation so far."""

    def __init__(self, wanted: Wanted, row: Mapping[str, Any]) -> None:
        self.wanted, self.row = wanted, row
        self.messages = list(wanted.messages)
        self.steps: list[Step] = []
        self.calls: list[Call] = []
        self.tool_calls: list[dict[str, Any]] = []
        self.used: list[dict[str, Any]] = []

    def add(self, kind: Any, message: dict[str, Any], call: Call) -> None:
        self.messages.append(message)
        name = call.model.partition("/")[2] or call.model
        usage = call.answer.usage if call.answer else Usage()
        self.steps.append(
            Step(kind=kind, message=message, name=name, at=call.at, latency_s=call.latency_s, usage=usage)
        )


class _Conversing(Asking):
    """Asks one model for conversations. The journal of :class:`Asking` is that of turns."""

    def __init__(
        self, talks: Conversations, connection: Connection, answers: Journal, patience: Patience,
        tell: Callable[[Asked], None],
    ) -> None:  # fmt: skip
        super().__init__(connection, talks.turns, patience, tell)
        self._talks, self._answers = talks, answers
        self._plan = talks.file.conversation

    def _call(self, wanted: Wanted) -> Call | None:
        return self._answers.calls.get(self._key(wanted))

    def _join_kept(self, wanted: Sequence[Wanted]) -> None:
        """Join nothing: each conversation is its own."""

    async def _joined_or_asked(self, wanted: Wanted, budget: Budget, found: Asked) -> Call | None:
        """Return the call for a whole conversation. None where nothing more is asked; its turns are kept."""
        talk = _Talk(wanted, self._talks.rows[wanted.example])
        try:
            call = await self._talk(talk, budget, found)
        except CannotScore as error:
            found.stopped = f"{error.message} {error.hint}".strip()
            return None
        if call is not None:
            self._answers.end(call)
        return call

    async def _talk(self, talk: _Talk, budget: Budget, found: Asked) -> Call | None:
        user = self._talks.user
        if user is not None and not any(each["role"] == "user" for each in talk.messages):
            said = await self._next(talk, 0, found)
            if not isinstance(said, bool):
                return said
        for turn in range(1, self._plan.most_turns + 1):
            for _ in range(self._plan.most_steps):
                call = await self._step(talk, budget, found)
                if call is None or call.answer is None:
                    return call and self._ended_at(talk, call)
                if not call.answer.tool_calls:
                    break
                for at, each in enumerate(talk.messages[-1]["tool_calls"]):
                    await self._use(talk, at, each)
            else:
                return self._ended_at(talk, finish="most_steps")
            if turn < self._plan.most_turns:
                said = await self._next(talk, turn, found)
                if said is False:
                    break
                if said is not True:
                    return said
        return self._ended_at(talk)

    async def _step(self, talk: _Talk, budget: Budget, found: Asked) -> Call | None:
        """Ask the model once."""
        number = len(talk.calls)
        step = replace(talk.wanted, example=f"{talk.wanted.example}\n{number}", messages=list(talk.messages))
        call = await self.kept_or_asked(step, budget, found)
        if call is None or call.answer is None:
            return call
        talk.calls.append(call)
        message: dict[str, Any] = {"role": "assistant", "content": call.answer.text}
        if call.answer.tool_calls:
            made = [
                {"type": "function", "id": f"call_{number}_{at}", **each}
                for at, each in enumerate(call.answer.tool_calls)
            ]
            message |= {"content": call.answer.text or None, "tool_calls": made}
            talk.tool_calls += made
        talk.add("model", message, call)
        return call

    async def _use(self, talk: _Talk, at: int, called: Mapping[str, Any]) -> None:
        """Answer a call of a tool, from the journal where it was answered before."""
        function = called.get("function") or {}
        name, arguments = str(function.get("name", "")), str(function.get("arguments") or "{}")
        example = f"{talk.wanted.example}\n{self._endpoint.name}\n{len(talk.calls)}\n{at}"
        call = self._journal.calls.get((_TOOLS + name, example, talk.wanted.repeat))
        if call is None or call.answer is None:
            began, started = time.time(), time.monotonic()
            text = await asyncio.to_thread(
                self._talks.tools.answer, name, arguments, talk.row, list(talk.used)
            )
            call = Call(
                model=_TOOLS + name, example=example, repeat=talk.wanted.repeat, at=began,
                latency_s=round(time.monotonic() - started, 6), answer=Answer(text=text),
            )  # fmt: skip
            self._journal.end(call)
        assert call.answer is not None
        talk.used.append({"name": name, "arguments": _json(arguments), "answer": _json(call.answer.text)})
        message = {
            "role": "tool", "tool_call_id": str(called["id"]), "name": name, "content": call.answer.text
        }  # fmt: skip
        talk.add("tool", message, call)

    async def _next(self, talk: _Talk, turn: int, found: Asked) -> bool | Call | None:
        """Add what the user says: True. False: the conversation is over. A call: the user did not answer."""
        user, wanted = self._talks.user, talk.wanted
        if user is None:
            said = turns_in(talk.row, self._plan.turns, wanted.example) if self._plan.turns else []
            if turn > len(said):
                return False
            talk.messages.append({"role": "user", "content": said[turn - 1]})
            talk.steps.append(Step(kind="user", message=talk.messages[-1]))
            return True
        call = await user.say(
            f"{wanted.example}\n{self._endpoint.name}\n{turn}", wanted.repeat, talk.row, talk.messages
        )
        if call is None:
            found.stopped = user.asked.stopped
            return None
        if call.answer is None:
            told = f"the user, {user.asked.model.removeprefix(_USERS)}, did not answer: {call.message}"
            return self._ended_at(talk, replace(call, message=told))
        if user.end in call.answer.text:
            return False
        talk.add("user", {"role": "user", "content": call.answer.text}, call)
        return True

    def _ended_at(self, talk: _Talk, failed: Call | None = None, finish: str = "") -> Call:
        """Return the call for the whole conversation: its last answer, all tokens and all calls of tools."""
        texts = [call.answer for call in talk.calls if call.answer is not None]
        answer = None
        if failed is None and texts:
            answer = replace(
                texts[-1], usage=summed([each.usage for each in texts]), tool_calls=talk.tool_calls,
                finish_reason=finish or texts[-1].finish_reason,
            )  # fmt: skip
        calls = [*talk.calls, *([failed] if failed else [])]
        return Call(
            model=self._endpoint.name, example=talk.wanted.example, repeat=talk.wanted.repeat,
            at=calls[0].at if calls else time.time(), tries=max((call.tries for call in calls), default=1),
            latency_s=round(sum(call.latency_s for call in calls), 6), answer=answer, steps=talk.steps,
            failure=failed.failure if failed else "" if answer else "malformed",
            message=failed.message if failed else "" if answer else "the user ended it before it began",
        )  # fmt: skip


def user_notes(file: Evaluation, path: Path) -> list[str]:
    """Say what the model that plays the user has used. ``path``: the journal of turns. Blocks."""
    user = file.conversation.user
    if user is None:
        return []
    spent = spent_in(path, _USERS + user.model)
    price = file.judges[user.model].price
    cost = f", {money_text(price.of(spent), price.currency)}" if price else ""
    return [f"The user, {user.model}, used {spent.total:,} tokens{cost}."]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
