"""Run an optimizer of MLflow within limits, and keep what was tried. Calls that were made are in journals."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.genai.endpoints.endpoint import Connection, Endpoint
from genops_lab.genai.endpoints.limits import Limits, Usage
from genops_lab.genai.evaluations.asking import Asked, Asking, Wanted
from genops_lab.genai.evaluations.journal import Call, Journal, Key, spent_in
from genops_lab.genai.evaluations.steps import summed
from genops_lab.genai.evaluations.waits import keep_waits

from .mlflow_optimizer import TEXT, TriedRow, class_name
from .optimization_models import OptimizerName
from .optimization_plan import writer_settings

T = TypeVar("T")

_LOOK_S = 0.5


class Stopped(Exception):
    """A limit is reached: no other call is made."""


class OptimizerRun:
    """One run of an optimizer. MLflow calls :meth:`attempt` and :meth:`ask_writer` in other threads.

    - journals: of the calls to each endpoint but the writer.
    - rounds: the most texts that are written. everything: the number of training rows.
    - money: the most that all calls may cost, of which ``reserved`` is for the held-out rows.
    - go_on: the command that goes on with what was begun.
    """

    def __init__(
        self, optimizer: OptimizerName, writer: Endpoint, writer_file: Path,
        journals: Sequence[tuple[Endpoint, Sequence[Path]]], *, rounds: int, everything: int,
        money: float | None, reserved: float, go_on: str,
    ) -> None:  # fmt: skip
        self._optimizer, self._rounds, self._everything = optimizer, rounds, everything
        self._budget, self._reserved = money, reserved
        self._hint = f"No answer is paid for twice. Go on with: {go_on}"
        self._writes, self._writer, self._writer_file = writer.name, named(writer, "writes"), writer_file
        self._journals = {each.name: paths for each, paths in [*journals, (self._writer, [writer_file])]}
        self._endpoints = [*(each for each, _ in journals), self._writer]
        self._spent = {each.name: self._spent_by(each) for each in self._endpoints}
        #: The results of each text on all training rows, in the order of their coming.
        self.tried: dict[str, list[TriedRow]] = {}
        #: Why no text was written in the last round, or why the run ended early.
        self.reason = ""
        self._calls = self._written = 0
        self._waits = ""
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    def optimize(self) -> str:
        """Run the optimizer. Return why it wrote no text in the last round; empty: it did."""
        raise NotImplementedError

    def check(self, template: str) -> None:
        """Raise ValueError for a text that cannot be tried."""
        raise NotImplementedError

    def scored(self, template: str, ids: Sequence[str]) -> list[TriedRow]:
        """Try a text on training rows."""
        raise NotImplementedError

    def run(self) -> str:
        """Return the best text; empty: none is better than the first on the training rows. Raises Failed."""
        self.following(self._optimize)
        first, *others = list(self.tried.values()) or [[]]
        self.reason = str(self._failure) if self._failure is not None else self.reason
        if not others:
            raise Failed(
                f"The model {self._writes} wrote no text that could be tried: {self.reason.rstrip('.')}.",
                hint="Try another writer, or more rounds: --rounds NUMBER",
            )
        best = max(others, key=mean_value)
        if mean_value(best) <= mean_value(first):
            return ""
        return next(text for text, rows in self.tried.items() if rows is best)

    def following(self, work: Callable[[], None]) -> None:
        """Do work in a thread, report how many calls were made, and end the calls where the caller cancelled.

        Raises Failed. A limit that is reached ends the work without an error.
        """
        thread = threading.Thread(target=self._kept, args=(work,), daemon=True)
        thread.start()
        try:
            while thread.is_alive() and self._failure is None:
                thread.join(_LOOK_S)
                report_progress(self._calls)  # raises where the caller cancelled
        finally:
            self._ended.set()
            keep_waits(self._writer_file.parent, "")
        failure = self._failure
        if isinstance(failure, GenOpsError):
            raise failure
        if failure is not None and not isinstance(failure, Stopped):
            raise Failed(f"MLflow's {class_name(self._optimizer)} failed: {failure}") from failure

    def _kept(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # the thread of the call raises it
            self._failure = self._failure or error

    def _optimize(self) -> None:
        self.reason = self.optimize()

    @property
    def stopped(self) -> str:
        """Return the limit that ended the work; empty: none did."""
        return str(self._failure) if isinstance(self._failure, Stopped) else ""

    @property
    def tokens(self) -> int:
        """Return the tokens of all calls."""
        return sum(each.total for each in self._spent.values())

    @property
    def money(self) -> float | None:
        """Return the money that all calls cost; None where a price is missing, or prices have several currencies."""
        money = [each.price.of(self._spent[each.name]) for each in self._endpoints if each.price]
        currencies = {each.price.currency for each in self._endpoints if each.price}
        return sum(money) if len(money) == len(self._endpoints) and len(currencies) == 1 else None

    @property
    def currency(self) -> str:
        """Return the currency of the prices."""
        return min((each.price.currency for each in self._endpoints if each.price), default="USD")

    def attempt(self, template: str, ids: Sequence[str]) -> list[TriedRow]:
        """Try a text on training rows, and keep the result if these are all."""
        try:
            self.check(template)
        except ValueError as error:  # the writer reads why
            return [TriedRow(row=id, value=0.0, reasons={TEXT: str(error)}) for id in ids]
        try:
            found = self.scored(template, ids)
            if not any(each.value is not None for each in found):
                why = next((text for each in found for text in each.reasons.values()), "nothing was answered")
                raise Failed(f"No training answer has a score: {why}.", hint=self._hint)
        except BaseException as error:
            self._failure = self._failure or error
            raise
        if len(ids) == self._everything:
            self.tried[template] = found
        return found

    def ask_writer(self, messages: list[dict[str, Any]], given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask the model that writes, for MLflow. The answer is OpenAI's chat completion, or an error."""
        self._written += 1
        if self._written > self._rounds:
            self._failure = self._failure or Stopped(f"{self._rounds:,} texts were written.")
        if self._failure is not None or self._ended.is_set():
            return 400, {"error": {"message": "No other text is asked for."}}
        settings = writer_settings(given)
        request = hashlib.sha256(json.dumps([messages, settings], sort_keys=True).encode()).hexdigest()[:12]
        wanted = Wanted(example=f"{self._written}/{request}", repeat=0, messages=messages, settings=settings)
        try:
            call = self.ask(self._writer, self._writer_file, [wanted])[(self._writer.name, wanted.example, 0)]
            if call.answer is None:
                raise Failed(f"The model {self._writes} wrote no text: {call.message}", hint=self._hint)
        except BaseException as error:  # the thread of the call raises it
            self._failure = self._failure or error
            return 400, {"error": {"message": "No other text is asked for."}}
        answer = call.answer
        return 200, {
            "id": request, "object": "chat.completion", "created": int(call.at), "model": answer.model or "writer",
            "choices": [{
                "index": 0, "finish_reason": answer.finish_reason or "stop",
                "message": {"role": "assistant", "content": answer.text},
            }],
            "usage": {
                "prompt_tokens": answer.usage.input, "completion_tokens": answer.usage.output,
                "total_tokens": answer.usage.total,
            },
        }  # fmt: skip

    def ask(self, endpoint: Endpoint, path: Path, wanted: Sequence[Wanted]) -> dict[Key, Call]:
        """Ask for the answers that the journal does not have. Raises Stopped, Failed."""

        async def ask(left: Endpoint, tell: Callable[[Asked], None]) -> tuple[dict[Key, Call], Asked]:
            async with Journal(path) as journal, Connection(left) as connection:
                asked = await Asking(connection, journal, tell=tell).ask(wanted)
                return dict(journal.calls), asked

        return self.counted(endpoint, path, ask)

    def counted(
        self, endpoint: Endpoint, path: Path,
        ask: Callable[[Endpoint, Callable[[Asked], None]], Awaitable[tuple[T, Asked]]],
    ) -> T:  # fmt: skip
        """Make calls within what may be spent, and end them with the run. Raises Stopped, Failed."""
        self.look()
        kept = spent_in(path, endpoint.name)  # which asking counts itself
        left = msgspec.structs.replace(endpoint, limits=self._left(endpoint, kept))
        before = self._calls

        def tell(asked: Asked) -> None:
            self._calls = before + asked.answered + asked.failed
            why = "" if asked.stopped else asked.waits
            if why != self._waits:
                self._waits = why
                keep_waits(self._writer_file.parent, why)

        async def work() -> tuple[T, Asked]:
            asking = asyncio.ensure_future(ask(left, tell))
            while not (await asyncio.wait([asking], timeout=_LOOK_S))[0]:
                if self._ended.is_set():
                    asking.cancel()
                    await asyncio.wait([asking])
                    self.look()
            return asking.result()

        try:
            found, asked = asyncio.run(work())
        finally:
            self._spent[endpoint.name] = self._spent_by(endpoint)
        if asked.stopped.startswith("The budget"):
            own = self._budget
            limit = "the budget of its endpoint" if own is None else f"the budget of {own:g}"
            raise Stopped(f"The next call to {endpoint.name} could pass {limit}.")
        if asked.stopped:
            raise Failed(asked.stopped, hint=self._hint)
        return found

    def look(self) -> None:
        if self._ended.is_set():
            raise Stopped("The optimization was stopped.")

    def _spent_by(self, endpoint: Endpoint) -> Usage:
        return summed([spent_in(path, endpoint.name) for path in self._journals[endpoint.name]])

    def _left(self, endpoint: Endpoint, kept: Usage) -> Limits:
        """Return what calls may use: the limits less what was spent. ``kept`` is counted again by asking."""
        limits, price, spent = endpoint.limits, endpoint.price, self._spent[endpoint.name]
        tokens = None if limits.tokens is None else max(limits.tokens - spent.total + kept.total, 1)
        if price is None:
            return msgspec.structs.replace(limits, tokens=tokens)
        purses = [] if limits.money is None else [limits.money - price.of(spent)]
        if self._budget is not None:
            used = sum(each.price.of(self._spent[each.name]) for each in self._endpoints if each.price)
            purses.append(self._budget - self._reserved - used)
        money = max(min(purses) + price.of(kept), 1e-12) if purses else None
        return msgspec.structs.replace(limits, tokens=tokens, money=money)


def named(endpoint: Endpoint, part: str) -> Endpoint:
    """Return an endpoint under the name of its part, since one model may have several."""
    return msgspec.structs.replace(endpoint, name=f"{endpoint.name} ({part})")


def mean_value(rows: Sequence[TriedRow]) -> float:
    """Return the mean score of the rows that have one."""
    values = [each.value for each in rows if each.value is not None]
    return sum(values) / len(values) if values else 0.0


def check_length(template: str, most: int) -> None:
    """Raise ValueError for a text with more characters than the cost before the start counts on."""
    if len(template) > most:
        raise ValueError(f"The text has {len(template):,} characters; it may have {most:,}.")
