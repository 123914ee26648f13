"""Ask providers through LiteLLM, in a child process, with the answers and failures of any other endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import sys
from collections.abc import Mapping
from typing import Any

from .failures import CallFailed

#: The largest answer that is read, and how long a child may take to end.
_MOST_BYTES, _END_S = 2**26, 5.0
MISSING = "LiteLLM is not installed in the environment of JupyterLab."
INSTALL = "Install it there: pip install 'genops-lab[litellm]'"


def is_installed() -> bool:
    """Return whether LiteLLM is installed, without its import."""
    return importlib.util.find_spec("litellm") is not None


class LiteLLMChild:
    """The child process of one connection. Use as an asynchronous context manager. Keys go through its stdin alone."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> LiteLLMChild:
        if not is_installed():
            raise CallFailed("refused", f"{MISSING} {INSTALL}")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "genops_lab.genai.endpoints.litellm_child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MOST_BYTES,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def ask(
        self, model: str, key: str, url: str, body: Mapping[str, Any], timeout_s: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body, as of an HTTP response. Raises CallFailed without one."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        asked = {"id": number, "model": model, "key": key, "url": url, "timeout_s": timeout_s, "body": body}
        try:
            if self._reading.done():
                raise CallFailed("connection", "the process of LiteLLM ended")
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            await self._process.stdin.drain()
            # LiteLLM ends its calls itself; its import comes first.
            found = await asyncio.wait_for(answer, timeout_s + 30.0)
        except asyncio.TimeoutError as error:
            raise CallFailed("timeout", f"no answer within {timeout_s:g} s") from error
        except (ConnectionError, RuntimeError) as error:
            raise CallFailed("connection", "the process of LiteLLM ended") from error
        finally:
            del self._waiting[number]
        if "failure" in found:
            late = found["failure"] == "timeout"
            raise CallFailed("timeout" if late else "connection", str(found["message"])[:300])
        return found["status"], found["headers"], json.dumps(found["body"]).encode()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                found = json.loads(line)
                waiting = self._waiting.get(found["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(found)
        finally:
            for each in self._waiting.values():
                if not each.done():
                    each.set_exception(ConnectionError("the process of LiteLLM ended"))
