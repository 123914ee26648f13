"""Call deployments from a notebook or a script."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
import warnings
from typing import Any, Mapping, Optional

from . import lab
from .errors import GenOpsError, Refused
from .results import Deployment
from .values import scoring_body

Answering = http.client.HTTPResponse

#: A deployment listens on loopback: a proxy of the environment must not see the request or its key.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def find(name: str) -> Deployment:
    """Return the deployment ``name``. Raises Refused if there is none."""
    return Deployment(_ask(name))


def key_of(name: str) -> str:
    """Return the key that requests to the deployment must carry. Raises Refused if there is none."""
    return str(_ask(name, "key")["key"])


def _ask(name: str, what: str = "") -> Any:
    try:
        return lab.call("GET", f"/v1/deployments/{lab.segment(name)}" + (f"/{what}" if what else ""))
    except Refused as refused:
        if refused.status != 404:
            raise
        # An older Lab sends the key with the rest; or the deployment does not exist.
        return lab.call("GET", "/deployments/" + lab.segment(name))


def predict(name: str, inputs: Any, timeout_s: float, request_id: str = "") -> Any:
    """Return the predictions for ``inputs``. Raises GenOpsError with the model's own message."""
    named = {"X-Request-ID": request_id} if request_id else {}
    try:
        with opened(running(name), "invocations", scoring_body(inputs), timeout_s, named) as answer:
            decoded = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_answer(name, error) from error
    return decoded["predictions"] if isinstance(decoded, dict) and "predictions" in decoded else decoded


def running(name: str) -> Deployment:
    """Return the deployment ``name``. Raises GenOpsError unless it runs."""
    found = find(name)
    if found["state"] != "running":
        raise GenOpsError(
            f"The deployment {name!r} is {found['state']}. {found.get('message', '')}".strip(),
            found.get("hint") or "To deploy it again, run %genops deploy MODEL.",
        )
    return found


def opened(
    found: Deployment, path: str, data: bytes, timeout_s: float, named: Optional[Mapping[str, str]] = None
) -> Answering:
    """Send JSON to a path of a deployment, and return the answer. Raises GenOpsError with the model's own message.

    ``named`` are further headers.
    """
    name = found["name"]
    request = urllib.request.Request(  # noqa: S310 - the Lab's own loopback URL
        found["url"].rstrip("/") + "/" + path,
        data=data,
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {key_of(name)}",
            **(named or {}),
        },
    )
    try:
        answer: Answering = opener.open(request, timeout=timeout_s)
        return answer
    except urllib.error.HTTPError as error:
        raise GenOpsError(
            f"The deployment {name!r} answered HTTP {error.code}: {reason(error.read())}",
            f"Read its log: %genops deployments logs {name}",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(name, error) from error


def _no_answer(name: str, error: Exception) -> GenOpsError:
    return GenOpsError(
        f"The deployment {name!r} did not answer: {error}.",
        f"Read its log: %genops deployments logs {name}",
    )


def feedback(request_id: str, name: str, value: float, deployment: str = "") -> bool:
    """Send an outcome of a request to the rollout that answered it. Return whether it was counted."""
    body = {"request_id": request_id, "name": name, "value": float(value), "deployment": deployment}
    found = lab.call("POST", "/v1/deployment-feedback", body)
    if not found["counted"]:
        warnings.warn(f"The outcome was not counted: {found['reason']}", stacklevel=3)
    return bool(found["counted"])


def reason(body: bytes) -> str:
    """Return what an answer with an error says, of the scorer or of MLflow."""
    text = body.decode("utf-8", "replace")
    try:
        decoded = json.loads(text)
    except ValueError:
        return text[:500]
    if not isinstance(decoded, dict):
        return text[:500]
    found = decoded.get("error") or decoded
    if isinstance(found, dict):
        found = found.get("message") or found.get("detail") or found
    return str(found)[:1000]
