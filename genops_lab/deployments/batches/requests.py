"""Ask a deployment about rows, over MLflow's scoring protocol or that of OpenAI's chat completions."""

from __future__ import annotations

import base64
import datetime
import json
import math
from abc import ABC, abstractmethod
from typing import Any

import urllib3

from genops_lab.core.errors import Failed

Row = dict[str, Any]

#: How often a request is sent again after 429, 503 or a lost connection. The waits sum up to a minute.
_RETRIES = urllib3.Retry(
    total=10, status_forcelist=(429, 502, 503), allowed_methods=None, raise_on_status=False, backoff_factor=0.1,
    backoff_max=15, redirect=False,
)  # fmt: skip
#: After so many rows in a row without an answer the rest is not tried.
_MOST_LOST = 20


class Endpoint:
    """The address of a deployment with its key."""

    def __init__(self, url: str, key: str, parallel: int, timeout_s: float) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(
            maxsize=parallel, block=True, retries=_RETRIES, timeout=urllib3.Timeout(connect=5, read=timeout_s)
        )

    def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the decoded answer of a GET request."""
        answer = self._pool.request("GET", self.url + path, headers=self._headers)
        return answer.status, _decoded(answer.data)

    def post(self, path: str, body: Any) -> tuple[int, Any, int]:
        """Return the status, the decoded answer and the revision that answered. Raises Failed without an answer."""
        # A prediction may be repeated if its process dies.
        headers = {**self._headers, "Idempotency-Key": "a-batch"}
        content = json.dumps(body, default=_plain, allow_nan=False).encode()
        try:
            answer = self._pool.request("POST", self.url + path, body=content, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Failed(
                f"The deployment does not answer: {_reason(error)}",
                hint="Start it, then score again with the same options: the rows that have answers are kept.",
            ) from error
        return answer.status, _decoded(answer.data), int(answer.headers.get("X-Genops-Revision", 0))


class Protocol(ABC):
    """A way to ask about rows. ``columns`` are those of the answers that are there in any case."""

    columns: tuple[str, ...]

    @abstractmethod
    def answers(self, rows: list[Row], named: str) -> list[Row]:
        """Return the answer to each row, as columns. ``named`` names the rows for an error. Raises Failed."""


def protocol_of(endpoint: Endpoint, without: list[str], settings: Row) -> Protocol:
    """Return the protocol that a deployment speaks: a language model lists itself under ``/v1/models``."""
    status, found = endpoint.get("/v1/models")
    listed = found.get("data") if status == 200 and isinstance(found, dict) else None
    if listed:
        return Chat(endpoint, str(listed[0]["id"]), settings)
    if settings:
        raise Failed(
            f"{next(iter(settings))} is a setting of language models, and this deployment serves none.",
            hint="Leave out --set.",
        )
    return Invocations(endpoint, without)


class Invocations(Protocol):
    """``POST /invocations`` of MLflow's models: one request for all rows."""

    columns = ("prediction", "revision")

    def __init__(self, endpoint: Endpoint, without: list[str]) -> None:
        self._endpoint = endpoint
        self._without = set(without)

    def answers(self, rows: list[Row], named: str) -> list[Row]:
        sent = [each for each in rows[0] if each not in self._without]
        body = {"dataframe_split": {"columns": sent, "data": [[row[each] for each in sent] for row in rows]}}
        status, found, revision = self._endpoint.post("/invocations", body)
        if status != 200:
            raise Failed(
                f"{named}: the model answered {status}: {_message(found)}",
                hint="Name the columns that are no features with --without, or correct the rows.",
            )
        predictions = found.get("predictions") if isinstance(found, dict) else None
        if not isinstance(predictions, list) or len(predictions) != len(rows):
            count = f"{len(predictions):,}" if isinstance(predictions, list) else "no"
            raise Failed(
                f"{named}: the model answered {count} predictions for {len(rows):,} rows.",
                hint="Batch scoring needs a model that answers one prediction a row.",
            )
        return [
            {**(each if isinstance(each, dict) else {"prediction": each}), "revision": revision}
            for each in predictions
        ]


class Chat(Protocol):
    """``POST /v1/chat/completions``: one request a row. A row that fails has the reason in ``error``."""

    columns = ("answer", "finish_reason", "prompt_tokens", "completion_tokens", "error", "revision")

    def __init__(self, endpoint: Endpoint, model: str, settings: Row) -> None:
        self._endpoint = endpoint
        self._asked = {**settings, "model": model}
        self._lost = 0

    def answers(self, rows: list[Row], named: str) -> list[Row]:
        if not {"messages", "prompt"} & rows[0].keys():
            raise Failed(
                "The data has neither a column prompt nor a column messages.",
                hint=f"A language model needs one of them. The columns are: {', '.join(list(rows[0])[:12])}.",
            )
        return [self._answer(row, named) for row in rows]

    def _answer(self, row: Row, named: str) -> Row:
        messages = row.get("messages") or [{"role": "user", "content": row.get("prompt") or ""}]
        if row.get("system"):
            messages = [{"role": "system", "content": row["system"]}, *messages]
        status, found, revision = self._endpoint.post(
            "/v1/chat/completions", {**self._asked, "messages": messages}
        )
        empty: Row = dict.fromkeys(self.columns)
        if status != 200:
            self._lost += 1
            if self._lost >= _MOST_LOST:
                raise Failed(
                    f"{named}: {self._lost} rows in a row failed. The last answer was {status}: {_message(found)}",
                    hint="Correct the rows or the settings, then score again.",
                )
            return {**empty, "error": f"{status}: {_message(found)}", "revision": revision}
        self._lost = 0
        choice, usage = found["choices"][0], found.get("usage") or {}
        return {
            **empty,
            "answer": choice["message"].get("content"),
            "finish_reason": choice.get("finish_reason"),
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": usage.get("completion_tokens"),
            "revision": revision,
        }


def plain_rows(table: Any) -> list[Row]:
    """Return the rows of an Arrow table for JSON: NaN become None."""
    return [{name: _number(value) for name, value in row.items()} for row in table.to_pylist()]


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return {"message": data[:300].decode("utf-8", "replace")}


def _message(found: Any) -> str:
    error = found.get("error", found) if isinstance(found, dict) else found
    text = error.get("message", error) if isinstance(error, dict) else error
    return str(text).strip().splitlines()[0][:300] if str(text).strip() else "no message"


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return f"{type(cause).__name__}."
