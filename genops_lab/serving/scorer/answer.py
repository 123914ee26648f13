"""Hold an answer to a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


def json_answer(status: int, content: Any, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    """Return ``content`` as a JSON answer."""
    return Answer(status, json.dumps(content).encode(), headers=headers or [])


def refusal(status: int, code: str, message: str) -> Answer:
    """Return an error in the form of MLflow's errors."""
    headers = [(b"www-authenticate", b"Bearer")] if status == 401 else []
    return json_answer(status, {"error_code": code, "message": message}, headers)
