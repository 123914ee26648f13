"""Chat with a deployed language model from a notebook or a script."""

from __future__ import annotations

import http.client
import json
import urllib.error
from typing import Any, Dict, Iterator, List, Mapping, Union

from .errors import GenOpsError
from .serving import Answering, opened, running

Messages = Union[str, List[Mapping[str, Any]]]


def chat(
    name: str, messages: Messages, stream: bool, timeout_s: float, options: Mapping[str, Any]
) -> Union[str, Iterator[str]]:
    """Return the answer's text, or its parts as they arrive. Raises GenOpsError with the engine's own message."""
    found = running(name)
    serving = found.get("serving")
    if not serving or serving.get("engine") == "command":
        raise GenOpsError(f"The deployment {name!r} is no language model.", "Ask it by genops.predict(...).")
    asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    body: Dict[str, Any] = {"model": name, "messages": asked, **options, "stream": stream}
    data = json.dumps(body).encode()
    answer = opened(found, "v1/chat/completions", data, timeout_s)
    if stream:
        return _parts(name, answer)
    with answer:
        return str(_decoded(name, answer)["choices"][0]["message"].get("content") or "")


def _decoded(name: str, answer: Answering) -> Any:
    try:
        return json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _broken(name, error) from error


def _parts(name: str, answer: Answering) -> Iterator[str]:
    """Yield the parts of a stream of server-sent events, until ``[DONE]``."""
    ended = False
    with answer:
        try:
            for line in answer:
                text = line.decode("utf-8").strip()
                if text == "data: [DONE]":
                    ended = True
                elif text.startswith("data:"):
                    for choice in json.loads(text[5:]).get("choices", []):
                        part = choice.get("delta", {}).get("content")
                        if part:
                            yield part
        except (OSError, ValueError, http.client.HTTPException, urllib.error.URLError) as error:
            raise _broken(name, error) from error
    if not ended:
        raise _broken(name, "it ended early")


def _broken(name: str, why: Any) -> GenOpsError:
    return GenOpsError(
        f"The answer of {name!r} broke off: {why}.", f"Read its log: %genops deployments logs {name}"
    )
