"""Stand between another harness and a model: budgets and limits hold, each call is on disk, and the key stays here."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from genops_lab.genai.endpoints.endpoint import (
    MAY_COST,
    Answer,
    CallFailed,
    Connection,
    Endpoint,
    answer_of,
    most_tokens,
)
from genops_lab.genai.endpoints.limits import Budget, BudgetReached, Reserved, Usage
from genops_lab.genai.endpoints.shared_limits import SharedLimits

from .journal import NOTHING, Call, Journal, Key

if TYPE_CHECKING:
    from aiohttp import web

_PATH = "/v1/chat/completions"
_MOST_BYTES = 64_000_000
#: Headers of the endpoint that the harness gets.
_PASSED_ON = frozenset({"content-type", "retry-after"})
#: How long calls in flight may take when the harness ended; a later process counts those that are cut in full.
_LEAVES_S = 2.0


class Relay:
    """Takes chat completions of one model on this machine, by a token of its own, and asks the endpoint for them.

    Use as a context manager; the server has a thread. A call that could pass the budget is refused with HTTP 400,
    which no harness tries again.
    """

    def __init__(self, endpoint: Endpoint, path: Path) -> None:
        """Keep the calls in the journal at ``path``: those of earlier processes count too."""
        self._endpoint, self._path = endpoint, path
        self._token = secrets.token_urlsafe(32)
        #: Why a call was refused; empty: none was.
        self.stopped = ""
        #: An error of the disk: calls are refused from then on.
        self.error: OSError | None = None
        #: Calls that were in flight when a process ended.
        self.lost: list[tuple[Key, Usage]] = []
        self.spent = Usage()

    def __enter__(self) -> Relay:
        started: Future[int] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(started),), daemon=True)
        self._thread.start()
        self._port = started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    @property
    def endpoint(self) -> Endpoint:
        """Return the endpoint as the harness sees it."""
        return replace(self._endpoint, url=f"http://127.0.0.1:{self._port}/v1", key=self._token, headers={})

    async def _run(self, started: Future[int]) -> None:
        from aiohttp import web

        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        limits = self._endpoint.limits
        self._limits = SharedLimits(limits, self._endpoint.limits_folder)
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_post(_PATH, self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LEAVES_S)
        try:
            async with contextlib.AsyncExitStack() as stack:
                self._journal = await stack.enter_async_context(Journal(self._path))
                self._connection = await stack.enter_async_context(Connection(self._endpoint))
                self.lost = list(self._journal.lost)
                self.spent = self._journal.spent(self._endpoint.name)
                self._budget = Budget(limits, self._endpoint.price, self.spent)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                started.set_result(runner.addresses[0][1])
                await self._done.wait()
            self.spent = self._budget.spent
        except BaseException as error:  # the thread that waits gets it
            if not started.done():
                started.set_exception(error)
            elif isinstance(error, OSError):
                self.error = error
            else:
                raise

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        def refused(status: int, why: str) -> web.Response:
            return web.json_response({"error": {"message": why, "type": "genops"}}, status=status)

        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return refused(401, "This address is for the harness of an evaluation alone.")
        try:
            body = json.loads(await request.read())
            messages, model = body.pop("messages"), body.pop("model")
            most = most_tokens(messages, body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return refused(400, f"The request is no chat completion: {error}.")
        if model != self._endpoint.model:
            return refused(
                400, f"This address is for the model {self._endpoint.model!r} alone, not {model!r}."
            )
        limits = self._endpoint.limits
        if not most.output and (limits.tokens is not None or limits.money is not None):
            self.stopped = "The harness made a call without max_tokens, which a budget needs."
            return refused(400, self.stopped)
        try:
            reserved = self._budget.reserve(most)
        except BudgetReached as reached:
            self.stopped = f"The budget of {reached} would be passed by the next call."
            return refused(400, self.stopped)
        used, taken = Usage(), 0
        try:
            async with self._limits.one_of_at_once():
                await self._limits.turn(most.total)
                taken = most.total
                used, answered = await self._asked(messages, body, reserved)
        except OSError as error:
            self.error = error
            return refused(400, f"The call cannot be kept on disk: {error.strerror or error}.")
        finally:
            self._budget.settle(reserved, used)
            self._limits.give_back(max(0, taken - used.total))
        return answered

    async def _asked(
        self, messages: Any, settings: dict[str, Any], most: Reserved
    ) -> tuple[Usage, web.Response]:
        """Make a call that is on disk before and after; return its tokens and what the harness gets."""
        from aiohttp import web

        key: Key = (self._endpoint.name, secrets.token_hex(8), 0)
        self._journal.begin(key, most)
        began, at, failed, used = time.monotonic(), time.time(), None, Usage()
        status, headers, content = 502, dict[str, str](), b""
        try:
            status, given, content = await self._connection.ask_raw(messages, settings)
            headers = {name: value for name, value in given.items() if name.lower() in _PASSED_ON}
            used = answer_of(status, given, content).usage
        except CallFailed as error:
            failed = error
            content = content or json.dumps({"error": {"message": error.message}}).encode()
        is_lost = status != 200 and failed is not None and failed.kind in MAY_COST
        if is_lost or (status == 200 and not (used.known and used.total)):  # such as a stream
            used = most
        self._journal.end(
            Call(
                model=key[0], example=key[1], repeat=0, at=at, latency_s=round(time.monotonic() - began, 6),
                answer=Answer(text="", usage=used) if status == 200 else None,
                failure=failed.kind if failed else "", message=failed.message if failed else "",
                lost=most if is_lost else NOTHING,
            )
        )  # fmt: skip
        headers.setdefault("Content-Type", "application/json")
        return used, web.Response(status=status, body=content, headers=headers)
