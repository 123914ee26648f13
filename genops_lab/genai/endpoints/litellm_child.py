"""The process that asks providers through LiteLLM: requests and answers are JSON lines.

``{"id", "model", "key", "url", "timeout_s", "body"}`` is answered by ``{"id", "status", "headers", "body"}``, as an
HTTP response of OpenAI's protocol has them, or by ``{"id", "failure", "message"}``. LiteLLM takes 2.4 s of CPU and
200 MB, and asks the internet for prices unless it is told not to: so it has a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def _quiet_output() -> int:
    """Return a descriptor for answers. LiteLLM prints to both outputs, also parts of requests."""
    answers = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    return answers


async def _answer(litellm: Any, asked: dict[str, Any]) -> dict[str, Any]:
    # LiteLLM must not repeat calls: the budget counts each.
    given = {**asked["body"], "model": asked["model"], "num_retries": 0, "max_retries": 0}
    try:
        found = await litellm.acompletion(
            **given, api_key=asked["key"] or None, api_base=asked["url"] or None, timeout=asked["timeout_s"]
        )
    except litellm.Timeout as error:
        return {"failure": "timeout", "message": str(error)}
    except litellm.APIConnectionError as error:
        return {"failure": "connection", "message": str(error)}
    except Exception as error:  # the boundary: whatever LiteLLM raises is an answer
        status = getattr(error, "status_code", None)
        # Some errors keep the provider's headers here, beside a response of their own that has none.
        headers = getattr(error, "litellm_response_headers", None) or {}
        headers = headers or getattr(getattr(error, "response", None), "headers", None) or {}
        message = f"{type(error).__name__}: {error}"
        return {
            "status": status if isinstance(status, int) and status >= 400 else 400,
            "headers": {name: headers[name] for name in ("retry-after",) if name in headers},
            "body": {"error": {"message": message}},
        }
    return {"status": 200, "headers": {}, "body": found.model_dump()}


async def _serve(answers: int) -> None:
    litellm: Any = importlib.import_module("litellm")

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    reader = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    under_way: set[asyncio.Task[None]] = set()

    async def one(line: bytes) -> None:
        asked = json.loads(line)
        answer = json.dumps({"id": asked["id"], **await _answer(litellm, asked)}, default=str)
        content = answer.encode() + b"\n"
        while content:
            content = content[os.write(answers, content) :]

    while line := await reader.readline():
        task = asyncio.create_task(one(line))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    asyncio.run(_serve(_quiet_output()))
