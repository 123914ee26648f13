"""Send requests to a deployment for a person at the screen. The key stays in the server."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from genops_lab.core.errors import Conflict, InvalidRequest, Unavailable
from genops_lab.core.services import Service
from genops_lab.serving.engines.settings import COMMAND

from .load_models import DeploymentInterface, TryAnswer, TryRequest
from .models import Deployment, Serving
from .service import DeploymentsService

TIMEOUT_S = 90
#: Longer answers are no use on a screen.
MAX_ANSWER = 4 * 2**20
_PATHS = ("/invocations", "/v2/", "/v1/")


class AskingService(Service):
    """Ask deployments, as their callers do."""

    def __init__(self, deployments: DeploymentsService) -> None:
        self._deployments = deployments

    async def get_deployment_interface(self, name: str) -> DeploymentInterface:
        """Return what a running deployment takes and gives."""
        found = await self.running(name)
        if found.serving is not None:
            return _of_engine(found, found.serving)
        answer = await self._ask(found, "GET", f"/v2/models/{quote(name)}", b"", "")
        if answer.status != 200:  # started by an older GenOps Lab, or no model of MLflow
            return DeploymentInterface(name=name, version=found.version)
        told: dict[str, Any] = json.loads(answer.body)
        more: dict[str, Any] = told.get("parameters") or {}
        known = {key: told.get(key) or [] for key in ("inputs", "outputs")}
        return DeploymentInterface(name=name, version=found.version, **_converted(known, more))

    async def try_deployment(self, name: str, body: TryRequest) -> TryAnswer:
        """Send one request to a running deployment and return its answer."""
        if not body.path.startswith(_PATHS) or any(each in body.path for each in ("\r", "\n", " ", "..")):
            raise InvalidRequest(
                f"The path {body.path!r} is none that a deployment answers.",
                hint="Use /invocations, or a path below /v1/ or /v2/.",
            )
        return await self._ask(
            await self.running(name), "POST", body.path, body.body.encode(), body.content_type
        )

    async def deployment(self, name: str) -> Deployment:
        """Return a deployment in any state."""
        return await self._deployments.get_deployment(name)

    async def running(self, name: str) -> Deployment:
        """Return a deployment that answers. Raises Conflict for any other."""
        found = await self._deployments.get_deployment(name)
        if not found.url:
            raise Conflict(
                f"{name!r} is {found.state}: it does not answer.",
                hint=found.hint or f"Deploy it again: genops deploy {found.model} --name {name}",
            )
        return found

    async def headers(self, name: str, content_type: str) -> dict[str, str]:
        """Return the headers of a request, with the key."""
        key = (await self._deployments.get_deployment_key(name)).key
        given = {"Authorization": f"Bearer {key}"}
        return {**given, "Content-Type": content_type} if content_type else given

    async def _ask(
        self, found: Deployment, method: str, path: str, body: bytes, content_type: str
    ) -> TryAnswer:
        headers = await self.headers(found.name, content_type)
        try:
            return await asyncio.to_thread(_exchange, method, found.url, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The deployment {found.name!r} did not answer: {error}.",
                hint=f"Read its log: genops deployments logs {found.name}",
            ) from error


def _of_engine(found: Deployment, serving: Serving) -> DeploymentInterface:
    asked = {"model": found.name, "messages": [{"role": "user", "content": "Count from one to ten."}]}
    example = json.dumps({**asked, "max_tokens": 32, "stream": True})
    kind, path = "chat", "/v1/chat/completions"
    if serving.engine == COMMAND:
        kind, path, example = "command", "/v1/", "{}"
    elif serving.settings.get("embeddings", "").lower() == "true":
        example = json.dumps({"model": found.name, "input": ["A sentence."]})
        kind, path = "embeddings", "/v1/embeddings"
    return DeploymentInterface(name=found.name, version=found.version, kind=kind, path=path, example=example)


def retry_after_s(header: str | None) -> int:
    """Return the seconds of a Retry-After header; 0 without one, or for a date."""
    return int(header) if header and header.isdigit() else 0


def _converted(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    content = {
        **known,
        "kind": more.get("kind", "unknown"),
        "params": more.get("params") or {},
        "example": more.get("example", ""),
    }
    made = msgspec.convert({"name": "", "version": "", **content}, DeploymentInterface)
    return {name: getattr(made, name) for name in ("inputs", "outputs", "kind", "params", "example")}


def _exchange(method: str, url: str, path: str, body: bytes, headers: dict[str, str]) -> TryAnswer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        began = time.perf_counter()
        connection.request(method, parts.path.rstrip("/") + path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER + 1)
        taken = (time.perf_counter() - began) * 1000
    finally:
        connection.close()
    if len(content) > MAX_ANSWER:
        raise InvalidRequest(
            f"The answer has more than {MAX_ANSWER // 2**20} MiB, too much for the screen.",
            hint="Send fewer rows, or ask the deployment from a program.",
        )
    return TryAnswer(
        status=answer.status,
        body=content.decode("utf-8", "replace"),
        content_type=answer.getheader("Content-Type", ""),
        ms=round(taken, 3),
        revision=int(answer.getheader("X-Genops-Revision", "0")),
        request_id=answer.getheader("X-Request-Id", ""),
        retry_after_s=retry_after_s(answer.getheader("Retry-After")),
    )
